-- Lines per source and quarter of an hour.
-- in:  events, $first, $last (the local day, UTC instants)
-- out: the columns of the dataset `feed`
SELECT source, time_bucket(to_minutes(15), time) AS start, count(*) AS lines
FROM events
WHERE time >= $first AND time < $last
GROUP BY ALL
