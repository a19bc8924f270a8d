-- Who used which address on which local day.
-- in:  events, days (day, first, last: its instants), $first, $last (instants, of all days together)
-- out: user, client, day
WITH quarters AS (
    -- In every zone a day begins at a quarter of an hour of UTC.
    SELECT DISTINCT "user", client, epoch_ms(time) // 900000 AS quarter
    FROM events
    WHERE time >= $first AND time < $last AND client IS NOT NULL AND "user" IS NOT NULL
      -- The device's own account is nobody else.
      AND identity IS DISTINCT FROM 'service'
)

SELECT DISTINCT q."user", q.client, d.day
FROM quarters AS q
JOIN days AS d
    ON q.quarter >= epoch_ms(d.first) // 900000 AND q.quarter < epoch_ms(d.last) // 900000
