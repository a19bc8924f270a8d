-- What the log lines behind findings were taken for.
-- in:  tally, asked_days ("user", week, day), wanted (word: categories and services looked at)
-- out: "user", week, days (of those asked that were tallied), rows, counted (visits, continuations and
--      acts), embedded, background, unknown
SELECT
    a."user",
    a.week,
    count(DISTINCT a.day)::INTEGER AS days,
    coalesce(sum(t.rows) FILTER (WHERE t.looked), 0)::BIGINT AS rows,
    coalesce(sum(t.rows) FILTER (
        WHERE t.looked AND t.class IN ('visit', 'continuation', 'action')
    ), 0)::BIGINT AS counted,
    coalesce(sum(t.rows) FILTER (WHERE t.looked AND t.class = 'embedded'), 0)::BIGINT AS embedded,
    coalesce(sum(t.rows) FILTER (WHERE t.looked AND t.class = 'background'), 0)::BIGINT
        AS background,
    coalesce(sum(t.rows) FILTER (WHERE t.looked AND t.class = 'unknown'), 0)::BIGINT AS unknown
FROM asked_days AS a
JOIN (
    SELECT
        *,
        coalesce(category IN (SELECT word FROM wanted), false)
            OR coalesce(service IN (SELECT word FROM wanted), false) AS looked
    FROM tally
) AS t ON t."user" = a."user" AND t.day = a.day
GROUP BY a."user", a.week
