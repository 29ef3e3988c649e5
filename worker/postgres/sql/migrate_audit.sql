-- A migration was applied or taken back: who, when and which.
--   $1 text   file
--   $2 text   up or down
INSERT INTO audit_log (action, detail)
VALUES ('migrate', jsonb_build_object('file', $1::text, 'direction', $2::text))
