-- Weeks in which a person's low bound lies above a number of minutes on enough days, or in sum.
-- in:  usage, judged (week, day: judged by this rule, no feed gap), away ("user", day: on leave),
--      $minutes (a day, on $days days of a week; null: no such number), $days, $week_minutes (in a
--      week; null), $work, $breaks, $outside (which parts of a day count)
-- out: "user", identity, week, day, low_min, likely_min, high_min, uncounted_min (likely minutes of
--      the parts that do not count), break_min, outside_min (likely), grade, visits, contacts; one
--      row a day: those above the number, or where the week's sum is, all with any minutes
WITH measured AS (
    SELECT
        u."user", u.identity, j.week, u.day, u.grade, u.visits, u.contacts,
        $work * u.work_low_min + $breaks * coalesce(u.break_low_min, 0)
            + $outside * coalesce(u.outside_low_min, 0) AS low_min,
        $work * u.work_likely_min + $breaks * coalesce(u.break_likely_min, 0)
            + $outside * coalesce(u.outside_likely_min, 0) AS likely_min,
        $work * u.work_high_min + $breaks * coalesce(u.break_high_min, 0)
            + $outside * coalesce(u.outside_high_min, 0) AS high_min,
        coalesce(u.break_likely_min, 0) AS break_min,
        coalesce(u.outside_likely_min, 0) AS outside_min,
        u.likely_min AS day_min
    FROM usage AS u
    JOIN judged AS j USING (day)
    ANTI JOIN away AS a ON a."user" = u."user" AND a.day = u.day
    WHERE u.category = 'judged'
      AND u.grade <= 'C'
      -- Only where it is known whose the lines are: an address, a shared or a service account and a
      -- name that fits several people give no result on a person.
      AND u.identity IN ('login', 'assigned', 'lease', 'unlisted')
),

weighed AS (
    SELECT
        *,
        coalesce(low_min > $minutes, false) AS above,
        count(*) FILTER (WHERE low_min > $minutes) OVER of_week >= $days AS often,
        sum(low_min) OVER of_week > $week_minutes AS much
    FROM measured
    WINDOW of_week AS (PARTITION BY "user", week)
)

SELECT
    "user", identity, week, day, low_min, likely_min, high_min,
    greatest(day_min - likely_min, 0) AS uncounted_min, break_min, outside_min, grade, visits,
    contacts
FROM weighed
WHERE (coalesce(often, false) AND above) OR (coalesce(much, false) AND low_min > 0)
-- By person, never by how much: a list of findings is no table of who uses most.
ORDER BY "user", week, day
