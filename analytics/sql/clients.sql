-- The addresses lines came from, each once: which of them are own devices the policy says.
-- in:  events
-- out: client
SELECT DISTINCT client FROM events WHERE client IS NOT NULL ORDER BY client
