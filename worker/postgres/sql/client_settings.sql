-- The settings of a command's session, whoever's defaults they replace.
--   $1 text   schema
--   $2 text   statement_timeout in ms, 0 for none
--   $3 text   lock_timeout in ms, 0 for none
SELECT set_config('search_path', quote_ident($1::text) || ', pg_temp', false),
       set_config('statement_timeout', $2::text, false),
       set_config('lock_timeout', $3::text, false),
       set_config('timezone', 'UTC', false)
