-- Which log lines are signs of a person using a service, and how long each may stand for.
-- in:  events, categories (category: what the policy calls social media), $first, $last (instants: the local day, widened by the longest dwell before it),
--      $low_cap, $likely_cap, $high_cap (seconds a single sign may stand for), $session (seconds)
-- out: one row a mark: user, identity, service, category, start, low_end, likely_end, high_end,
--      grade, rule
-- The simple rules of the method in docs/time-in-use.md: U1 navigation and C1 leading burst are
-- visits; U5 and C2 continue an open visit; all else counts nothing.
WITH day AS (
    SELECT
        "user", identity, service, category, role, path_role, referrer, method,
        category IN (SELECT category FROM categories) AS social,
        coalesce(content_type, '') AS content_type,
        coalesce(bytes_down, 0) AS bytes_down,
        time - to_milliseconds(greatest(coalesce(duration_ms, 0), 0)) AS start,
        grain = 'tunnel' AS tunnel,
        status
    FROM events
    -- What a sensor or resolver saw is a contact, never a sign of presence.
    WHERE verdict = 'allowed' AND "user" IS NOT NULL AND grain <> 'contact'
      -- Nothing is logged before it began: whole row groups of the day before are never read.
      AND time >= $first AND start >= $first AND start < $last
),

-- Full URLs ------------------------------------------------------------------------------------
pages AS (
    SELECT *
    FROM day
    WHERE social AND NOT tunnel
      AND method = 'GET' AND role = 'site' AND path_role = 'page'
      AND coalesce(status, 200) BETWEEN 200 AND 399
      AND content_type IN ('', 'text/html', 'application/xhtml+xml')
),

other_pages AS (
    SELECT "user", start
    FROM day
    WHERE NOT tunnel AND service IS NULL AND content_type LIKE 'text/html%'
),

navigations AS (
    SELECT
        p."user", identity, service, category, p.start,
        true AS visit, 'B' AS grade, 'U1' AS rule
    FROM pages AS p
    -- The last page of another site, one of the same instant included (some logs have whole seconds).
    ASOF LEFT JOIN other_pages AS o ON o."user" = p."user" AND o.start <= p.start
    WHERE referrer IS NULL
       OR referrer = service
       -- A page of another site loaded just before may have put it into a frame.
       OR o.start IS NULL
       OR p.start - o.start > to_seconds(30)
),

flows AS (
    SELECT
        *,
        epoch(start - lag(start) OVER per_service) AS gap,
        epoch(start - lag(start, 2) OVER per_service) AS two_gaps
    FROM day
    WHERE NOT tunnel AND social AND role <> 'embed'
      AND coalesce(path_role, 'page') = 'page' AND referrer = service
      AND method IN ('GET', 'POST')
    WINDOW per_service AS (PARTITION BY "user", service ORDER BY start)
),

rhythm AS (
    SELECT
        *,
        stddev_pop(gap) OVER last_gaps / nullif(avg(gap) OVER last_gaps, 0) AS variation
    FROM flows
    WINDOW last_gaps AS (
        PARTITION BY "user", service ORDER BY start ROWS BETWEEN 5 PRECEDING AND CURRENT ROW
    )
),

flow_marks AS (
    SELECT "user", identity, service, category, start, false AS visit, 'B' AS grade, 'U5' AS rule
    FROM rhythm
    -- At least two a minute, and not as regular as a timer.
    WHERE two_gaps <= 60 AND coalesce(variation, 1) >= 0.2
),

-- Tunnels --------------------------------------------------------------------------------------
starts AS (
    SELECT
        *,
        CASE
            WHEN start - lag(start) OVER (PARTITION BY "user" ORDER BY start) <= to_seconds(2)
            THEN 0
            ELSE 1
        END AS opens
    FROM day
    WHERE tunnel AND bytes_down > 0
),

bursts AS (
    SELECT
        *,
        sum(opens) OVER (PARTITION BY "user" ORDER BY start RANGE UNBOUNDED PRECEDING) AS burst
    FROM starts
),

-- The first host of a burst that is a site, of a listed service or any other, leads it.
leaders AS (
    SELECT
        "user",
        burst,
        min(start) AS start,
        first(coalesce(service, '') ORDER BY start, line_order, service)
            FILTER (WHERE service IS NULL OR role = 'site') AS leader
    FROM (SELECT *, CASE WHEN role = 'site' THEN 0 ELSE 1 END AS line_order FROM bursts)
    GROUP BY ALL
),

burst_sums AS (
    SELECT
        b."user",
        min(b.identity) AS identity,
        b.service,
        min(b.category) AS category,
        b.burst,
        l.leader,
        min(b.start) AS start,
        sum(b.bytes_down) FILTER (WHERE b.role IN ('site', 'asset')) AS volume
    FROM bursts AS b
    JOIN leaders AS l USING ("user", burst)
    WHERE b.social
    GROUP BY ALL
),

-- A timer keeps its step to a tenth; a person's pages, at 20 to 60 s each, come so evenly seven
-- times in a row hardly once in a hundred.
burst_gaps AS (
    SELECT
        *,
        epoch(start - lag(start) OVER per_service) AS gap
    FROM burst_sums
    WHERE leader = service OR leader IS NULL
    WINDOW per_service AS (PARTITION BY "user", service ORDER BY start)
),

burst_rhythm AS (
    SELECT
        *,
        count(gap) OVER near_gaps >= 6
            AND coalesce(stddev_pop(gap) OVER near_gaps / nullif(avg(gap) OVER near_gaps, 0), 1) < 0.1
            AS regular
    FROM burst_gaps
    WINDOW near_gaps AS (
        PARTITION BY "user", service ORDER BY start ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING
    )
),

-- The first and last contacts of a timer have too few neighbours of their own to show it.
timers AS (
    SELECT
        *,
        bool_or(regular) OVER (
            PARTITION BY "user", service ORDER BY start ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING
        ) AS timer
    FROM burst_rhythm
),

burst_marks AS (
    SELECT
        "user", identity, service, category, start,
        coalesce(leader = service, false) AS visit,
        'C' AS grade,
        CASE WHEN leader = service THEN 'C1' ELSE 'C2' END AS rule
    FROM timers
    WHERE volume > 30000 AND NOT timer
),

-- Both -----------------------------------------------------------------------------------------
candidates AS (
    FROM navigations
    UNION ALL BY NAME FROM flow_marks
    UNION ALL BY NAME FROM burst_marks
),

-- A continuation counts only while a visit of the same service is open.
opened AS (
    SELECT
        *,
        max(CASE WHEN visit THEN start END) OVER (
            PARTITION BY "user", service ORDER BY start, visit DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS last_visit
    FROM candidates
),

marks AS (
    SELECT
        *,
        epoch(lead(start) OVER (PARTITION BY "user", service ORDER BY start, visit DESC) - start)
            AS gap
    FROM opened
    WHERE visit OR start - last_visit <= to_seconds($session)
),

-- The next sign close by confirms the time up to it; a far one confirms little.
dwell AS (
    SELECT
        *,
        CASE WHEN gap <= $high_cap THEN least(gap, $low_cap) ELSE 10 END AS low,
        CASE WHEN gap <= $session THEN least(gap, $likely_cap) ELSE 30 END AS likely,
        least(coalesce(gap, $high_cap), $high_cap) AS high
    FROM marks
)

SELECT
    "user", identity, service, category, start,
    start + to_milliseconds((1000 * least(low, likely, high))::BIGINT) AS low_end,
    start + to_milliseconds((1000 * least(likely, high))::BIGINT) AS likely_end,
    start + to_milliseconds((1000 * high)::BIGINT) AS high_end,
    grade,
    rule,
    visit
FROM dwell
