-- The addresses that lines of listed services came from: which are own devices the policy says.
-- in:  listed
-- out: client
SELECT DISTINCT client FROM listed WHERE client IS NOT NULL ORDER BY client
