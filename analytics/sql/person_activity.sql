-- Intervals of use, of everybody or one person.
-- in:  activity, $person (null: everybody), $first, $last (instants)
-- out: the columns of `activity --csv`, then identity, rule, marks
SELECT
    "user", service, category,
    strftime(start, '%Y-%m-%dT%H:%M:%S.%gZ') AS start,
    strftime("end", '%Y-%m-%dT%H:%M:%S.%gZ') AS end,
    round(low_s, 3) AS low_s, round(likely_s, 3) AS likely_s, round(high_s, 3) AS high_s,
    grade, identity, rule, marks
FROM activity
WHERE start >= $first AND start < $last AND ($person IS NULL OR "user" = $person)
ORDER BY activity.start, "user", service
