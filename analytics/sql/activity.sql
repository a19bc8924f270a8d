-- Intervals of one person's use of one service.
-- in:  marks, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `activity`; an interval ends where the next mark is further off
--      than the likely cap; spans of one service never overlap, so their sums are their union
WITH within AS (
    SELECT
        *,
        lag(likely_end) OVER (PARTITION BY "user", service ORDER BY start) AS before
    FROM marks
    WHERE start >= $first AND start < $last AND (likely_end > start OR grade = 'D')
),

runs AS (
    SELECT
        *,
        sum(CASE WHEN before >= start THEN 0 ELSE 1 END) OVER (
            PARTITION BY "user", service ORDER BY start ROWS UNBOUNDED PRECEDING
        ) AS run
    FROM within
)

SELECT
    "user",
    service,
    min(category) AS category,
    min(start) AS start,
    -- Of what was only contacted, the time in which it may have been used.
    max(CASE WHEN grade = 'D' THEN high_end ELSE likely_end END) AS end,
    -- Whole milliseconds: a sum of them is the same in any order.
    sum(date_diff('millisecond', start, low_end)) / 1000 AS low_s,
    sum(date_diff('millisecond', start, likely_end)) / 1000 AS likely_s,
    sum(date_diff('millisecond', start, high_end)) / 1000 AS high_s,
    max(grade) AS grade,
    min(identity) AS identity,
    string_agg(DISTINCT rule, '+' ORDER BY rule) AS rule,
    count(*)::INTEGER AS marks
FROM runs
GROUP BY "user", service, run
