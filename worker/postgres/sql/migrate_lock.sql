-- One deployer at a time, per schema. Gives whether it is us.
--   $1 text   schema
SELECT pg_try_advisory_lock(hashtextextended('attemptd migrate ' || $1::text, 0))
