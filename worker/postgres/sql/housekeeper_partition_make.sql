-- One step towards a partition for the first month that needs one.
--   $1 int4   months ahead
--   $2 int4   months to keep, besides the present one; 0: all
-- Gives its name, 'moving' (there is more to do) or 'busy' (another worker does it); null if there
-- is nothing to do.
SELECT make_activity_partition(activity_month_wanted($1::int4, $2::int4))
