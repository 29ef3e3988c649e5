-- A new generation of the log begins; the old row is kept in audit_log. Nothing happens when the row
-- is no longer the one that the operator was shown. The row is locked already.
--   $1 text    topic             $2 int     partition
--   $3 bigint  generation seen   $4 bigint  next_offset seen
--   $5 bigint  first and next offset from now on
--   $6 bigint  published offset: the same, or one less when something before it was not told
--   $7 text    reason            $8 jsonb   what was found
--   $9 bigint  the highest generation that was seen: higher, if the database was put back
WITH old AS (
    SELECT p.generation, to_jsonb(p) AS whole
    FROM ingest_progress p
    WHERE topic = $1 AND partition = $2::int
      AND generation = $3::bigint AND next_offset = $4::bigint
), raised AS (
    UPDATE ingest_progress AS p
    SET generation = greatest(old.generation, $9::bigint) + 1, epoch = p.epoch + 1, owner = NULL,
        first_offset = $5::bigint, next_offset = $5::bigint, published_offset = $6::bigint,
        records = 0, applied = 0, duplicate = 0, stale = 0, late = 0, dead = 0, gaps = 0,
        anchor_offset = NULL, anchor_timestamp_ms = NULL, anchor_hash = NULL, updated_at = now()
    FROM old
    WHERE p.topic = $1 AND p.partition = $2::int
    RETURNING p.generation
), kept AS (
    INSERT INTO audit_log (action, topic, partition, reason, detail)
    SELECT 'accept-gap', $1, $2::int, $7,
           $8::jsonb || jsonb_build_object('generation', raised.generation, 'before', old.whole)
    FROM old, raised
), forgotten AS (
    -- the sum of offsets that a view remembers says nothing any more: each is due for a refresh
    UPDATE view_schedules SET position = NULL WHERE EXISTS (SELECT FROM raised)
)
SELECT generation FROM raised
