-- Minutes a person, day and category; days of a feed gap have empty numbers, not zero.
-- in:  usage, gap_days (day, hours: what is missing in words, empty: no minutes are told), unknown
--      ("user", day: people of whom nothing is told on a day), $person (null: everybody), $first_day,
--      $last_day
-- out: the columns of `usage --csv`, then identity, working time, visits, contacts, breaks, time
--      outside working hours, missing
WITH told AS (
    SELECT *
    FROM usage
    WHERE day BETWEEN $first_day AND $last_day AND category NOT IN ('judged', 'excused')
    UNION ALL BY NAME
    SELECT DISTINCT "user", day, 'social_media' AS category, 0 AS visits, 0 AS contacts
    FROM unknown AS n
    WHERE NOT EXISTS (FROM usage AS u WHERE u."user" = n."user" AND u.day = n.day)
)

SELECT
    u."user", u.day, u.category,
    CASE WHEN g.empty THEN NULL ELSE round(u.low_min, 3) END AS low_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.likely_min, 3) END AS likely_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.high_min, 3) END AS high_min,
    u.grade, u.identity,
    CASE WHEN g.empty THEN NULL ELSE round(u.work_low_min, 3) END AS work_low_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.work_likely_min, 3) END AS work_likely_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.work_high_min, 3) END AS work_high_min,
    u.visits::INTEGER AS visits, u.contacts::INTEGER AS contacts,
    CASE WHEN g.empty THEN NULL ELSE round(u.break_low_min, 3) END AS break_low_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.break_likely_min, 3) END AS break_likely_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.break_high_min, 3) END AS break_high_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.outside_low_min, 3) END AS outside_low_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.outside_likely_min, 3) END AS outside_likely_min,
    CASE WHEN g.empty THEN NULL ELSE round(u.outside_high_min, 3) END AS outside_high_min,
    g.hours AS missing
FROM told AS u
LEFT JOIN gap_days AS g USING (day)
WHERE $person IS NULL OR u."user" = $person
ORDER BY u.day, u."user", u.category
