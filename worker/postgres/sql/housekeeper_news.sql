-- What a refresh of a view that begins now will reflect.
--   $1 text   view
-- Gives ledger position, foreign changes there were, requests.
SELECT ledger_position(), foreign_position(),
       coalesce((SELECT requests FROM view_requests WHERE view_name = $1::text), 0)
