-- Minutes a person, day and category, as a union over services; working time and breaks apart.
-- in:  marks, contacts, hours ("user" or null for everybody, start, end, part: working_time |
--      breaks), excused ("user" or null, service or null), own ("user", service, start: lines of
--      own devices that are not judged), $day, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `usage`; category `social_media` is the union of all categories,
--      `judged` the same without grade D, permitted services, authorised work use and own devices,
--      `excused` these last three
WITH known AS (
    SELECT
        "user", identity, service, category, grade, low_end, likely_end, high_end, start, visit,
        EXISTS (
            FROM excused AS x
            WHERE (x."user" IS NULL OR x."user" = marks."user")
              AND (x.service IS NULL OR x.service = marks.service)
        ) OR EXISTS (
            -- A sign of use and the line behind it begin together, give or take a log's rounding.
            FROM own AS o
            WHERE o."user" = marks."user" AND o.service = marks.service
              AND o.start BETWEEN marks.start - to_seconds(1) AND marks.start + to_seconds(1)
        ) AS excused
    FROM marks
),

spans AS (
    SELECT
        "user", identity, service, category, grade, excused,
        visit AND start >= $first AS visit,
        start >= $first AS begun,
        greatest(start, $first) AS start,
        least(unnest([low_end, likely_end, high_end]), $last) AS "end",
        unnest(['low', 'likely', 'high']) AS bound
    FROM known
),

counted AS (
    SELECT * FROM spans WHERE "end" > start OR (bound = 'low' AND begun)
),

labelled AS (
    SELECT *, category AS label FROM counted
    UNION ALL BY NAME
    SELECT *, 'social_media' AS label FROM counted
    UNION ALL BY NAME
    SELECT *, CASE WHEN excused THEN 'excused' ELSE 'judged' END AS label
    FROM counted
    -- Names looked up and the length of a tunnel are never held against anybody.
    WHERE excused OR grade <= 'C'
),

-- The hours that hold for a person: their own, or everybody's.
present AS (
    SELECT u."user", h.start, h."end", h.part
    FROM (SELECT DISTINCT "user" FROM marks) AS u
    JOIN hours AS h
      ON h."user" = u."user"
      OR (h."user" IS NULL AND NOT EXISTS (FROM hours AS o WHERE o."user" = u."user"))
    WHERE h.start IS NOT NULL
),

split AS (
    SELECT "user", label, bound, start, "end", 'day' AS part FROM labelled
    UNION ALL BY NAME
    SELECT
        l."user", l.label, l.bound,
        greatest(l.start, p.start) AS start, least(l."end", p."end") AS "end", p.part
    FROM labelled AS l
    JOIN present AS p ON p."user" = l."user" AND l.start < p."end" AND l."end" > p.start
),

islands AS (
    SELECT
        *,
        max("end") OVER (
            PARTITION BY "user", label, bound, part ORDER BY start, "end"
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS reached
    FROM split
),

sums AS (
    SELECT
        "user", label, bound,
        -- Each span adds only what lies beyond everything before it; whole milliseconds, whose sum
        -- is the same in any order.
        sum(length) FILTER (WHERE part = 'day') AS day_ms,
        coalesce(sum(length) FILTER (WHERE part = 'working_time'), 0) AS work_ms,
        coalesce(sum(length) FILTER (WHERE part = 'breaks'), 0) AS break_ms
    FROM (
        SELECT
            *,
            greatest(
                date_diff('millisecond', greatest(start, coalesce(reached, start)), "end"), 0
            ) AS length
        FROM islands
    )
    GROUP BY ALL
),

bounds AS (
    SELECT
        "user", label, bound, unnest(['day', 'work', 'break', 'outside']) AS part,
        -- What is neither worked nor a break lies before, after or beside the working day.
        unnest([day_ms, work_ms, break_ms, day_ms - work_ms - break_ms]) / 60000 AS minutes
    FROM sums
),

totals AS (
    SELECT
        "user", label, part,
        coalesce(max(minutes) FILTER (WHERE bound = 'low'), 0) AS low,
        coalesce(max(minutes) FILTER (WHERE bound = 'likely'), 0) AS likely,
        coalesce(max(minutes) FILTER (WHERE bound = 'high'), 0) AS high
    FROM bounds
    GROUP BY ALL
),

described AS (
    SELECT
        "user", label,
        max(grade) AS grade,
        min(identity) AS identity,
        count(*) FILTER (WHERE visit AND bound = 'low')::INTEGER AS visits
    FROM labelled
    GROUP BY ALL
),

contacted AS (
    SELECT "user", label, sum(contacts)::INTEGER AS contacts
    FROM (
        SELECT "user", category AS label, contacts FROM contacts
        UNION ALL
        SELECT "user", unnest(['social_media', 'judged']), contacts FROM contacts
    )
    GROUP BY ALL
)

SELECT
    d."user",
    $day::DATE AS day,
    d.label AS category,
    -- A bound is never above the next, whatever marks are handed over.
    t.low AS low_min,
    greatest(t.low, t.likely) AS likely_min,
    greatest(t.low, t.likely, t.high) AS high_min,
    d.grade,
    d.identity,
    w.low AS work_low_min,
    greatest(w.low, w.likely) AS work_likely_min,
    greatest(w.low, w.likely, w.high) AS work_high_min,
    d.visits,
    coalesce(c.contacts, 0)::INTEGER AS contacts,
    b.low AS break_low_min,
    greatest(b.low, b.likely) AS break_likely_min,
    greatest(b.low, b.likely, b.high) AS break_high_min,
    o.low AS outside_low_min,
    greatest(o.low, o.likely) AS outside_likely_min,
    greatest(o.low, o.likely, o.high) AS outside_high_min
FROM described AS d
JOIN totals AS t ON t."user" = d."user" AND t.label = d.label AND t.part = 'day'
JOIN totals AS w ON w."user" = d."user" AND w.label = d.label AND w.part = 'work'
JOIN totals AS b ON b."user" = d."user" AND b.label = d.label AND b.part = 'break'
JOIN totals AS o ON o."user" = d."user" AND o.label = d.label AND o.part = 'outside'
LEFT JOIN contacted AS c ON c."user" = d."user" AND c.label = d.label
