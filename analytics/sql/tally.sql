-- Every line of the day by what it was taken for: the rows add up to the lines read.
-- in:  counted, signs, $day
-- out: the columns of the dataset `tally`
WITH judged_lines AS (
    SELECT "user", service, category, class, rule, count(*) AS lines FROM signs GROUP BY ALL
),

-- Connections of which the log shows the inside, line by line.
carriers AS (
    SELECT e."user", e.service, e.category, e.lines - coalesce(sum(j.lines), 0) AS lines
    FROM counted AS e
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
FROM counted
WHERE rule IS NOT NULL
