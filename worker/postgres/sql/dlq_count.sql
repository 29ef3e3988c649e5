-- How many letters are open.
--   $1 text  reason code, null for all
SELECT count(*) FROM dead_letters
WHERE replayed_at IS NULL AND discarded_at IS NULL AND erased_at IS NULL
  AND ($1::text IS NULL OR reason = $1)
