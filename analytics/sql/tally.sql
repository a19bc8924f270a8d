-- Lines a person, day and service, by what they are taken for.
-- in:  events, marks, $day, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `tally`; a line that began when a sign of use did is that sign
WITH lines AS (
    SELECT
        "user", service, category, role, path_role, referrer,
        time - to_milliseconds(greatest(coalesce(duration_ms, 0), 0)) AS start
    FROM events
    WHERE "user" IS NOT NULL AND service IS NOT NULL AND category IS NOT NULL
      AND time >= $first AND time < $last
),

signs AS (
    SELECT "user", service, start, min(rule) AS rule, bool_or(visit) AS visit FROM marks GROUP BY ALL
),

named AS (
    SELECT
        l."user", l.service, l.category,
        CASE
            WHEN s.visit THEN 'visit'
            WHEN s.rule IS NOT NULL THEN 'continuation'
            WHEN l.role = 'embed' OR l.path_role = 'embed' OR l.referrer <> l.service THEN 'embedded'
            WHEN l.path_role = 'share' THEN 'action'
            WHEN l.role = 'api' THEN 'background'
            ELSE 'unknown'
        END AS class,
        coalesce(s.rule, l.path_role, l.role, 'none') AS rule
    FROM lines AS l
    LEFT JOIN signs AS s ON s."user" = l."user" AND s.service = l.service AND s.start = l.start
)

SELECT "user", $day::DATE AS day, service, category, class, rule, count(*) AS rows
FROM named
GROUP BY ALL
