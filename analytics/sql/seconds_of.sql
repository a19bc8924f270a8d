-- Seconds of some persons.
-- in:  seconds, $first, $last (numbers of persons, both included)
-- out: the columns of seconds
FROM seconds
WHERE person BETWEEN $first AND $last
