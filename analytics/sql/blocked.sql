-- Deliberate visits to blocked services: refused by the proxy, or let through.
-- in:  events, blocked_services (service), blocked_categories (category: as stored with the line), $day, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `blocked`; 407 asks for a password and denies nothing, widgets
--      and frames on other sites' pages are nobody's attempt, repeats within a minute are one
WITH tries AS (
    SELECT
        "user", identity, service, category, verdict,
        time_bucket(to_minutes(1), time) AS minute,
        bytes_down,
        method
    FROM events
    WHERE (
            service IN (SELECT service FROM blocked_services)
            OR category IN (SELECT category FROM blocked_categories)
        )
      AND role = 'site'
      AND coalesce(path_role, 'page') = 'page'
      AND coalesce(referrer, service) IN (service, 'search')
      AND verdict IN ('denied', 'allowed')
      AND method IN ('GET', 'POST', 'CONNECT')
      AND time >= $first AND time < $last
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
FROM tries
GROUP BY "user", service
HAVING denied > 0 OR reached > 0
