-- All that one flush does to each attempt, as one row write.
--   $1 uuid[]         attempts, sorted
--   $2 int8[]         expected version of the first applied write
--   $3 int8[]         version after the last one
--   $4 jsonb[]        changed answers, null values clear a key; null: none
--   $5 jsonb[]        auto_save_data; null: stays
--   $6 timestamptz[]  submitted_at; null: not submitted by this
--   $7 uuid[]         the ids of all events, attempt by attempt
--   $8 int4[]         the first of them for each attempt, from 1
--   $9 int4[]         the last of them
--   $10 int8          how far a version may jump; 0: all is judged already, the version must be the
--                     expected one (and an id that sixteen later ones pushed out may come again)
-- Rows that fail the guard do not come back: they need the careful way.
-- Said as "not submitted", because "in progress" invites the planner to walk the partial index of
-- all attempts in progress, once for each row.
-- prior_version carries the old version out, which RETURNING cannot see.
UPDATE attempt_rows AS r
SET answers = CASE WHEN w.patch IS NULL THEN r.answers ELSE attempt_merge(r.answers, w.patch) END,
    auto_save_data = coalesce(w.auto_save_data, r.auto_save_data),
    prior_version = r.version,
    version = w.version,
    revision = r.revision + 1,
    status = CASE WHEN w.submitted_at IS NULL THEN r.status ELSE 'submitted' END,
    submitted_at = coalesce(w.submitted_at, r.submitted_at),
    updated_at = now(),
    recent_event_ids =
        r.recent_event_ids[cardinality(r.recent_event_ids) + w.last_id - w.first_id - 14 :]
        || ($7::uuid[])[greatest(w.first_id, w.last_id - 15) : w.last_id]
FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::jsonb[], $5::jsonb[], $6::timestamptz[],
            $8::int4[], $9::int4[]) WITH ORDINALITY
    AS w (attempt_id, expected_first, version, patch, auto_save_data, submitted_at,
          first_id, last_id, ordinal)
WHERE r.id = w.attempt_id
  AND r.version <= w.expected_first
  AND w.expected_first - r.version <= $10::int8
  AND r.status <> 'submitted'
  AND ($10::int8 = 0 OR NOT r.recent_event_ids && ($7::uuid[])[w.first_id : w.last_id])
RETURNING w.ordinal, r.prior_version, r.revision, r.exam_id,
          CASE WHEN w.submitted_at IS NOT NULL THEN r.answers::text END
