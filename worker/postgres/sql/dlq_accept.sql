-- Records up to an offset that the database refuses may be dead-lettered, whatever the brake says;
-- kept in audit_log. Nothing happens to a partition that is past it. What was accepted before stays.
--   $1 text    topic      $2 int   partition
--   $3 bigint  the last offset that this is about
--   $4 text    why
-- Gives where the partition stands, and whether the word was kept; nothing without a row.
WITH locked AS (
    SELECT generation, next_offset, refusals_generation, refusals_until
    FROM ingest_progress
    WHERE topic = $1 AND partition = $2::int
    FOR UPDATE
), accepted AS (
    UPDATE ingest_progress AS p
    SET refusals_generation = l.generation,
        refusals_until = greatest($3::bigint + 1,
            CASE WHEN l.refusals_generation = l.generation THEN l.refusals_until END)
    FROM locked AS l
    WHERE p.topic = $1 AND p.partition = $2::int AND l.next_offset <= $3::bigint
    RETURNING p.generation, l.next_offset
), kept AS (
    INSERT INTO audit_log (action, topic, partition, reason, detail)
    SELECT 'dlq-accept', $1, $2::int, $4,
           jsonb_build_object('generation', generation, 'from_offset', next_offset,
                              'to_offset', $3::bigint)
    FROM accepted
)
SELECT generation, next_offset, EXISTS (SELECT FROM accepted) FROM locked
