-- Signs of a person using a service, and how long each may stand for.
-- in:  judged, loads, glimpses, persons ("user", person, identity), $session, $linked, $alone, $chained,
--      $low_cap, $glance, $look, $loading, $tunnel_most (ms)
-- out: one row a mark: user, identity, service, category, start, low_end, likely_end, high_end,
--      grade, rule, visit
WITH chosen AS (
    SELECT *
    FROM judged
    WHERE class IN ('visit', 'continuation')
),

-- Pages a person turned to: not those that a page of the service brought along.
turns AS (
    SELECT person, start AS first FROM chosen WHERE class = 'visit'
    UNION
    SELECT l.person, l.first
    FROM (FROM loads WHERE NOT brought) AS l
    ASOF LEFT JOIN (
        SELECT person, start, max(last) AS last FROM chosen GROUP BY person, start
    ) AS c ON c.person = l.person AND c.start <= l.first
    WHERE c.last IS NULL OR l.first - c.last > $loading
),

followed AS (
    SELECT
        c.*,
        lead(c.start) OVER w - c.start AS follows,
        c.start - lag(c.start) OVER w AS after,
        t.first - c.start AS elsewhere
    FROM chosen AS c
    ASOF LEFT JOIN turns AS t ON t.person = c.person AND t.first > c.last
    WINDOW w AS (PARTITION BY c.person, c.service ORDER BY c.start)
),

-- A beat's own lines cover it; what is unknown begins at its last one.
spans AS (
    SELECT
        * EXCLUDE (follows, elsewhere),
        last - start AS span,
        follows - (last - start) AS follows,
        elsewhere - (last - start) AS elsewhere
    FROM followed
),

reach AS (
    SELECT
        *,
        coalesce(follows <= $linked, false) AS linked,
        -- Nobody reads on after turning to another page, or for longer than the session lives; a
        -- person whose page was lively before falls silent soon after leaving it.
        least(follows, elsewhere, CASE
            WHEN company >= 3 AND coalesce(follows > $alone OR elsewhere < follows, true)
            THEN $chained
            ELSE $alone
        END) AS horizon
    FROM spans
),

dwell AS (
    SELECT
        *,
        span + CASE
            WHEN linked THEN least(follows, $low_cap, elsewhere)
            ELSE least($glance, horizon)
        END AS low,
        span + CASE
            WHEN linked AND elsewhere < follows THEN least(follows, greatest(elsewhere, $low_cap))
            WHEN linked THEN follows
            -- Looks are spread over orders of magnitude: the middle of what is possible is that of
            -- the logarithms.
            ELSE sqrt($look * horizon::DOUBLE)
        END AS likely,
        span + CASE
            WHEN linked THEN follows
            ELSE greatest(horizon, $look, least(busy - last, $tunnel_most))
        END AS high
    FROM reach
)

SELECT
    p."user", p.identity, service, category,
    make_timestamptz(start * 1000) AS start,
    -- An address that nobody is known behind, or several people, proves no person's minute; nor
    -- does a tab that nobody was seen to open.
    make_timestamptz(1000 * (start + CASE
        WHEN arrived AND p.identity IN ('login', 'assigned', 'lease', 'unlisted')
        THEN least(low, likely, high)::BIGINT
        ELSE 0
    END)) AS low_end,
    make_timestamptz(1000 * (start + least(likely, high)::BIGINT)) AS likely_end,
    make_timestamptz(1000 * (start + high::BIGINT)) AS high_end,
    grade,
    rule,
    -- The first sign after a session's end begins a visit, whatever it looks like.
    class = 'visit' OR coalesce(after > $session, true) AS visit
FROM dwell
JOIN persons AS p USING (person)
UNION ALL
SELECT
    p."user", p.identity, service, category,
    make_timestamptz(start * 1000), make_timestamptz(start * 1000), make_timestamptz(start * 1000),
    make_timestamptz((last + $chained) * 1000),
    'D', rule, false
FROM glimpses
JOIN persons AS p USING (person)
