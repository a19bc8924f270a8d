-- Whether the devices a person used were used by others on the same days.
-- in:  events, $person, $first, $last (instants)
-- out: clients (addresses the person used), shared (of these, used under other names as well)
WITH within AS (
    SELECT "user", client FROM events
    WHERE time >= $first AND time < $last AND client IS NOT NULL
      -- The device's own account is nobody else.
      AND identity IS DISTINCT FROM 'service'
),

own AS (SELECT DISTINCT client FROM within WHERE "user" = $person)

SELECT
    count(DISTINCT o.client)::INTEGER AS clients,
    -- A 407 before the log-in carries the bare address: that is nobody else.
    count(DISTINCT o.client) FILTER (
        WHERE w."user" IS NOT NULL AND w."user" <> $person AND w."user" <> o.client
    )::INTEGER AS shared
FROM own AS o
LEFT JOIN within AS w USING (client)
