-- The median week of a person's team, the person left out.
-- in:  usage, members ("user"), judged (week, day), $week, $person, $working_time
-- out: people, median_min (likely minutes of the week)
WITH weeks AS (
    SELECT
        m."user",
        coalesce(
            sum(CASE WHEN $working_time THEN u.work_likely_min ELSE u.likely_min END), 0
        ) AS minutes
    FROM members AS m
    LEFT JOIN usage AS u
        ON u."user" = m."user"
       AND u.category = 'judged'
       AND u.day IN (SELECT day FROM judged WHERE week = $week)
    WHERE m."user" <> $person
    GROUP BY m."user"
)

SELECT count(*)::INTEGER AS people, median(minutes) AS median_min FROM weeks
