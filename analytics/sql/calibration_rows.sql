-- What the logs hold of one person in a stretch of time, by source and kind of line.
-- in:  events, $person, $first, $last (instants)
-- out: source, grain, fetch (whether a browser's own word stands in any line), rows; the most first
SELECT source, grain, coalesce(bool_or("fetch" IS NOT NULL), false) AS fetch, count(*) AS rows
FROM events
WHERE "user" = $person AND time >= $first AND time < $last
GROUP BY source, grain
ORDER BY rows DESC, source, grain
