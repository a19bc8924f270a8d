-- How many seconds each person has.
-- in:  seconds
-- out: person, count, by person
SELECT person, count(*) AS count
FROM seconds
GROUP BY person
ORDER BY person
