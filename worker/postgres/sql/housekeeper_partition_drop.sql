-- Months that are older than they have to be kept go.
--   $1 int4   months to keep, besides the present one; at least 1
-- Gives how many went.
SELECT cardinality(drop_activity_partitions(
    (date_trunc('month', now() AT TIME ZONE 'UTC') - greatest($1::int4, 1) * interval '1 month')::date))::int8
