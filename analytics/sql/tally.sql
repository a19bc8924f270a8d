-- Every line of the day by what it was taken for: the rows add up to the lines read.
-- in:  events, categories, signs, $day, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `tally`
-- A line belongs to the day it began in, as in lines.sql.
WITH every AS MATERIALIZED (
    SELECT
        "user",
        CASE WHEN category IN (SELECT category FROM categories) THEN service END AS service,
        CASE WHEN category IN (SELECT category FROM categories) THEN category END AS category,
        CASE
            WHEN grain = 'contact' THEN 'D1'
            WHEN verdict <> 'allowed' THEN 'N1'
            WHEN "user" IS NULL THEN 'N2'
            WHEN grain = 'tunnel' AND bytes_down IS NULL AND category IN (SELECT category FROM categories)
            THEN 'D2'
            WHEN coalesce(category NOT IN (SELECT category FROM categories), true) THEN 'N0'
        END AS rule,
        count(*) AS lines
    FROM events
    WHERE epoch_ms(time) - CASE WHEN duration_ms BETWEEN 0 AND 86400000 THEN duration_ms ELSE 0 END
        BETWEEN epoch_ms($first) AND epoch_ms($last) - 1
    GROUP BY ALL
),

judged_lines AS (
    SELECT "user", service, category, class, rule, count(*) AS lines FROM signs GROUP BY ALL
),

-- Connections of which the log shows the inside, line by line.
carriers AS (
    SELECT e."user", e.service, e.category, e.lines - coalesce(sum(j.lines), 0) AS lines
    FROM every AS e
    LEFT JOIN judged_lines AS j USING ("user", service, category)
    WHERE e.rule IS NULL
    GROUP BY e."user", e.service, e.category, e.lines
)

SELECT
    "user", $day::DATE AS day, service, category, class, rule, lines::BIGINT AS rows
FROM judged_lines
UNION ALL
SELECT "user", $day::DATE, service, category, 'background', 'T0', lines::BIGINT
FROM carriers
WHERE lines > 0
UNION ALL
SELECT "user", $day::DATE, service, category, 'unknown', rule, lines::BIGINT
FROM every
WHERE rule IS NOT NULL
