-- Lines of blocked services, and what each can be taken for by itself.
-- in:  listed, persons, blocked_services (service), blocked_categories (category: as stored with the
--      line), own_clients (client: own devices that are not judged), $first, $last (the local day, UTC
--      instants)
-- out: person, "user", identity, service, category, verdict, time, bytes_down, method, start, kind
--      (page | embedded | background)
SELECT
    person, "user", listed.identity, service, category, verdict, time, bytes_down, method,
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
FROM listed
JOIN persons USING (person)
WHERE (
        service IN (SELECT service FROM blocked_services)
        OR category IN (SELECT category FROM blocked_categories)
    )
  AND time >= $first AND time < $last
  AND (client IS NULL OR client NOT IN (SELECT client FROM own_clients))
