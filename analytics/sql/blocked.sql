-- Deliberate visits to blocked services: refused by the proxy, or let through.
-- in:  named, followed (person, service, start: ms), $day
-- out: the columns of the dataset `blocked`; 407 asks for a password and denies nothing, widgets
--      and frames on other sites' pages are nobody's attempt, repeats within a minute are one
-- A tunnel shows no page it came from: one that opens within two seconds of another site's line is
-- taken for a part of that site's page (an advertisement, a widget), in doubt for the person.
WITH led AS (
    SELECT DISTINCT n.person, n.service, n.start
    FROM named AS n
    JOIN followed AS o
        ON o.person = n.person
       AND o.start > epoch_ms(n.start) - 2000 AND o.start <= epoch_ms(n.start)
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
    LEFT JOIN led AS l ON l.person = n.person AND l.service = n.service AND l.start = n.start
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
