-- Locks attempts in the order of their ids, or fails at once with 55P03: waiting here, with the
-- locks of the fast writes held, is how deadlocks are made.
--   $1 uuid[]    attempts
SELECT FROM attempt_rows WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE NOWAIT
