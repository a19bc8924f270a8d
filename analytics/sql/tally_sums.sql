-- Lines by what they were taken for, over days and people.
-- in:  tally, $first, $last (local days)
-- out: taken_for (class), rule, rows
SELECT class AS taken_for, rule, sum(rows)::BIGINT AS rows
FROM tally
WHERE day BETWEEN $first AND $last
GROUP BY class, rule
ORDER BY class, rule
