-- Outcome-deciding settings in which we differ from the database.
--   $1 text[]    names
--   $2 text[]    values
SELECT s.name, i.value, s.value
FROM unnest($1::text[], $2::text[]) AS i (name, value)
JOIN outcome_settings s ON s.name = i.name
WHERE s.value <> i.value
ORDER BY s.name
