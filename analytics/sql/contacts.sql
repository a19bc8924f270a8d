-- Lines that name a service, whoever caused them: what a naive count would take for use.
-- in:  listed, persons, categories (category: what the policy calls social media), $first, $last (the
--      local day, UTC instants)
-- out: "user", category, contacts
SELECT "user", category, count(*)::INTEGER AS contacts
FROM listed
LEFT JOIN persons USING (person)
WHERE category IN (SELECT category FROM categories) AND verdict = 'allowed' AND time >= $first AND time < $last
GROUP BY ALL
