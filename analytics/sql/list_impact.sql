-- Whose past days other lists would have seen otherwise, as counts.
-- in:  events, changed (host, was: the category stored, kind: named | unnamed | moved), known_findings (person, week)
-- out: kind, hosts, rows, days (UTC days), people, person_days, findings (of these people in these weeks)
WITH touched AS (
    SELECT
        c.kind,
        e.host,
        e."user",
        e.time::DATE AS day,
        strftime(e.time, '%G-W%V') AS week
    FROM events AS e
    JOIN changed AS c ON c.host = e.host AND c.was IS NOT DISTINCT FROM e.category
),

flagged AS (
    SELECT t.kind, count(*) AS findings
    FROM (SELECT DISTINCT kind, "user", week FROM touched) AS t
    JOIN known_findings AS f ON f.person = t."user" AND f.week = t.week
    GROUP BY ALL
)

SELECT
    kind,
    count(DISTINCT host)::INTEGER AS hosts,
    count(*)::BIGINT AS rows,
    count(DISTINCT day)::INTEGER AS days,
    count(DISTINCT "user")::INTEGER AS people,
    count(DISTINCT ("user", day)) FILTER (WHERE "user" IS NOT NULL)::INTEGER AS person_days,
    coalesce(max(findings), 0)::INTEGER AS findings
FROM touched
LEFT JOIN flagged USING (kind)
GROUP BY kind
ORDER BY kind
