-- Enters outcome-deciding settings that nobody has entered yet.
--   $1 text[]    names
--   $2 text[]    values
--   $3 bool      true: ours replace what is there
INSERT INTO outcome_settings AS s (name, value)
SELECT * FROM unnest($1::text[], $2::text[]) AS i (name, value) ORDER BY i.name
ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()
    WHERE $3::bool AND s.value <> excluded.value
