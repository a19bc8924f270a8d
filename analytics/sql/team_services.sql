-- A team's time by service in one week; services of fewer than $k people are shown as one.
-- in:  activity, members ("user"), $first, $last (instants of the week), $k
-- out: name (a service; null: the others together), people (null where fewer than $k), low_min,
--      likely_min, high_min; the longest first
-- Where the others together are still fewer than $k people, the smallest named service joins them:
-- else the total less the named services would show them.
WITH each AS (
    SELECT
        a.service,
        a."user",
        a.low_s, a.likely_s, a.high_s
    FROM activity AS a
    WHERE a.start >= $first AND a.start < $last AND a."user" IN (SELECT "user" FROM members)
),

services AS (
    SELECT service, count(DISTINCT "user") AS people, sum(likely_s) AS likely_s
    FROM each
    GROUP BY service
),

small AS (
    SELECT count(DISTINCT "user") AS people
    FROM each
    WHERE service IN (SELECT service FROM services WHERE people < $k)
),

ranked AS (
    SELECT
        service, people,
        row_number() OVER (
            PARTITION BY people >= $k ORDER BY people, likely_s, service
        ) AS smallest
    FROM services
),

named AS (
    SELECT r.service
    FROM ranked AS r, small AS s
    WHERE r.people >= $k AND NOT (s.people BETWEEN 1 AND $k - 1 AND r.smallest = 1)
)

SELECT
    n.service AS name,
    CASE WHEN count(DISTINCT e."user") >= $k THEN count(DISTINCT e."user") END AS people,
    sum(e.low_s) / 60 AS low_min,
    sum(e.likely_s) / 60 AS likely_min,
    sum(e.high_s) / 60 AS high_min
FROM each AS e
LEFT JOIN named AS n ON n.service = e.service
GROUP BY n.service
ORDER BY name IS NULL, likely_min DESC, name
