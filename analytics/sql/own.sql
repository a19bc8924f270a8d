-- When lines of people's own devices began: a sign of use at such an instant may be theirs.
-- in:  listed, persons, own_clients (client: addresses of own devices whose use is not judged)
-- out: "user", service, start
SELECT DISTINCT
    "user",
    service,
    time - to_milliseconds(greatest(coalesce(duration_ms, 0), 0)) AS start
FROM listed
JOIN persons USING (person)
WHERE service IS NOT NULL AND client IN (SELECT client FROM own_clients)
