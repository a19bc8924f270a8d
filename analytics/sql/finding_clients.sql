-- The addresses a person used on the days of a finding.
-- in:  client_days ("user", client, day), asked_days ("user", week, day)
-- out: "user", week, day, client
SELECT a."user", a.week, a.day, c.client
FROM asked_days AS a
JOIN client_days AS c ON c."user" = a."user" AND c.day = a.day
ORDER BY ALL
