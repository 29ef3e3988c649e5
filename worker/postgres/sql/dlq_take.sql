-- The next letters to be sent again, locked: a second operator waits here, and then finds them sent.
--   $1 bigint[]  ids, null for all        $2 text     reason code, null for all
--   $3 bigint    after this id            $4 boolean  also those that were sent or discarded before
--   $5 bigint    not after this id        $6 int      at most so many
SELECT jsonb_build_object(
    'id', id, 'topic', topic, 'partition', partition, 'record_offset', record_offset,
    'headers', headers, 'state', 'open',
    'key_base64', translate(encode(record_key, 'base64'), E'\n', ''),
    'value_base64', translate(encode(record_value, 'base64'), E'\n', ''))::text
FROM dead_letters
WHERE ($1::bigint[] IS NULL OR id = ANY ($1::bigint[]))
  AND ($2::text IS NULL OR reason = $2)
  AND id > $3::bigint AND id <= $5::bigint
  AND ($4::boolean OR replayed_at IS NULL AND discarded_at IS NULL)
  AND erased_at IS NULL
ORDER BY id
LIMIT $6::int
FOR UPDATE
