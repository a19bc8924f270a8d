-- The log lines behind one person's figures: those that name a service of the policy's categories.
-- in:  events, signs, files (file, sha256), $person, $first, $last (instants)
-- out: see analytics.people.EventRow; query strings and other sites were never stored
SELECT
    strftime(e.time, '%Y-%m-%dT%H:%M:%S.%gZ') AS time,
    e.source,
    f.sha256 AS file_sha256,
    e.line,
    e.identity,
    e.client,
    e.method,
    e.verdict,
    e.status,
    e.host,
    e.service,
    e.role,
    e.category,
    e.path_role,
    e.path,
    e.referrer,
    e.content_type,
    e.duration_ms,
    e.bytes_down,
    e.bytes_up,
    s.class AS taken_for,
    s.rule
FROM events AS e
LEFT JOIN signs AS s ON s.file = e.file AND s.line = e.line
LEFT JOIN files AS f ON f.file = e.file
WHERE e."user" = $person AND e.service IS NOT NULL AND e.time >= $first AND e.time < $last
ORDER BY e.time, e.source, f.sha256, e.line
