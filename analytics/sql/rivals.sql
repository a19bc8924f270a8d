-- What published rules for browsing time make of the same person-days.
-- in:  events, categories (day, category: what that day's policy calls social media),
--      people ("user": whose days are asked for), $zone, $first, $last (instants of the local days),
--      $everybody (true: all people's)
-- out: "user", day, then minutes by rule: sum_elapsed, gap5, gap5_plus1, clock_minutes, next_hit_cap3,
--      hit_share_5min, page_view_60s (docs/rivals.md names each one's source); a row a person and day
--      with a contact; all lines that name a service count, whoever caused them, at the time the log
--      has (the end), as these products do
WITH hits AS (
    SELECT
        "user",
        timezone($zone, time)::DATE AS day,
        time,
        epoch_ms(time) AS ms,
        coalesce(duration_ms, 0) AS duration_ms,
        (timezone($zone, time)::DATE, category) IN (SELECT (day, category) FROM categories)
            IS TRUE AS social,
        role, method, grain, status, source,
        coalesce(content_type, '') AS content_type
    FROM events
    WHERE time >= $first AND time < $last AND "user" IS NOT NULL
      AND grain <> 'contact'
      AND ($everybody OR "user" IN (SELECT "user" FROM people))
),

-- Where a log has these services' requests, its tunnels are no page views; where it has tunnels alone
-- (of other sites plain HTTP perhaps), those to a host people load as a page are.
inspected AS (
    SELECT source, day, bool_or(method = 'GET' AND social) AS pages FROM hits GROUP BY ALL
),

everything AS (
    SELECT
        h.*,
        CASE
            WHEN i.pages
            THEN method = 'GET' AND content_type = 'text/html' AND status BETWEEN 200 AND 299
            ELSE role = 'site' AND social
        END IS TRUE AS page
    FROM hits AS h
    JOIN inspected AS i USING (source, day)
),

following AS (
    SELECT
        *,
        lead(ms) OVER (
            PARTITION BY "user", day ORDER BY ms, duration_ms, page, social
        ) - ms AS until_next
    FROM everything
),

social AS (
    SELECT
        *,
        ms - lag(ms) OVER (PARTITION BY "user", day ORDER BY ms) AS since_last
    FROM following
    WHERE social
),

simple AS (
    SELECT
        "user", day,
        sum(duration_ms) / 60000 AS sum_elapsed,
        -- What lies between the first and the last hit, without the pauses that end a session.
        coalesce(sum(since_last) FILTER (WHERE since_last <= 300000), 0) / 60000 AS gap5,
        1 + count(*) FILTER (WHERE since_last > 300000) AS sessions,
        count(DISTINCT ms // 60000) AS clock_minutes,
        sum(least(coalesce(until_next, 180000), 180000)) / 60000 AS next_hit_cap3
    FROM social
    GROUP BY ALL
),

shared AS (
    SELECT "user", day, sum(5 * ours / every) AS hit_share_5min
    FROM (
        SELECT "user", day, count(*) FILTER (WHERE social) AS ours, count(*) AS every
        FROM everything
        GROUP BY "user", day, ms // 300000
    )
    GROUP BY ALL
),

views AS (
    SELECT "user", day, array_agg(DISTINCT ms ORDER BY ms) AS times
    FROM social
    WHERE page
    GROUP BY ALL
),

paged AS (
    SELECT
        "user", day,
        -- (minutes so far, when the running one ends): a load inside it adds nothing.
        list_reduce(
            list_transform(times, lambda t: [1, t + 60000]),
            lambda sofar, one: CASE
                WHEN one[2] - 60000 >= sofar[2] THEN [sofar[1] + 1, one[2]] ELSE sofar
            END
        )[1] AS page_view_60s
    FROM views
)

SELECT
    s."user",
    s.day,
    round(s.sum_elapsed, 2) AS sum_elapsed,
    round(s.gap5, 2) AS gap5,
    round(s.gap5 + s.sessions, 2) AS gap5_plus1,
    s.clock_minutes::DOUBLE AS clock_minutes,
    round(s.next_hit_cap3, 2) AS next_hit_cap3,
    round(h.hit_share_5min, 2) AS hit_share_5min,
    coalesce(p.page_view_60s, 0)::DOUBLE AS page_view_60s
FROM simple AS s
JOIN shared AS h USING ("user", day)
LEFT JOIN paged AS p USING ("user", day)
ORDER BY s.day, s."user"
