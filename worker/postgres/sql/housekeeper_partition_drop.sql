-- The oldest month goes, if it is older than it has to be kept.
--   $1 int4   months to keep, besides the present one; at least 1
-- Gives its name, null if there is none.
SELECT drop_activity_partition(
    (date_trunc('month', now() AT TIME ZONE 'UTC') - greatest($1::int4, 1) * interval '1 month')::date)
