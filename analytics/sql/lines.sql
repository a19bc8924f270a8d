-- Lines of listed services, each with what it can be taken for by itself.
-- in:  listed, categories (category: what the policy calls social media), shims (host: passes a click
--      on), $from, $last (instants: the local day's end, and since when lines may reach into it)
-- out: one row a line: person, service, category, file, line, start, fin (epoch ms), tunnel, role,
--      kind (page | frame | share | flow | empty | tunnel), came (from: person | shim | none | own |
--      search | other | unsaid), bytes, media, post
-- Left out, and told of in tally: refused lines, contacts, nobody's lines, and a connection whose
-- inside is logged line by line.
WITH used AS MATERIALIZED (
    SELECT
        person, service, category, source, file, line, role, path_role, referrer, method, status,
        content_type, host, "fetch",
        grain = 'tunnel' AS tunnel,
        epoch_ms(time) AS fin,
        -- A connection open for more than a day tells nothing of when it was used.
        epoch_ms(time) - CASE WHEN duration_ms BETWEEN 0 AND 86400000 THEN duration_ms ELSE 0 END
            AS start,
        coalesce(bytes_down, 0) AS bytes
    FROM listed
    WHERE category IN (SELECT category FROM categories)
      AND verdict = 'allowed' AND grain <> 'contact' AND person IS NOT NULL
      -- A connection without a known size proves nothing but that it was there.
      AND NOT (grain = 'tunnel' AND coalesce(bytes_down, 0) = 0)
      AND start >= epoch_ms($from) AND start < epoch_ms($last)
),

-- What a source logs at all: without content types or referers other signs have to do.
sources AS (
    SELECT
        source,
        bool_or(content_type IS NOT NULL) AS types,
        bool_or(referrer IS NOT NULL) AS referers
    FROM used
    WHERE NOT tunnel
    GROUP BY source
),

-- For each connection the last request to the same host that began before it ended. (An ASOF join
-- says the same and made this question five times as slow over so many people and hosts.)
inside AS (
    SELECT
        *,
        max(CASE WHEN NOT tunnel THEN start END) OVER (
            PARTITION BY person, host ORDER BY CASE WHEN tunnel THEN fin ELSE start END
        ) AS within
    FROM used
),

opened AS (
    SELECT *
    FROM inside
    -- A connection the proxy looked into shows its requests as lines of their own.
    WHERE NOT tunnel OR within IS NULL OR within < start - 2000
)

SELECT
    person, service::service_word AS service, category::category_word AS category,
    file, line, start, fin, tunnel, role::role_word AS role,
    (CASE
        WHEN path_role = 'share' THEN 'share'
        WHEN tunnel THEN CASE WHEN role = 'embed' THEN 'frame' ELSE 'tunnel' END
        WHEN host IN (SELECT host FROM shims) THEN 'page'
        -- The browser's own word, where it is logged, is better than any guess.
        WHEN "fetch" = 'person' AND role IN ('site', 'asset') AND coalesce(status, 200) < 400 THEN 'page'
        WHEN "fetch" = 'frame' AND referrer IS DISTINCT FROM service THEN 'frame'
        WHEN role = 'embed' OR path_role = 'embed'
            THEN CASE WHEN referrer = service THEN 'empty' ELSE 'frame' END
        WHEN "fetch" IS NULL AND method = 'GET' AND path_role = 'page' AND coalesce(status, 200) IN (200, 203, 206, 304)
             AND (role = 'site' OR (role = 'asset' AND referrer IS DISTINCT FROM service))
             AND (
                content_type IN ('text/html', 'application/xhtml+xml')
                OR (role = 'site' AND NOT coalesce(types, false))
             ) THEN 'page'
        WHEN coalesce(referrer, service) NOT IN (service, 'search') THEN 'frame'
        -- Answers without a content: a web socket (written when it closes), a ping, a redirect.
        WHEN coalesce(status, 200) NOT IN (200, 201, 202, 203, 206) THEN 'empty'
        ELSE 'flow'
    END)::kind_word AS kind,
    (CASE
        WHEN host IN (SELECT host FROM shims) THEN 'shim'
        WHEN "fetch" = 'person' THEN 'person'
        WHEN referrer IS NULL THEN CASE WHEN coalesce(referers, false) THEN 'none' ELSE 'unsaid' END
        WHEN referrer = service THEN 'own'
        WHEN referrer = 'search' THEN 'search'
        ELSE 'other'
    END)::came_word AS came,
    bytes,
    coalesce(content_type LIKE 'video/%' OR content_type LIKE 'audio/%', false) AS media,
    coalesce(method = 'POST', false) AS post
FROM opened
LEFT JOIN sources USING (source)
