-- Stretches in which a source wrote nothing although its own rhythm expects lines.
-- in:  feed (the weeks around), calendar (day, working, opens, closes: the working hours from first
--      to last, null on a day off), $zone, $from, $to (local days),
--      $until (instant: nothing is expected after it)
-- out: source, start, end (UTC instants), one row a gap of half an hour or more
-- A quarter of an hour is expected to hold lines where it did (median 20 or more) on the other days
-- of its kind; with fewer than three of these, in working hours of a
-- day that holds 40 a quarter on average.
WITH quarters AS (
    SELECT
        c.day,
        c.working,
        c.opens,
        c.closes,
        s.source,
        s.since,
        timezone($zone, c.day + to_minutes(15 * q.quarter::INTEGER)) AS start,
        q.quarter
    FROM calendar AS c
    CROSS JOIN (SELECT source, min(start) AS since FROM feed GROUP BY source) AS s
    CROSS JOIN (SELECT unnest(range(96)) AS quarter) AS q
),

filled AS (
    SELECT q.*, coalesce(f.lines, 0) AS lines
    FROM quarters AS q
    LEFT JOIN feed AS f ON f.source = q.source AND f.start = q.start
    WHERE q.start >= q.since AND q.start < $until
),

days AS (
    SELECT source, day, sum(lines) AS lines, sum(lines) / 32 AS average FROM filled GROUP BY ALL
),

rhythm AS (
    SELECT
        f.source, f.working, f.quarter,
        median(f.lines) AS usual,
        count(*) AS days
    FROM filled AS f
    JOIN days AS d USING (source, day)
    WHERE d.lines > 0
    GROUP BY ALL
),

silent AS (
    SELECT f.source, f.day, f.start
    FROM filled AS f
    JOIN rhythm AS r USING (source, working, quarter)
    JOIN days AS d USING (source, day)
    WHERE f.lines = 0
      AND f.day BETWEEN $from AND $to
      AND CASE
              WHEN r.days > 3 THEN r.usual >= 20
              ELSE d.average >= 40 AND f.start >= f.opens AND f.start < f.closes
          END
),

runs AS (
    SELECT
        *,
        start - to_minutes(15 * row_number() OVER (PARTITION BY source ORDER BY start)::INTEGER)
            AS run
    FROM silent
)

SELECT source, min(start) AS start, max(start) + to_minutes(15) AS "end"
FROM runs
GROUP BY source, run
HAVING count(*) >= 2
ORDER BY start, source
