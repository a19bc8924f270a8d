-- What each line of a listed service was taken for.
-- in:  openers, members, judged, persons, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `signs`
SELECT
    p."user", o.service, o.category,
    make_timestamptz(o.start * 1000) AS time,
    CASE
        WHEN o.context IS NOT NULL THEN o.context
        WHEN o.opens = 'visit' AND j.class = 'visit' AND o.kind = 'page' THEN 'visit'
        WHEN j.class = 'visit' AND o.tunnel AND o.start = j.start THEN 'visit'
        WHEN j.class = 'visit' THEN 'continuation'
        ELSE j.class
    END AS class,
    CASE
        WHEN o.context = 'action' THEN 'U3'
        WHEN o.context = 'embedded' THEN CASE WHEN o.tunnel THEN 'C4' ELSE 'U2' END
        WHEN o.came = 'shim' AND o.opens = 'visit' THEN 'U4'
        WHEN o.opens = 'visit' THEN CASE WHEN o.came = 'person' THEN 'U0' ELSE 'U1' END
        WHEN j.rule IN ('U0', 'U1') THEN 'U5'
        WHEN j.rule = 'C1' AND o.start > j.start THEN 'C2'
        ELSE j.rule
    END AS rule,
    o.file,
    o.line
FROM openers AS o
JOIN persons AS p USING (person)
LEFT JOIN (SELECT person, service, beat, file, line FROM members) AS m USING (file, line)
LEFT JOIN judged AS j
    ON j.person = m.person AND j.service = m.service AND j.beat = m.beat
WHERE o.start >= epoch_ms($first) AND o.start < epoch_ms($last)
