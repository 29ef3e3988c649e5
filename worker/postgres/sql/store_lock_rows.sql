-- Locks attempts in the order of their ids, waiting for whoever holds them.
--   $1 uuid[]    attempts
SELECT FROM attempt_rows WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
