-- Refreshes a view for its readers without their noticing.
--   $1 text   view
SELECT refresh_view($1::text)
