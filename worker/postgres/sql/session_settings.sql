-- The settings of a session, whoever's defaults they replace.
--   $1 text[]  names
--   $2 text[]  values
-- synchronous_commit is raised to "on" and left alone where the server asks for more.
SELECT count(set_config(s.name, s.value, false)),
       set_config('synchronous_commit',
                  CASE current_setting('synchronous_commit')
                      WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
                  false)
FROM unnest($1::text[], $2::text[]) AS s (name, value)
