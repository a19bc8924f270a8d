-- When a line began that may be what a tunnel to a blocked service belongs to.
-- in:  named
-- out: person, slot (two seconds, numbered since 1970)
-- By slots, since else all of a day's lines would be kept for a few of them.
SELECT DISTINCT person, epoch_ms(start) // 2000 - earlier AS slot
FROM named, (VALUES (0), (1)) AS before(earlier)
WHERE method = 'CONNECT' AND kind = 'page'
