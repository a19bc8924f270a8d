-- Weeks in which a person went to blocked sites often enough, refused or let through.
-- in:  blocked, judged (week, day: judged by this rule), narrowed (word: categories and services the
--      rule is about), $narrow (whether it is about some only), $attempts, $reached (a week; null:
--      not counted)
-- out: "user", identity, week, day, category, denied, reached, lines, embedded, background (log lines;
--      null where an older Fairwatch did not count them); one row a day and category
WITH counted AS (
    SELECT b."user", b.identity, j.week, b.day, b.category, b.denied, b.reached,
        b.lines, b.embedded, b.background
    FROM blocked AS b
    JOIN judged AS j USING (day)
    -- Only where it is known whose the lines are, as for minutes.
    WHERE b.identity IN ('login', 'assigned', 'lease', 'unlisted')
      AND (
          NOT $narrow
          OR b.category IN (SELECT word FROM narrowed)
          OR b.service IN (SELECT word FROM narrowed)
      )
),

weeks AS (
    SELECT "user", week
    FROM counted
    GROUP BY ALL
    HAVING coalesce(sum(denied) >= $attempts, false) OR coalesce(sum(reached) >= $reached, false)
)

SELECT
    c."user", min(c.identity) AS identity, c.week, c.day, c.category,
    sum(c.denied)::INTEGER AS denied, sum(c.reached)::INTEGER AS reached,
    sum(c.lines)::INTEGER AS lines, sum(c.embedded)::INTEGER AS embedded,
    sum(c.background)::INTEGER AS background
FROM counted AS c
JOIN weeks AS w USING ("user", week)
GROUP BY c."user", c.week, c.day, c.category
ORDER BY c."user", c.week, c.day, c.category
