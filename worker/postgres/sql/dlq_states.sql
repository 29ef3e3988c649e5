-- What became of the letters with these ids, in their order.
--   $1 bigint[]  ids
SELECT i.id,
       CASE WHEN d.id IS NULL THEN 'unknown'
            WHEN erased_at IS NOT NULL THEN 'erased'
            WHEN discarded_at IS NOT NULL THEN 'discarded'
            WHEN replayed_at IS NOT NULL THEN 'replayed'
            ELSE 'open' END
FROM (SELECT id, min(ordinal) AS ordinal
      FROM unnest($1::bigint[]) WITH ORDINALITY AS u (id, ordinal) GROUP BY id) AS i
LEFT JOIN dead_letters d ON d.id = i.id
ORDER BY i.ordinal
