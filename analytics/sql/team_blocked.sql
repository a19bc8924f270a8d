-- A team's visits to blocked sites in one week, by category; no service, no person is named.
-- in:  blocked, members ("user"), $first_day, $last_day (local days), $k
-- out: category, denied, reached; null counts where they are of fewer than $k people
SELECT
    category,
    CASE WHEN count(DISTINCT "user") >= $k THEN sum(denied)::INTEGER END AS denied,
    CASE WHEN count(DISTINCT "user") >= $k THEN sum(reached)::INTEGER END AS reached
FROM blocked
WHERE day BETWEEN $first_day AND $last_day AND "user" IN (SELECT "user" FROM members)
GROUP BY category
ORDER BY category
