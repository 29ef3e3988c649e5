-- One rejected write, whole: as JSON for programs, and its event for people.
--   $1 bigint  id
SELECT jsonb_pretty(jsonb_build_object(
           'id', id, 'outcome', outcome, 'reason', reason, 'attempt_id', attempt_id,
           'event_id', event_id, 'expected_version', expected_version,
           'row_version', row_version, 'topic', topic, 'partition', partition,
           'generation', generation, 'record_offset', record_offset, 'event', event,
           'rejected_at', to_char(rejected_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           'erased_at', to_char(erased_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))),
       outcome, reason, attempt_id, event_id, expected_version, row_version,
       topic || '[' || partition || '] at offset ' || record_offset || ', generation '
             || generation,
       to_char(rejected_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), jsonb_pretty(event),
       erased_at IS NOT NULL
FROM rejected_writes
WHERE id = $1::bigint
