-- A new epoch for each partition: whoever held it before can commit no more. The columns of dlq
-- accept are asked for as JSON, because the schema version before ours does not have them.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 text      owner: with the epoch it says whose the partition is
UPDATE ingest_progress AS p
SET epoch = p.epoch + 1, owner = $3::text, updated_at = now()
FROM unnest($1::text[], $2::int4[]) WITH ORDINALITY AS i (topic, partition, ordinal)
WHERE p.topic = i.topic AND p.partition = i.partition
RETURNING i.ordinal, p.generation, p.first_offset, p.next_offset, p.published_offset, p.epoch,
          p.anchor_offset, p.anchor_timestamp_ms, p.anchor_hash,
          CASE WHEN (to_jsonb(p)->>'refusals_generation')::bigint = p.generation
               THEN (to_jsonb(p)->>'refusals_until')::bigint END
