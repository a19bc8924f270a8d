-- Lines that name a service, whoever caused them: what a naive count would take for use.
-- in:  events, $first, $last (the local day, UTC instants)
-- out: "user", category, contacts
SELECT "user", category, count(*)::INTEGER AS contacts
FROM events
WHERE service IS NOT NULL AND verdict = 'allowed' AND time >= $first AND time < $last
GROUP BY ALL
