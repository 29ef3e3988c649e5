-- Remembers the event. No row: it was done before.
--   $1 uuid
INSERT INTO plain_events (event_id) VALUES ($1) ON CONFLICT DO NOTHING
