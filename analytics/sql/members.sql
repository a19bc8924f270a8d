-- Lines of a listed service's own, by beat: what came together.
-- in:  openers, $page_gap, $tunnel_gap, $idle_most (ms), $greeting, $greeting_most (bytes), $asks
-- out: the columns of openers, beat (number within person and service), busy (when a connection fell
--      silent, ms), net (bytes of a site's or asset's connection beyond what an idle one carries)
WITH own AS (
    SELECT *,
        CASE
            WHEN start - lag(start) OVER w <= CASE WHEN tunnel THEN $tunnel_gap ELSE $page_gap END
            THEN 0
            ELSE 1
        END AS opens_beat
    FROM openers
    WHERE context IS NULL
    WINDOW w AS (PARTITION BY person, service ORDER BY start, tunnel)
),

-- What this network's connections of a service are when nothing happens on them.
idle AS (
    SELECT
        service, role,
        least(quantile_disc(fin - start, 0.1), $idle_most) AS linger,
        least(quantile_disc(bytes, 0.1), $greeting_most) AS greeting
    FROM own
    WHERE tunnel
    GROUP BY ALL
    HAVING count(*) >= 5
)

SELECT
    o.*,
    greatest(fin - coalesce(linger, 0), start) AS busy,
    CASE WHEN tunnel AND role IN ('site', 'asset') THEN greatest(
        -- A greeting, and a question now and then.
        bytes - coalesce(greeting, $greeting) * ($asks + fin - start) // $asks, 0
    ) ELSE 0 END AS net,
    sum(opens_beat) OVER (PARTITION BY person, o.service ORDER BY start) AS beat
FROM own AS o
LEFT JOIN idle USING (service, role)
