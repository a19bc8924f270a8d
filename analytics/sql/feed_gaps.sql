-- Stretches in which a source wrote nothing although its own rhythm expects lines.
-- in:  feed (the weeks around), calendar (day, working, opens, closes: the working hours from first
--      to last, null on a day off), $zone, $from, $to (local days),
--      $until (instant: nothing is expected after it)
-- out: source, start, end (UTC instants), one row a gap of half an hour or more
-- A quarter of an hour is expected to hold what it holds on the other days of its kind: the median
-- in working hours; outside them what nine days in ten hold, so that one person staying late is no
-- rhythm. With fewer than three such days, what a busy day (40 a quarter) holds in working hours.
-- Silence is a gap where 40 lines or more were expected in it.
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
        quantile_disc(f.lines, 0.1) AS at_least,
        count(*) AS days
    FROM filled AS f
    JOIN days AS d USING (source, day)
    WHERE d.lines > 0
    GROUP BY ALL
),

expected AS (
    SELECT
        f.source, f.start, f.lines,
        CASE
            WHEN r.days > 3 AND coalesce(f.start >= f.opens AND f.start < f.closes, false)
            THEN r.usual
            WHEN r.days > 3 THEN r.at_least
            WHEN d.average >= 40 AND f.start >= f.opens AND f.start < f.closes THEN d.average
            ELSE 0
        END AS lines_expected
    FROM filled AS f
    JOIN rhythm AS r USING (source, working, quarter)
    JOIN days AS d USING (source, day)
    WHERE f.day BETWEEN $from AND $to
),

silent AS (
    SELECT * FROM expected WHERE lines = 0 AND lines_expected >= 1
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
HAVING count(*) >= 2 AND sum(lines_expected) >= 40
ORDER BY start, source
