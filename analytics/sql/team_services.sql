-- A team's time by service in one week; services of fewer than $k people are shown as one.
-- in:  activity, members ("user"), $first, $last (instants of the week), $k
-- out: service (null: the services of fewer than $k people together), people (null where fewer
--      than $k), low_min, likely_min, high_min; the longest first
WITH each AS (
    SELECT
        a.service,
        a."user",
        a.low_s, a.likely_s, a.high_s,
        count(DISTINCT a."user") OVER (PARTITION BY a.service) AS people
    FROM activity AS a
    WHERE a.start >= $first AND a.start < $last AND a."user" IN (SELECT "user" FROM members)
)

SELECT
    CASE WHEN people >= $k THEN service END AS name,
    CASE WHEN count(DISTINCT "user") >= $k THEN count(DISTINCT "user") END AS people,
    sum(low_s) / 60 AS low_min,
    sum(likely_s) / 60 AS likely_min,
    sum(high_s) / 60 AS high_min
FROM each
GROUP BY name
ORDER BY name IS NULL, likely_min DESC, name
