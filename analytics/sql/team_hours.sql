-- A team's time by hour of the day (the organisation's zone) in one week.
-- in:  activity, members ("user"), $zone, $first, $last (instants of the week), $k
-- out: hour (0-23), low_min, likely_min, high_min; null minutes where 1 to $k - 1 people were active
WITH spans AS (
    SELECT
        a."user",
        timezone($zone, a.start) AS start,
        timezone($zone, a."end") AS "end",
        a.low_s, a.likely_s, a.high_s,
        greatest(epoch(a."end" - a.start), 1) AS length
    FROM activity AS a
    WHERE a.start >= $first AND a.start < $last AND a."user" IN (SELECT "user" FROM members)
),

pieces AS (
    SELECT
        *,
        unnest(generate_series(
            date_trunc('hour', start), date_trunc('hour', "end"), to_hours(1)
        )) AS hour_start
    FROM spans
),

shares AS (
    SELECT
        "user",
        extract('hour' FROM hour_start) AS hour,
        -- An interval's bounds are spread over its hours as its time is.
        greatest(
            epoch(least("end", hour_start + to_hours(1)) - greatest(start, hour_start)), 0
        ) / length AS share,
        low_s, likely_s, high_s
    FROM pieces
),

sums AS (
    SELECT
        hour,
        count(DISTINCT "user") AS people,
        sum(share * low_s) / 60 AS low_min,
        sum(share * likely_s) / 60 AS likely_min,
        sum(share * high_s) / 60 AS high_min
    FROM shares
    GROUP BY hour
),

-- Who stands behind all hours that are not shown: where these are fewer than $k people, the hour of
-- the fewest of those shown joins them, else the day's total less the hours shown would be theirs.
hidden AS (
    SELECT count(DISTINCT "user") AS people
    FROM shares
    WHERE hour IN (SELECT hour FROM sums WHERE people < $k)
),

ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY people >= $k ORDER BY people, likely_min, hour) AS smallest
    FROM sums
),

shown AS (
    SELECT r.*
    FROM ranked AS r, hidden AS x
    WHERE r.people >= $k AND NOT (x.people BETWEEN 1 AND $k - 1 AND r.smallest = 1)
)

SELECT
    h.hour::INTEGER AS hour,
    CASE WHEN a.hour IS NULL THEN 0 ELSE s.low_min END AS low_min,
    CASE WHEN a.hour IS NULL THEN 0 ELSE s.likely_min END AS likely_min,
    CASE WHEN a.hour IS NULL THEN 0 ELSE s.high_min END AS high_min
FROM (SELECT unnest(range(24)) AS hour) AS h
LEFT JOIN sums AS a ON a.hour = h.hour
LEFT JOIN shown AS s ON s.hour = h.hour
ORDER BY h.hour
