-- Whether the devices a person used were used by others on the same days.
-- in:  client_days (user, client, day), asked (user, week, first_day, last_day: local days)
-- out: a row of `asked` each, where the person was there: user, week, clients (addresses the person
--      used), shared (of these, used under other names as well)
WITH others AS (
    -- One of several names is another's, whoever asks. A 407 before the log-in carries the bare
    -- address: that is nobody else.
    SELECT client, day, min("user") AS lowest, max("user") AS highest
    FROM client_days
    WHERE "user" <> client
    GROUP BY ALL
),

own AS (
    SELECT DISTINCT a.*, c.client
    FROM asked AS a
    JOIN client_days AS c ON c."user" = a."user" AND c.day BETWEEN a.first_day AND a.last_day
)

SELECT
    own."user",
    own.week,
    count(DISTINCT own.client)::INTEGER AS clients,
    count(DISTINCT own.client) FILTER (
        WHERE o.lowest <> own."user" OR o.highest <> own."user"
    )::INTEGER AS shared
FROM own
LEFT JOIN others AS o ON o.client = own.client AND o.day BETWEEN own.first_day AND own.last_day
GROUP BY ALL
