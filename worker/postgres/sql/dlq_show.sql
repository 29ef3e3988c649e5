-- One dead letter, byte for byte.
--   $1 bigint  id
SELECT jsonb_build_object(
    'id', id, 'topic', topic, 'partition', partition, 'generation', generation,
    'record_offset', record_offset, 'attempt_id', attempt_id, 'event_id', event_id,
    'reason', reason, 'detail', detail, 'headers', headers,
    'key_base64', translate(encode(record_key, 'base64'), E'\n', ''),
    'value_base64', translate(encode(record_value, 'base64'), E'\n', ''),
    'dead_at', to_char(dead_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'replayed_at', to_char(replayed_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'discarded_at', to_char(discarded_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'erased_at', to_char(erased_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'state', CASE WHEN erased_at IS NOT NULL THEN 'erased'
                  WHEN discarded_at IS NOT NULL THEN 'discarded'
                  WHEN replayed_at IS NOT NULL THEN 'replayed'
                  ELSE 'open' END)::text
FROM dead_letters
WHERE id = $1::bigint
