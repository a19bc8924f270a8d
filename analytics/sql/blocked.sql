-- Deliberate visits to blocked services: refused by the proxy, or let through.
-- in:  events, blocked_services (service), blocked_categories (category: as stored with the line),
--      own_clients (client: own devices that are not judged), $day, $first, $last (the local day,
--      UTC instants)
-- out: the columns of the dataset `blocked`; 407 asks for a password and denies nothing, widgets
--      and frames on other sites' pages are nobody's attempt, repeats within a minute are one
WITH tries AS (
    SELECT
        "user", identity, service, category, verdict, time, bytes_down, method,
        time - to_milliseconds(greatest(coalesce(duration_ms, 0), 0)) AS start
    FROM events
    WHERE (
            service IN (SELECT service FROM blocked_services)
            OR category IN (SELECT category FROM blocked_categories)
        )
      AND role = 'site'
      AND coalesce(path_role, 'page') = 'page'
      AND coalesce(referrer, service) = service
      AND verdict IN ('denied', 'allowed')
      AND method IN ('GET', 'POST', 'CONNECT')
      AND time >= $first AND time < $last
      AND (client IS NULL OR client NOT IN (SELECT client FROM own_clients))
),

-- A tunnel shows no page it came from: one that opens within two seconds of another site's line is
-- taken for a part of that site's page (an advertisement, a widget), in doubt for the person.
others AS (
    SELECT
        "user", service,
        time - to_milliseconds(greatest(coalesce(duration_ms, 0), 0)) AS start
    FROM events
    WHERE verdict = 'allowed' AND coalesce(role, 'site') = 'site'
      AND "user" IN (SELECT "user" FROM tries WHERE method = 'CONNECT')
),

led AS (
    SELECT DISTINCT t."user", t.service, t.start
    FROM tries AS t
    JOIN others AS o
        ON o."user" = t."user"
       AND o.start > t.start - to_seconds(2) AND o.start <= t.start
       AND o.service IS DISTINCT FROM t.service
    WHERE t.method = 'CONNECT'
),

deliberate AS (
    SELECT t.*, time_bucket(to_minutes(1), t.time) AS minute
    FROM tries AS t
    LEFT JOIN led AS l ON l."user" = t."user" AND l.service = t.service AND l.start = t.start
    WHERE t.method <> 'CONNECT' OR l.start IS NULL
)

SELECT
    "user",
    min(identity) AS identity,
    $day::DATE AS day,
    service,
    min(category) AS category,
    count(DISTINCT minute) FILTER (WHERE verdict = 'denied')::INTEGER AS denied,
    -- A tunnel that carried next to nothing showed nobody a page.
    count(DISTINCT minute) FILTER (
        WHERE verdict = 'allowed' AND (method <> 'CONNECT' OR bytes_down > 5000)
    )::INTEGER AS reached
FROM deliberate
GROUP BY "user", service
HAVING denied > 0 OR reached > 0
