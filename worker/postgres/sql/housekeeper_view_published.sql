-- The invalidation of a refresh was published.
--   $1 text   view
--   $2 int8   number of the refresh
UPDATE view_schedules SET published = $2::int8 WHERE view_name = $1::text AND published < $2::int8
