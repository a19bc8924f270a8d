-- How many lines there were, and why those that are no sign of use are none.
-- in:  listed, rest, persons, categories, $first, $last (the local day, UTC instants)
-- out: "user", service, category, rule (null: see signs), lines; a line belongs to the day it began in,
--      as in lines.sql
SELECT
    "user", service, category,
    CASE
        WHEN grain = 'contact' THEN 'D1'
        WHEN verdict <> 'allowed' THEN 'N1'
        WHEN person IS NULL THEN 'N2'
        WHEN grain = 'tunnel' AND bytes_down IS NULL THEN 'D2'
    END AS rule,
    count(*) AS lines
FROM listed
LEFT JOIN persons USING (person)
WHERE category IN (SELECT category FROM categories)
  AND epoch_ms(time) - CASE WHEN duration_ms BETWEEN 0 AND 86400000 THEN duration_ms ELSE 0 END
    BETWEEN epoch_ms($first) AND epoch_ms($last) - 1
GROUP BY ALL
UNION ALL
SELECT "user", NULL, NULL, rule, lines
FROM rest
