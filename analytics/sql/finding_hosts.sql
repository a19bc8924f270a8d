-- The hosts of the services a finding is about, and how the device itself called them.
-- in:  wanted_lines ("user", time, host, category, device_category), asked_days ("user", week, day),
--      days (day, first, last: its instants)
-- out: "user", week, day, host, category, device_category, rows
SELECT a."user", a.week, a.day, e.host, e.category, e.device_category, count(*)::INTEGER AS rows
FROM asked_days AS a
JOIN days AS d ON d.day = a.day
JOIN wanted_lines AS e ON e."user" = a."user" AND e.time >= d.first AND e.time < d.last
GROUP BY ALL
ORDER BY ALL
