-- A team's visits to blocked sites in one week, by category; no service, no person is named.
-- in:  blocked, members ("user"), $first_day, $last_day (local days)
-- out: category, denied, reached
SELECT category, sum(denied)::INTEGER AS denied, sum(reached)::INTEGER AS reached
FROM blocked
WHERE day BETWEEN $first_day AND $last_day AND "user" IN (SELECT "user" FROM members)
GROUP BY category
ORDER BY category
