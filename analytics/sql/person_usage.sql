-- Minutes a person, day and category; days of a feed gap have empty numbers, not zero.
-- in:  usage, gap_days (day), $person (null: everybody), $first_day, $last_day
-- out: the columns of `usage --csv`, then identity, working time, visits, contacts,
--      breaks, time outside working hours
SELECT
    u."user", u.day, u.category,
    CASE WHEN g.day IS NULL THEN round(u.low_min, 3) END AS low_min,
    CASE WHEN g.day IS NULL THEN round(u.likely_min, 3) END AS likely_min,
    CASE WHEN g.day IS NULL THEN round(u.high_min, 3) END AS high_min,
    u.grade, u.identity,
    CASE WHEN g.day IS NULL THEN round(u.work_low_min, 3) END AS work_low_min,
    CASE WHEN g.day IS NULL THEN round(u.work_likely_min, 3) END AS work_likely_min,
    CASE WHEN g.day IS NULL THEN round(u.work_high_min, 3) END AS work_high_min,
    u.visits, u.contacts,
    CASE WHEN g.day IS NULL THEN round(u.break_low_min, 3) END AS break_low_min,
    CASE WHEN g.day IS NULL THEN round(u.break_likely_min, 3) END AS break_likely_min,
    CASE WHEN g.day IS NULL THEN round(u.break_high_min, 3) END AS break_high_min,
    CASE WHEN g.day IS NULL THEN round(u.outside_low_min, 3) END AS outside_low_min,
    CASE WHEN g.day IS NULL THEN round(u.outside_likely_min, 3) END AS outside_likely_min,
    CASE WHEN g.day IS NULL THEN round(u.outside_high_min, 3) END AS outside_high_min
FROM usage AS u
LEFT JOIN gap_days AS g USING (day)
WHERE u.day BETWEEN $first_day AND $last_day
  AND u.category NOT IN ('judged', 'excused')
  AND ($person IS NULL OR u."user" = $person)
ORDER BY u.day, u."user", u.category
