-- Lets the next deployer work.
--   $1 text   schema
SELECT pg_advisory_unlock(hashtextextended('attemptd migrate ' || $1::text, 0))
