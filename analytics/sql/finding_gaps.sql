-- Minutes as reporters count them that stretch a visit over any gap of at most five minutes.
-- in:  events, asked_days ("user", week, day), days (day, first, last: its instants), wanted (word)
-- out: "user", week, minutes: any line naming a service, whoever caused it
WITH lines AS (
    SELECT
        a."user", a.week, a.day,
        epoch_ms(e.time) - lag(epoch_ms(e.time)) OVER (
            PARTITION BY a."user", a.day ORDER BY e.time
        ) AS gap
    FROM asked_days AS a
    JOIN days AS d ON d.day = a.day
    JOIN events AS e ON e."user" = a."user" AND e.time >= d.first AND e.time < d.last
    WHERE e.verdict = 'allowed'
      AND (
          coalesce(e.category IN (SELECT word FROM wanted), false)
          OR coalesce(e.service IN (SELECT word FROM wanted), false)
      )
)

SELECT "user", week, coalesce(sum(gap) FILTER (WHERE gap <= 300000), 0) / 60000 AS minutes
FROM lines
GROUP BY ALL
