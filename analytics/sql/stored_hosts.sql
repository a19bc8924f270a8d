-- The hosts that are stored under a name, and how the device called them; `other` in one row a word.
-- in:  events
-- out: host, category, device_category, rows, days (UTC days)
SELECT
    coalesce(host, 'other') AS host,
    category,
    device_category,
    count(*)::BIGINT AS rows,
    count(DISTINCT time::DATE)::INTEGER AS days
FROM events
GROUP BY ALL
ORDER BY ALL
