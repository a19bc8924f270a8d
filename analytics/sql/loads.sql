-- Pages of sites outside the policy's categories, as far as a log shows them.
-- They are what a person looked at instead, and their buttons and frames contact listed services.
-- in:  events, categories, persons, $from, $last (instants), $load_gap (ms), $program_bytes
-- out: one row a second of a page's load: person, seen (start of its first line, ms), first (of the
--      load), brought (by a page of a listed service: an advertisement in it, or a link out of it)
-- Lines less than the gap apart are one load. A lone small connection is a program's, not a page's.
WITH elsewhere AS (
    SELECT
        "user",
        grain = 'tunnel' AS tunnel,
        coalesce(referrer NOT IN ('other', 'search'), false) AS brought,
        epoch_ms(time) - CASE WHEN duration_ms BETWEEN 0 AND 86400000 THEN duration_ms ELSE 0 END
            AS start,
        coalesce(bytes_down, 0) AS bytes
    FROM events
    WHERE time >= $from AND verdict = 'allowed' AND "user" IS NOT NULL
      AND coalesce(category NOT IN (SELECT category FROM categories), true)
      AND (
        grain = 'tunnel'
        OR (
            grain = 'page' AND method = 'GET' AND coalesce(status, 200) BETWEEN 200 AND 299
            AND content_type IN ('text/html', 'application/xhtml+xml')
        )
      )
      AND start >= epoch_ms($from) AND start < epoch_ms($last)
),

-- A second is fine enough, and a quarter of the rows.
seconds AS (
    SELECT
        p.person,
        min(e.start) AS seen,
        max(e.start) AS last,
        count(*) AS lines,
        bool_and(tunnel) AS tunnel,
        sum(bytes) AS bytes,
        -- The first line says where it comes from.
        arg_min(brought, 2 * e.start + brought::INTEGER) AS brought
    FROM elsewhere AS e
    JOIN persons AS p USING ("user")
    GROUP BY p.person, e.start // 1000
),

gaps AS (
    SELECT
        *,
        CASE
            WHEN seen - lag(last) OVER (PARTITION BY person ORDER BY seen) <= $load_gap THEN 0
            ELSE 1
        END AS opens
    FROM seconds
),

numbered AS (
    SELECT *, sum(opens) OVER (PARTITION BY person ORDER BY seen) AS load FROM gaps
),

whole AS (
    SELECT
        person, load,
        min(seen) AS first,
        bool_and(tunnel) AND sum(lines) = 1 AND sum(bytes) <= $program_bytes AS lone,
        arg_min(brought, seen) AS brought
    FROM numbered
    GROUP BY person, load
)

SELECT person, seen, w.first, w.brought
FROM numbered
JOIN whole AS w USING (person, load)
WHERE NOT lone
