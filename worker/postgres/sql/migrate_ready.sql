-- What is there to begin with.
--   $1 text   schema
-- Gives the quoted name, whether the schema exists, whether there is a table of migrations,
-- whether that has our columns, and whether there is a table of the repeatable ones.
SELECT quote_ident($1::text),
       n.oid IS NOT NULL,
       c.oid IS NOT NULL,
       EXISTS (SELECT FROM pg_attribute a
               WHERE a.attrelid = c.oid AND a.attname = 'duration_ms' AND NOT a.attisdropped),
       EXISTS (SELECT FROM pg_class r
               WHERE r.relnamespace = n.oid AND r.relname = 'schema_repeatables')
FROM (SELECT) AS one_row
LEFT JOIN pg_namespace n ON n.nspname = $1::text
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'schema_migrations'
