-- Where the ledger stands in one partition.
--   $1 text  topic      $2 int  partition
SELECT generation, next_offset, published_offset, records, owner, anchor_offset,
       anchor_timestamp_ms, encode(anchor_hash, 'hex'),
       to_char(updated_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM ingest_progress
WHERE topic = $1 AND partition = $2::int
