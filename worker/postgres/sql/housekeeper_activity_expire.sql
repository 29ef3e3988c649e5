-- Activity outside every partition that is older than it has to be kept goes, some at a time.
--   $1 int4   months to keep, besides the present one; at least 1
--   $2 int4   how many at most
-- Gives how many went.
SELECT expire_activity(
    (date_trunc('month', now() AT TIME ZONE 'UTC') - greatest($1::int4, 1) * interval '1 month')::date,
    $2::int4)
