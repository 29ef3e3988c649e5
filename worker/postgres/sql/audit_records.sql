-- What became of records that were not simply applied, in the order of the log: one page.
--   $1 text  topic      $2 int  partition      $3 bigint  generation
--   $4 bigint  from this offset on
SELECT record_offset, outcome, reason, event_id, row_version, key_hash, value_hash, erased
FROM (
    (SELECT record_offset, outcome, coalesce(reason, '') AS reason, event_id, row_version,
            NULL AS key_hash, NULL AS value_hash, erased_at IS NOT NULL AS erased
     FROM rejected_writes
     WHERE topic = $1 AND partition = $2::int AND generation = $3::bigint
       AND record_offset >= $4::bigint
     ORDER BY record_offset LIMIT 2000)
    UNION ALL
    (SELECT record_offset, 'dead', reason, event_id, NULL,
            encode(sha256(record_key), 'hex'), encode(sha256(record_value), 'hex'),
            erased_at IS NOT NULL
     FROM dead_letters
     WHERE topic = $1 AND partition = $2::int AND generation = $3::bigint
       AND record_offset >= $4::bigint
     ORDER BY record_offset LIMIT 2000)
) AS both_tables
ORDER BY record_offset
LIMIT 2000
