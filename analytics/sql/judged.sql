-- Beats with the class and the rule each of them has.
-- in:  beats, $session, $fresh, $lively, $near, $after_load, $after_visit, $soon (ms),
--      $leader_bytes, $sign_bytes, $talk_bytes, $pair_bytes
-- out: the columns of beats, company (substantial beats close by), class (visit | continuation |
--      embedded | action | background), rule, grade (A | B | C),
--      arrived (the person was seen to open the service, then or before)
WITH substance AS (
    SELECT
        *,
        NOT periodic AND NOT loading AND CASE
            WHEN tunnel THEN carried > $sign_bytes
            ELSE flows > 0
        END AS substantial,
        tunnel AND NOT loading AS talking
    FROM beats
),

company AS (
    SELECT
        *,
        count(*) FILTER (substantial) OVER near AS company,
        sum(CASE WHEN substantial THEN carried ELSE 0 END) OVER near AS carried_near,
        start - lag(start) OVER (PARTITION BY person, service, talking ORDER BY start) AS pause
    FROM substance
    WINDOW near AS (
        PARTITION BY person, service ORDER BY start
        RANGE BETWEEN $lively PRECEDING AND $lively FOLLOWING
    )
),

-- Connections in one breath after silence: a conversation, where a tab is silent most of the day.
breaths AS (
    SELECT
        *,
        sum(CASE WHEN pause <= $lively THEN 0 ELSE 1 END) OVER (
            PARTITION BY person, service, talking ORDER BY start ROWS UNBOUNDED PRECEDING
        ) AS breath,
        coalesce(
            sum(CASE WHEN pause > $fresh THEN pause END) OVER whole > sum(pause) OVER whole / 2,
            true
        ) AS silent
    FROM company
    WINDOW whole AS (PARTITION BY person, service, talking)
),

talks AS (
    SELECT
        *,
        tunnel AND talking AND NOT periodic AND silent
        AND max(start) OVER one - min(start) OVER one <= $session
        AND (
            (count(*) OVER one >= 3 AND sum(carried) OVER one >= $talk_bytes)
            OR (count(*) OVER one = 2 AND sum(carried) OVER one >= $pair_bytes
                AND coalesce(since > $near, true))
        ) AS talk
    FROM breaths
    WINDOW one AS (PARTITION BY person, service, talking, breath)
),

first_look AS (
    SELECT
        *,
        CASE
            WHEN page THEN CASE WHEN said THEN 'U0' ELSE 'U1' END
            WHEN loading AND site AND volume > $leader_bytes THEN 'C4'
            WHEN tunnel AND (site OR assets > 1) AND volume > $leader_bytes AND NOT periodic
                 AND NOT loading
                 AND coalesce(since > $after_load OR next_load > $soon OR next_load IS NULL, true)
                 AND coalesce(quiet_before > $fresh, true)
            -- One look, straight from another site's page: a log-in or a share window looks so too.
            THEN CASE WHEN company <= 1 AND since <= $near THEN 'C3' ELSE 'C1' END
        END AS opened
    FROM talks
),

context AS (
    SELECT
        *,
        max(CASE WHEN opened IN ('U0', 'U1', 'C1') THEN start END) OVER w AS visited,
        max(CASE WHEN said THEN start END) OVER w AS navigated,
        max(CASE WHEN opened = 'C4' THEN start END) OVER w AS framed
    FROM first_look
    WINDOW w AS (PARTITION BY person, service ORDER BY start ROWS UNBOUNDED PRECEDING)
),

ruled AS (
    SELECT
        *,
        CASE
            WHEN opened IS NOT NULL THEN opened
            WHEN loading THEN 'C4'
            WHEN tunnel AND framed > coalesce(visited, 0) AND NOT site THEN 'C5'
            WHEN periodic THEN CASE WHEN tunnel THEN 'C6' ELSE 'U7' END
            WHEN talk OR (
                substantial
                AND (company >= 3 AND (NOT tunnel OR carried_near >= $talk_bytes)
                     OR start - visited <= $after_visit)
            ) THEN CASE WHEN tunnel THEN 'C2' ELSE 'U5' END
            ELSE CASE WHEN tunnel THEN 'C7' ELSE 'U8' END
        END AS rule
    FROM context
)

SELECT
    * EXCLUDE (substantial, talking, carried_near, pause, breath, silent, talk, opened, visited, navigated, framed),
    CASE
        WHEN rule IN ('U0', 'U1', 'C1') THEN 'visit'
        WHEN rule IN ('U5', 'C2') THEN 'continuation'
        WHEN rule = 'C3' THEN 'action'
        WHEN rule IN ('C4', 'C5') THEN 'embedded'
        ELSE 'background'
    END AS class,
    -- What a page brings along is as good as the page.
    CASE WHEN tunnel THEN 'C' WHEN navigated >= visited THEN 'A' ELSE 'B' END AS grade,
    visited IS NOT NULL AS arrived
FROM ruled
