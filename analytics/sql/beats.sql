-- A person's lines of one service that came together: a beat, and how it stands among the others.
-- in:  members, loads, $loading (ms), $flow_bytes, $step, $kept (shares)
-- out: one row a beat: person, service, category, beat, tunnel, start, last (start of its last
--      line), busy (when its connections fell silent), page (a page was opened), said (a person's
--      navigation, by the browser's word), flows, media, site, assets, volume, carried (bytes beyond
--      an idle connection's), since, next_load (ms), loading, quiet_before (ms), periodic (keeps the
--      step of a timer)
WITH whole AS (
    SELECT
        person, service, beat,
        min(category) AS category,
        bool_or(tunnel) AS tunnel,
        min(start) AS start,
        max(start) AS last,
        max(fin) AS fin,
        max(CASE WHEN tunnel THEN busy ELSE start END) AS busy,
        coalesce(bool_or(opens = 'visit'), false) AS page,
        coalesce(bool_or(opens = 'visit' AND came = 'person'), false) AS said,
        arg_min(since, start) AS since,
        sum(CASE WHEN tunnel AND role IN ('site', 'asset') THEN bytes ELSE 0 END) AS volume,
        sum(net) AS carried,
        bool_or(tunnel AND role = 'site') AS site,
        count(*) FILTER (tunnel AND role = 'asset') AS assets,
        -- An app's interface keeps a rhythm of its own beside the pages'.
        bool_and(tunnel AND role = 'api') AS aside,
        -- A program sends no referer where a browser sends one.
        count(*) FILTER (
            kind = 'flow' AND came IN ('own', 'unsaid') AND (post OR bytes > $flow_bytes)
        ) AS flows,
        bool_or(media AND kind = 'flow') AS media
    FROM members
    GROUP BY person, service, beat
),

placed AS (
    SELECT
        *,
        tunnel AND coalesce(since <= $loading, false) AS loading,
        start - max(CASE WHEN NOT tunnel OR coalesce(since > $loading, true) THEN fin END) OVER (
            PARTITION BY person, service ORDER BY start
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS quiet_before,
        -- A playing video asks for its next piece like a clock.
        CASE WHEN NOT media THEN start - lag(start) OVER w END AS gap
    FROM whole
    WINDOW w AS (PARTITION BY person, service, aside ORDER BY start)
),

-- A timer keeps its step; one question in ten may be lost, or asked elsewhere.
steps AS (
    SELECT *, median(gap) OVER near AS middle, lead(gap) OVER w AS gap_after
    FROM placed
    WINDOW w AS (PARTITION BY person, service, aside ORDER BY start),
        near AS (
            PARTITION BY person, service, aside ORDER BY start
            ROWS BETWEEN 5 PRECEDING AND 5 FOLLOWING
        )
),

timers AS (
    SELECT
        *,
        CASE
            WHEN count(gap) OVER near >= 6 AND avg(CASE
                WHEN abs(gap - middle) <= $step * middle OR abs(gap - 2 * middle) <= $step * middle
                THEN 1.0
                ELSE 0
            END) OVER near >= $kept
            THEN middle
        END AS timer
    FROM steps
    WINDOW near AS (
        PARTITION BY person, service, aside ORDER BY start
        ROWS BETWEEN 5 PRECEDING AND 5 FOLLOWING
    )
),

-- The first and last questions of a timer have too few neighbours of their own to show it.
rhythm AS (
    SELECT
        * EXCLUDE (timer, middle),
        coalesce(
            timer,
            last_value(timer IGNORE NULLS) OVER (
                PARTITION BY person, service, aside ORDER BY start
                ROWS BETWEEN 6 PRECEDING AND 1 PRECEDING
            ),
            first_value(timer IGNORE NULLS) OVER (
                PARTITION BY person, service, aside ORDER BY start
                ROWS BETWEEN 1 FOLLOWING AND 6 FOLLOWING
            )
        ) AS timer
    FROM timers
)

SELECT
    r.* EXCLUDE (gap, gap_after, timer, aside, fin),
    coalesce(
        abs(gap - timer) <= $step * timer OR abs(gap - 2 * timer) <= $step * timer
        OR abs(gap_after - timer) <= $step * timer OR abs(gap_after - 2 * timer) <= $step * timer,
        false
    ) AS periodic,
    l.first - r.start AS next_load
FROM rhythm AS r
ASOF LEFT JOIN loads AS l
    ON l.person = r.person AND l.first >= r.start
