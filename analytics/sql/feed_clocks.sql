-- Sources whose day runs ahead of, or behind, the day of the others: a clock or a zone that is wrong.
-- in:  feed (the weeks around), $most (hours: how far clocks are thought to be off)
-- out: source, shift_min (minutes by which its times lie after the others'), likeness (the correlation
--      of its rhythm with theirs at that shift, -1 to 1), as_is (the same without a shift), days
-- The lines of each quarter of an hour, by a logarithm, so that one big download is no rhythm; only
-- of days on which both wrote.
WITH quarters AS (
    SELECT source, epoch_ms(start) // 900000 AS quarter, ln(1 + lines) AS weight FROM feed
),

others AS (
    SELECT s.source, q.quarter, sum(q.weight) AS weight
    FROM (SELECT DISTINCT source FROM quarters) AS s
    JOIN quarters AS q ON q.source <> s.source
    GROUP BY ALL
),

shared AS (
    SELECT DISTINCT q.source, q.quarter // 96 AS day
    FROM quarters AS q
    JOIN others AS o ON o.source = q.source AND o.quarter // 96 = q.quarter // 96
),

shifts AS (
    SELECT unnest(range(-4 * $most::INTEGER, 4 * $most::INTEGER + 1)) AS shift
),

grid AS (
    SELECT source, day, day * 96 + unnest(range(96)) AS quarter FROM shared
),

likeness AS (
    SELECT
        g.source, h.shift,
        corr(coalesce(q.weight, 0), coalesce(o.weight, 0)) AS likeness,
        count(DISTINCT g.day) AS days
    FROM grid AS g
    CROSS JOIN shifts AS h
    LEFT JOIN quarters AS q ON q.source = g.source AND q.quarter = g.quarter
    LEFT JOIN others AS o ON o.source = g.source AND o.quarter = g.quarter - h.shift
    GROUP BY ALL
)

SELECT
    b.source,
    (15 * b.shift)::INTEGER AS shift_min,
    round(b.likeness, 3) AS likeness,
    round(a.likeness, 3) AS as_is,
    b.days::INTEGER AS days
FROM (
    SELECT source, shift, likeness, days
    FROM likeness
    WHERE isfinite(likeness)
    QUALIFY row_number() OVER (PARTITION BY source ORDER BY likeness DESC, abs(shift), shift) = 1
) AS b
JOIN likeness AS a ON a.source = b.source AND a.shift = 0
ORDER BY b.source
