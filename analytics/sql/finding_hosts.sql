-- The hosts of the services a finding is about, and how the device itself called them.
-- in:  events, asked_days ("user", week, day), days (day, first, last: its instants), wanted (word)
-- out: "user", week, day, host, category, device_category, rows
SELECT a."user", a.week, a.day, e.host, e.category, e.device_category, count(*)::INTEGER AS rows
FROM asked_days AS a
JOIN days AS d ON d.day = a.day
JOIN events AS e ON e."user" = a."user" AND e.time >= d.first AND e.time < d.last
WHERE e.host IS NOT NULL AND e.category IS NOT NULL
  AND (
      e.category IN (SELECT word FROM wanted)
      OR coalesce(e.service IN (SELECT word FROM wanted), false)
  )
GROUP BY ALL
ORDER BY ALL
