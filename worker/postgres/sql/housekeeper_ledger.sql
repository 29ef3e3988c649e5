-- Where the ledger stands, as this session sees it: a snapshot begun after it was asked.
SELECT topic, partition::bigint, generation, next_offset, published_offset
FROM ingest_progress
