-- How far the whole group is, whoever owns the partitions.
SELECT topic, partition::bigint, published_offset, next_offset
FROM ingest_progress;
