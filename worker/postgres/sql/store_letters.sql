-- Dead records of the ledger's topics, byte for byte. A conflict here would mean a record judged
-- twice, so there is no ON CONFLICT.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 int8[]    generations
--   $4 int8[]    offsets
--   $5 bytea[]   keys
--   $6 bytea[]   values
--   $7 jsonb[]   headers: [["name","base64"],...]
--   $8 text[]    reason codes
--   $9 text[]    details for people, null for none
--   $10 uuid[]   attempts, where they could be read
--   $11 uuid[]   events, where they could be read
INSERT INTO dead_letters (topic, partition, generation, record_offset, record_key, record_value,
                          headers, reason, detail, attempt_id, event_id)
SELECT * FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], $5::bytea[], $6::bytea[],
                     $7::jsonb[], $8::text[], $9::text[], $10::uuid[], $11::uuid[])
