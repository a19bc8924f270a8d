-- Weeks in which a person's low bound lies above a number of minutes on enough days.
-- in:  usage, judged (week, day: judged by this rule's policy, no feed gap), $minutes, $days,
--      $working_time (true: working hours without breaks; false: the whole day)
-- out: "user", identity, week, day, low_min, likely_min, high_min, outside_min (likely minutes that
--      are not held against the person), grade, visits, contacts; one row a day above the number
WITH measured AS (
    SELECT
        u."user", u.identity, j.week, u.day, u.grade, u.visits, u.contacts,
        CASE WHEN $working_time THEN u.work_low_min ELSE u.low_min END AS low_min,
        CASE WHEN $working_time THEN u.work_likely_min ELSE u.likely_min END AS likely_min,
        CASE WHEN $working_time THEN u.work_high_min ELSE u.high_min END AS high_min,
        CASE WHEN $working_time THEN u.likely_min - u.work_likely_min ELSE 0 END AS outside_min
    FROM usage AS u
    JOIN judged AS j USING (day)
    WHERE u.category = 'judged'
      AND u.grade <= 'C'
      -- Only where it is known whose the lines are: an address, a shared or a service account and a
      -- name that fits several people give no result on a person.
      AND u.identity IN ('login', 'assigned', 'lease', 'unlisted')
),

above AS (
    SELECT *, count(*) OVER (PARTITION BY "user", week) AS days
    FROM measured
    WHERE low_min > $minutes
)

SELECT
    "user", identity, week, day, low_min, likely_min, high_min, outside_min, grade,
    visits, contacts
FROM above
WHERE days >= $days
ORDER BY "user", week, day
