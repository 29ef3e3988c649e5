-- Nobody has to look at these letters any more; each is kept in audit_log, without its bytes. The
-- attempt is not named there: it was not changed.
--   $1 bigint[]  ids        $2 text  why
WITH locked AS (
    SELECT id FROM dead_letters
    WHERE id = ANY ($1::bigint[])
      AND replayed_at IS NULL AND discarded_at IS NULL AND erased_at IS NULL
    ORDER BY id FOR UPDATE
), discarded AS (
    UPDATE dead_letters d SET discarded_at = clock_timestamp()
    FROM locked WHERE d.id = locked.id
    RETURNING d.id, d.topic, d.partition, d.generation, d.record_offset, d.reason
), kept AS (
    INSERT INTO audit_log (action, topic, partition, reason, detail)
    SELECT 'dlq-discard', topic, partition, $2,
           jsonb_build_object('letter', id, 'generation', generation,
                              'record_offset', record_offset, 'code', reason)
    FROM discarded ORDER BY id
)
SELECT id FROM discarded ORDER BY id
