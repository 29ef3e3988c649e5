-- A row for a partition that the ledger does not know, above every generation that the tables of
-- outcomes know. Nothing happens when there is a row by now.
--   $1 text    topic     $2 int  partition
--   $3 bigint  first and next offset
--   $4 bigint  published offset: one less, because nobody knows what was told
--   $5 text    reason    $6 jsonb  what was found
--   $7 bigint  the highest generation that was seen
WITH known AS (
    SELECT coalesce(max(generation), 0) AS generation
    FROM (SELECT max(generation) AS generation FROM submissions
          WHERE topic = $1 AND partition = $2::int
          UNION ALL
          SELECT max(generation) FROM rejected_writes WHERE topic = $1 AND partition = $2::int
          UNION ALL
          SELECT max(generation) FROM dead_letters WHERE topic = $1 AND partition = $2::int
          UNION ALL
          SELECT max((detail->>'generation')::bigint) FROM audit_log
          WHERE action = 'accept-gap' AND topic = $1 AND partition = $2::int) AS tables
), made AS (
    INSERT INTO ingest_progress (topic, partition, generation, first_offset, next_offset,
                                 published_offset)
    SELECT $1, $2::int, 1 + greatest(generation, $7::bigint), $3::bigint, $3::bigint, $4::bigint
    FROM known
    ON CONFLICT (topic, partition) DO NOTHING
    RETURNING generation
), kept AS (
    INSERT INTO audit_log (action, topic, partition, reason, detail)
    SELECT 'accept-gap', $1, $2::int, $5,
           $6::jsonb || jsonb_build_object('generation', made.generation, 'known', known.generation,
                                         'before', NULL)
    FROM made, known
), forgotten AS (
    UPDATE view_schedules SET position = NULL WHERE EXISTS (SELECT FROM made)
)
SELECT generation FROM made
