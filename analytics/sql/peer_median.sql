-- The median week of a person's team, the person left out.
-- in:  usage, members ("user"), judged (week, day), $week, $person, $work, $breaks, $outside (which
--      parts of a day count)
-- out: people, median_min (likely minutes of the week)
WITH weeks AS (
    SELECT
        m."user",
        coalesce(
            sum(
                $work * u.work_likely_min + $breaks * coalesce(u.break_likely_min, 0)
                + $outside * coalesce(u.outside_likely_min, 0)
            ),
            0
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
