-- Stretches in which a source wrote nothing although its own rhythm expects lines.
-- in:  feed (the weeks before and the days asked for), calendar (day, working, opens, closes: the
--      working hours from first to last, null on a day off; first, last: the day's instants), sources
--      (source, until: nothing is expected after it), spread (days, t: Student's t beyond which one
--      draw in 1/$chance lies, with so many days behind it), $zone, $from, $to (local days), $weeks
--      (how far back the rhythm goes), $chance (a silence is a gap where it comes by chance at most
--      so often)
-- out: source, start, end (UTC instants), kind (silent | late: no line after it yet), expected (lines),
--      one row a gap of half an hour or more; at the day's edges only where lines are usual
-- A day is compared with the days of its kind before it: the same weekday where four are known, else
-- all that are worked, or not, like it. Weekdays on which the source mostly sleeps expect nothing.
-- The lines of those days in the same hours give a mean and a spread (never less than so few days can
-- tell), and a negative binomial gives the chance of none. A small source pauses often: within a day a
-- silence must also be longer than its pauses grow by chance. Nobody's going home early is a gap: at a
-- day's end and beginning the silence must reach beyond the usual last and first line, and a silent
-- day must be one in twenty of its kind at most. Without three days alike, only a busy day (40 lines a
-- quarter) expects lines, in its own working hours.
WITH spans AS (
    SELECT source, min(start) AS since, max(start) AS newest FROM feed GROUP BY source
),

quarters AS (
    SELECT
        s.source, s.since, s.newest, c.day, c.working, c.opens, c.closes,
        unnest(generate_series(
            greatest(c.first, s.since), c.last - to_minutes(15), to_minutes(15)
        )) AS start
    FROM calendar AS c
    JOIN spans AS s ON c.last > s.since
),

filled AS (
    SELECT
        q.*,
        (extract('hour' FROM timezone($zone, q.start)) * 4
            + extract('minute' FROM timezone($zone, q.start)) // 15)::INTEGER AS slot,
        coalesce(f.lines, 0) AS lines
    FROM quarters AS q
    LEFT JOIN feed AS f ON f.source = q.source AND f.start = q.start
    LEFT JOIN sources AS s ON s.source = q.source
    WHERE q.start < coalesce(s.until, q.newest)
),

days AS (
    SELECT
        source, day, working,
        sum(lines) AS lines,
        min(slot) FILTER (WHERE lines > 0) AS first_slot,
        max(slot) FILTER (WHERE lines > 0) AS last_slot
    FROM filled
    GROUP BY ALL
),

-- Pauses within each day: how many begin, and how often a silent quarter is followed by another.
pauses AS (
    SELECT
        source, day,
        count(*) AS quarters,
        count(*) FILTER (WHERE lines = 0) AS silent,
        count(*) FILTER (WHERE lines = 0 AND before = 0) AS longer
    FROM (
        SELECT f.source, f.day, f.lines,
            lag(f.lines) OVER (PARTITION BY f.source, f.day ORDER BY f.start) AS before
        FROM filled AS f
        JOIN days AS d USING (source, day)
        WHERE f.slot BETWEEN d.first_slot AND d.last_slot
    )
    GROUP BY ALL
),

pairs AS (
    SELECT d.source, d.day, b.day AS other, b.lines,
        b.first_slot, b.last_slot,
        dayofweek(b.day) = dayofweek(d.day) AS same,
        -- A silence that goes on until today is the one that is judged.
        b.day < max(b.day) FILTER (WHERE b.lines > 0) OVER (PARTITION BY d.source, d.day) AS ended
    FROM days AS d
    JOIN days AS b
      ON b.source = d.source AND b.working = d.working
     AND b.day < d.day AND b.day >= d.day - 7 * $weeks::INTEGER
    WHERE d.day BETWEEN $from AND $to
),

habits AS (
    SELECT
        source, day,
        count(*) FILTER (WHERE same AND lines > 0) >= 4 AS weekly,
        CASE
            WHEN count(*) FILTER (WHERE same) >= 2
            THEN 4 * count(*) FILTER (WHERE same AND lines = 0 AND ended)
                > count(*) FILTER (WHERE same)
            ELSE 4 * count(*) FILTER (WHERE lines = 0 AND ended) > count(*)
        END AS sleeps,
        20 * count(*) FILTER (WHERE lines = 0 AND ended) <= count(*) AS always
    FROM pairs
    GROUP BY ALL
),

alike AS (
    SELECT p.source, p.day, p.other, p.first_slot, p.last_slot
    FROM pairs AS p
    JOIN habits AS h USING (source, day)
    WHERE p.lines > 0 AND NOT h.sleeps AND (p.same OR NOT h.weekly)
),

-- How the days alike begin and end, in quarters of an hour.
edges AS (
    SELECT
        a.source, a.day,
        count(*) AS days,
        avg(first_slot) AS begins, coalesce(var_samp(first_slot), 0) AS begins_by,
        avg(last_slot) AS ends, coalesce(var_samp(last_slot), 0) AS ends_by,
        (sum(p.silent - p.longer) + 1) / (count(*) + 1) AS begun,
        (sum(p.longer) + (sum(p.silent) + 0.5) / (sum(p.quarters) + 1)) / (sum(p.silent) + 1)
            AS going_on
    FROM alike AS a
    JOIN pauses AS p ON p.source = a.source AND p.day = a.other
    GROUP BY a.source, a.day
),

islands AS (
    SELECT
        *,
        start - to_minutes(15 * row_number() OVER (PARTITION BY source, day ORDER BY start)::INTEGER)
            AS run
    FROM filled
    WHERE lines = 0 AND day BETWEEN $from AND $to
),

-- Quarters of the edges in which the days alike are silent as well belong to the night.
usual AS (
    SELECT i.source, i.day, i.run, i.start, i.slot, i.newest, i.opens, i.closes
    FROM islands AS i
    JOIN alike AS a USING (source, day)
    JOIN filled AS f ON f.source = a.source AND f.day = a.other AND f.slot = i.slot
    GROUP BY ALL
    HAVING 10 * count(*) FILTER (WHERE f.lines > 0) > count(*)
),

runs AS (
    SELECT
        source, day, run, any_value(newest) AS newest,
        coalesce(bool_or(start >= opens AND start < closes), false) AS at_work,
        min(start) AS start, max(start) + to_minutes(15) AS "end",
        min(slot) AS low, max(slot) AS high
    FROM usual
    GROUP BY source, day, run
    HAVING max(start) - min(start) >= to_minutes(15)
),

-- What the days alike wrote in the hours of a silence.
windows AS (
    SELECT r.source, r.day, r.run, a.other, sum(f.lines) AS lines
    FROM runs AS r
    JOIN alike AS a USING (source, day)
    JOIN filled AS f ON f.source = a.source AND f.day = a.other AND f.slot BETWEEN r.low AND r.high
    GROUP BY ALL
),

chances AS (
    SELECT
        source, day, run,
        count(*) AS days,
        count(*) FILTER (WHERE lines = 0) AS silent,
        avg(lines) AS mean,
        1 / greatest(
            (var_samp(lines) - avg(lines)) / nullif(avg(lines) * avg(lines), 0), 1 / (count(*) - 1)
        ) AS size
    FROM windows
    GROUP BY ALL
    HAVING count(*) >= 3
),

rhythmic AS (
    SELECT r.source, r.start, r."end", r.newest, c.mean AS expected
    FROM runs AS r
    JOIN chances AS c USING (source, day, run)
    JOIN edges AS e USING (source, day)
    JOIN days AS d USING (source, day)
    JOIN habits AS h USING (source, day)
    JOIN spread AS t ON t.days = least(c.days, 30)
    WHERE c.size * ln(c.size / (c.size + c.mean)) <= ln($chance)
      AND 10 * c.silent <= c.days
      -- At night one device may be all there is: three nights alike are no rhythm.
      AND (r.at_work OR c.days >= 8)
      AND CASE
              WHEN d.lines = 0
              THEN h.always
              WHEN r.low > d.last_slot
              THEN e.ends - r.low + 1 > t.t * sqrt(greatest(e.ends_by, 4) * (1 + 1 / e.days))
              WHEN r.high < d.first_slot
              THEN r.high + 1 - e.begins > t.t * sqrt(greatest(e.begins_by, 4) * (1 + 1 / e.days))
              ELSE ln(e.begun) + (r.high - r.low) * ln(e.going_on) <= ln($chance)
          END
),

short AS (
    SELECT i.source, min(i.start) AS start, max(i.start) + to_minutes(15) AS "end",
        any_value(i.newest) AS newest, count(*) * any_value(d.lines) / 32 AS expected
    FROM islands AS i
    JOIN days AS d USING (source, day)
    WHERE d.lines >= 32 * 40
      AND i.start >= i.opens AND i.start < i.closes
      AND (SELECT count(*) FROM alike AS a WHERE a.source = i.source AND a.day = i.day) < 3
    GROUP BY i.source, i.day, i.run
    HAVING count(*) >= 2
)

SELECT
    source, start, "end",
    CASE WHEN start > newest THEN 'late' ELSE 'silent' END AS kind,
    round(expected)::BIGINT AS expected
FROM (FROM rhythmic UNION ALL BY NAME FROM short)
ORDER BY start, source
