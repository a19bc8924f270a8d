-- Lines of listed services with what opened them: a page of the service, or another site's page.
-- in:  lines, loaded, $frame, $frame_flow, $loading, $session (ms), $leader_bytes
-- out: the columns of lines, since (ms since the last line of another page's load), opens (visit |
--      frame | null), context (embedded: of another site's page; action: of a log-in or share
--      window; null: of the service's own)
WITH fronts AS (
    -- Two services in one instant: each is another one for the other.
    SELECT
        person, start AS seen, CASE WHEN min(service) = max(service) THEN min(service) END AS service
    FROM lines
    WHERE (tunnel AND role = 'site' AND bytes > $leader_bytes)
       OR (kind = 'page' AND came IN ('person', 'none', 'search'))
    GROUP BY person, start
),

-- A page of one listed service may bring another's buttons along.
after AS (
    SELECT
        n.*,
        least(
            n.start - l.seen,
            CASE WHEN f.service IS DISTINCT FROM n.service THEN n.start - f.seen END
        ) AS since
    FROM lines AS n
    ASOF LEFT JOIN loaded AS l ON l.person = n.person AND l.seen <= n.start
    ASOF LEFT JOIN fronts AS f ON f.person = n.person AND f.seen < n.start
),

opening AS (
    SELECT
        *,
        CASE
            WHEN kind = 'frame' THEN 'frame'
            WHEN kind = 'page' THEN CASE
                WHEN came IN ('person', 'none', 'search') THEN 'visit'
                WHEN came IN ('own', 'shim') THEN 'inner'
                WHEN since <= CASE WHEN came = 'other' THEN $frame ELSE $loading END
                THEN 'frame'
                ELSE 'visit'
            END
        END AS opens
    FROM after
),

frames AS (
    SELECT
        *,
        max(CASE WHEN opens = 'frame' THEN start END) OVER earlier AS framed,
        max(CASE WHEN opens = 'visit' THEN start END) OVER earlier AS begun
    FROM opening
    WINDOW earlier AS (
        PARTITION BY person, service ORDER BY start, opens NULLS LAST, file, line
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),

settled AS (
    SELECT
        * REPLACE (
            CASE
                WHEN opens IS DISTINCT FROM 'inner' THEN opens
                -- A page that passes a click on opens nothing by itself.
                WHEN came = 'shim' THEN CASE WHEN start - begun <= $session THEN 'visit' END
                -- A page of a page: of the frame just opened, or of the visit before.
                WHEN start - framed <= $frame_flow OR (begun IS NULL AND since <= $loading)
                THEN 'frame'
                ELSE 'visit'
            END AS opens
        )
    FROM frames
),

before AS (
    SELECT
        *,
        max(CASE WHEN opens = 'visit' THEN start END) OVER earlier AS visited,
        max(CASE WHEN kind = 'share' THEN start END) OVER earlier AS shared
    FROM settled
    WINDOW earlier AS (
        PARTITION BY person, service ORDER BY start, opens NULLS LAST, file, line
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)

SELECT
    * EXCLUDE (visited, framed, shared, begun),
    CASE
        WHEN opens = 'frame' THEN 'embedded'
        WHEN kind = 'share' THEN 'action'
        WHEN opens = 'visit' OR tunnel THEN NULL
        -- What a frame loads calls itself the service's own; a player in it goes on for long.
        WHEN framed > coalesce(greatest(visited, shared), 0)
             AND (start - framed <= $frame_flow OR media OR visited IS NULL) THEN 'embedded'
        WHEN shared > coalesce(greatest(visited, framed), 0) AND start - shared <= $frame_flow
        THEN 'action'
    END AS context
FROM before
