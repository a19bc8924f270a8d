-- A number for each person of the day: sorting numbers is several times cheaper than sorting names.
-- in:  events, $from
-- out: "user", person, identity
SELECT "user", row_number() OVER (ORDER BY "user") AS person, min(identity) AS identity
FROM events
WHERE time >= $from AND "user" IS NOT NULL
GROUP BY "user"
