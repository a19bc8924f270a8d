-- Local days on which any source wrote a line.
-- in:  feed, $zone
-- out: day
SELECT DISTINCT timezone($zone, start)::DATE AS day FROM feed
