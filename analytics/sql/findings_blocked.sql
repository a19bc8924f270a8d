-- Weeks in which a person went to blocked sites often enough, refused or let through.
-- in:  blocked, judged (week, day: judged by this rule's policy), $attempts, $reached
-- out: "user", identity, week, day, category, denied, reached; one row a day and category
WITH counted AS (
    SELECT b."user", b.identity, j.week, b.day, b.category, b.denied, b.reached
    FROM blocked AS b
    JOIN judged AS j USING (day)
    -- Only where it is known whose the lines are, as for minutes.
    WHERE b.identity IN ('login', 'assigned', 'lease', 'unlisted')
),

weeks AS (
    SELECT "user", week
    FROM counted
    GROUP BY ALL
    HAVING sum(denied) >= $attempts OR sum(reached) >= $reached
)

SELECT
    c."user", min(c.identity) AS identity, c.week, c.day, c.category,
    sum(c.denied)::INTEGER AS denied, sum(c.reached)::INTEGER AS reached
FROM counted AS c
JOIN weeks AS w USING ("user", week)
GROUP BY c."user", c.week, c.day, c.category
ORDER BY c."user", c.week, c.day, c.category
