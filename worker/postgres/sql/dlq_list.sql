-- Dead letters, the newest first, without their bytes: one document.
--   $1 text  topic, null for all        $2 int  partition, null for all
--   $3 text  reason code, null for all  $4 boolean  also those that nobody has to look at any more
--   $5 int   at most so many
WITH chosen AS (
    SELECT id, topic, partition, generation, record_offset, attempt_id, event_id, reason, detail,
           octet_length(record_key) AS key_bytes, octet_length(record_value) AS value_bytes,
           to_char(dead_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS dead_at,
           CASE WHEN erased_at IS NOT NULL THEN 'erased'
                WHEN discarded_at IS NOT NULL THEN 'discarded'
                WHEN replayed_at IS NOT NULL THEN 'replayed'
                ELSE 'open' END AS state
    FROM dead_letters
    WHERE ($1::text IS NULL OR topic = $1)
      AND ($2::int IS NULL OR partition = $2::int)
      AND ($3::text IS NULL OR reason = $3)
      AND ($4::boolean OR replayed_at IS NULL AND discarded_at IS NULL AND erased_at IS NULL)
), page AS (
    SELECT * FROM chosen ORDER BY id DESC LIMIT $5::int
)
SELECT jsonb_build_object(
    'total', (SELECT count(*) FROM chosen),
    'letters', coalesce((SELECT jsonb_agg(to_jsonb(page) ORDER BY id DESC) FROM page), '[]'))::text
