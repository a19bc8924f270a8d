-- Services of which the day shows only that they were contacted.
-- Names looked up, or connections of which no size is known: nobody's presence, but not nothing.
-- in:  listed, categories, lines, $from, $last (instants), $chained (ms)
-- out: person, service, category, start, last (epoch ms), rule (D1: names, some of them; D2: connections
-- alone): contacts closer together than the gap
WITH contacts AS (
    SELECT
        person, service, category,
        CASE WHEN grain = 'contact' THEN 'D1' ELSE 'D2' END AS rule,
        epoch_ms(time) - CASE WHEN duration_ms BETWEEN 0 AND 86400000 THEN duration_ms ELSE 0 END
            AS start
    FROM listed
    WHERE person IS NOT NULL AND category IN (SELECT category FROM categories) AND verdict = 'allowed'
      AND (grain = 'contact' OR (grain = 'tunnel' AND bytes_down IS NULL))
      AND role <> 'embed'
      AND start >= epoch_ms($from) AND start < epoch_ms($last)
),

alone AS (
    SELECT *
    FROM contacts AS c
    WHERE NOT EXISTS (FROM lines AS n WHERE n.person = c.person AND n.service = c.service)
),

gaps AS (
    SELECT
        *,
        CASE
            WHEN start - lag(start) OVER (PARTITION BY person, service ORDER BY start) <= $chained
            THEN 0
            ELSE 1
        END AS opens
    FROM alone
),

numbered AS (
    SELECT *, sum(opens) OVER (PARTITION BY person, service ORDER BY start) AS run FROM gaps
)

SELECT person, service, min(category) AS category, min(start) AS start, max(start) AS last,
    min(rule) AS rule
FROM numbered
GROUP BY person, service, run
