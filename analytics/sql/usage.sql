-- Minutes a person, day and category, as a union over services; working time apart.
-- in:  marks, contacts, hours ("user" or null for everybody, start, end), excused ("user" or null,
--      service or null), $day, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `usage`; category `social_media` is the union of all categories,
--      `judged` the same without permitted services and authorised work use
WITH spans AS (
    SELECT
        "user", identity, service, category, grade,
        visit AND start >= $first AS visit,
        start >= $first AS begun,
        greatest(start, $first) AS start,
        least(unnest([low_end, likely_end, high_end]), $last) AS "end",
        unnest(['low', 'likely', 'high']) AS bound
    FROM marks
),

counted AS (
    SELECT * FROM spans WHERE "end" > start OR (bound = 'low' AND begun)
),

labelled AS (
    SELECT *, category AS label FROM counted
    UNION ALL BY NAME
    SELECT *, 'social_media' AS label FROM counted
    UNION ALL BY NAME
    SELECT *, 'judged' AS label
    FROM counted
    WHERE NOT EXISTS (
        FROM excused AS x
        WHERE (x."user" IS NULL OR x."user" = counted."user")
          AND (x.service IS NULL OR x.service = counted.service)
    )
),

-- The hours that hold for a person: their own pattern, or everybody's.
worked AS (
    SELECT u."user", h.start, h."end"
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
        greatest(l.start, w.start) AS start, least(l."end", w."end") AS "end", 'work' AS part
    FROM labelled AS l
    JOIN worked AS w ON w."user" = l."user" AND l.start < w."end" AND l."end" > w.start
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
        "user", label, bound, part,
        -- Each span adds only what lies beyond everything before it; whole milliseconds, whose sum
        -- is the same in any order.
        sum(greatest(
            date_diff('millisecond', greatest(start, coalesce(reached, start)), "end"), 0
        )) / 60000 AS minutes
    FROM islands
    GROUP BY ALL
),

totals AS (
    SELECT
        "user", label,
        coalesce(sum(minutes) FILTER (WHERE part = 'day' AND bound = 'low'), 0) AS low_min,
        coalesce(sum(minutes) FILTER (WHERE part = 'day' AND bound = 'likely'), 0) AS likely_min,
        coalesce(sum(minutes) FILTER (WHERE part = 'day' AND bound = 'high'), 0) AS high_min,
        coalesce(sum(minutes) FILTER (WHERE part = 'work' AND bound = 'low'), 0) AS work_low_min,
        coalesce(sum(minutes) FILTER (WHERE part = 'work' AND bound = 'likely'), 0)
            AS work_likely_min,
        coalesce(sum(minutes) FILTER (WHERE part = 'work' AND bound = 'high'), 0) AS work_high_min
    FROM sums
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
    t."user",
    $day::DATE AS day,
    t.label AS category,
    low_min,
    -- A bound is never above the next: the low one of several services may reach further.
    greatest(low_min, likely_min) AS likely_min,
    greatest(low_min, likely_min, high_min) AS high_min,
    d.grade,
    d.identity,
    work_low_min,
    greatest(work_low_min, work_likely_min) AS work_likely_min,
    greatest(work_low_min, work_likely_min, work_high_min) AS work_high_min,
    d.visits,
    coalesce(c.contacts, 0)::INTEGER AS contacts
FROM totals AS t
JOIN described AS d USING ("user", label)
LEFT JOIN contacted AS c USING ("user", label)
