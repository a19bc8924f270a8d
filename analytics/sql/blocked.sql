-- Deliberate visits to blocked services: refused by the proxy, or let through.
-- in:  events, blocked_services (service), blocked_categories (category: as stored with the line),
--      own_clients (client: own devices that are not judged), $day, $first, $last (the local day,
--      UTC instants)
-- out: the columns of the dataset `blocked`; 407 asks for a password and denies nothing, widgets
--      and frames on other sites' pages are nobody's attempt, repeats within a minute are one
WITH named AS MATERIALIZED (
    SELECT
        "user", identity, service, category, verdict, time, bytes_down, method,
        time - to_milliseconds(greatest(coalesce(duration_ms, 0), 0)) AS start,
        CASE
            WHEN role = 'api' OR verdict NOT IN ('denied', 'allowed') THEN 'background'
            WHEN role <> 'site' OR path_role <> 'page' OR referrer NOT IN (service, 'search')
            THEN 'embedded'
            WHEN method NOT IN ('GET', 'POST', 'CONNECT') THEN 'background'
            -- A tunnel that carried next to nothing showed nobody a page.
            WHEN verdict = 'allowed' AND method = 'CONNECT' AND coalesce(bytes_down, 0) <= 5000
            THEN 'background'
            ELSE 'page'
        END AS kind
    FROM events
    WHERE (
            service IN (SELECT service FROM blocked_services)
            OR category IN (SELECT category FROM blocked_categories)
        )
      AND "user" IS NOT NULL
      AND time >= $first AND time < $last
      AND (client IS NULL OR client NOT IN (SELECT client FROM own_clients))
),

-- A tunnel shows no page it came from: one that opens within two seconds of another site's line is
-- taken for a part of that site's page (an advertisement, a widget), in doubt for the person.
-- Asked for by two-second slots: else all of a day's lines would be kept for a few of them.
slots AS (
    SELECT DISTINCT "user", epoch_ms(start) // 2000 - earlier AS slot
    FROM named, (VALUES (0), (1)) AS before(earlier)
    WHERE method = 'CONNECT' AND kind = 'page'
),

others AS (
    SELECT
        "user", service,
        time - to_milliseconds(greatest(coalesce(duration_ms, 0), 0)) AS start
    FROM events
    WHERE verdict = 'allowed' AND coalesce(role, 'site') = 'site'
      AND ("user", epoch_ms(start) // 2000) IN (SELECT ("user", slot) FROM slots)
),

led AS (
    SELECT DISTINCT n."user", n.service, n.start
    FROM named AS n
    JOIN others AS o
        ON o."user" = n."user"
       AND o.start > n.start - to_seconds(2) AND o.start <= n.start
       AND o.service IS DISTINCT FROM n.service
    WHERE n.method = 'CONNECT' AND n.kind = 'page'
),

told AS (
    SELECT
        n.* EXCLUDE (kind),
        CASE
            WHEN n.kind = 'page' AND n.method = 'CONNECT' AND l.start IS NOT NULL THEN 'embedded'
            ELSE n.kind
        END AS kind,
        time_bucket(to_minutes(1), n.time) AS minute
    FROM named AS n
    LEFT JOIN led AS l ON l."user" = n."user" AND l.service = n.service AND l.start = n.start
)

SELECT
    "user",
    min(identity) AS identity,
    $day::DATE AS day,
    service,
    min(category) AS category,
    count(DISTINCT minute) FILTER (WHERE kind = 'page' AND verdict = 'denied')::INTEGER AS denied,
    count(DISTINCT minute) FILTER (WHERE kind = 'page' AND verdict = 'allowed')::INTEGER AS reached,
    count(*)::INTEGER AS lines,
    count(*) FILTER (WHERE kind = 'embedded')::INTEGER AS embedded,
    count(*) FILTER (WHERE kind = 'background')::INTEGER AS background
FROM told
GROUP BY "user", service
HAVING denied > 0 OR reached > 0
