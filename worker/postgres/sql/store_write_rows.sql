-- All that one flush does to each attempt, as one row write.
--   $1 uuid[]         attempts, sorted
--   $2 int8[]         expected version of the first applied write
--   $3 int8[]         version after the last one
--   $4 text[]         changed answers as JSON members, a comma before each, a null value clears a
--                     key; '': none
--   $5 text[]         auto_save_data; null: stays
--   $6 timestamptz[]  submitted_at; null: not submitted by this
--   $7 uuid[]         the ids of all events, attempt by attempt
--   $8 int4[]         the first of them for each attempt, from 1
--   $9 int4[]         the last of them
--   $10 int8          how far a version may jump; 0: all is judged already, the version must be the
--                     expected one (and an id that sixteen later ones pushed out may come again)
-- Rows that fail the guard do not come back: they need the careful way.
-- Said as "not submitted", because "in progress" invites the planner to walk the partial index of
-- all attempts in progress, once for each row.
-- In the SELECT list unnest() gives row by row; as a table it would first write all of them into a
-- tuple store, and a large flush onto the disk.
-- prior_version carries the old version out, which RETURNING cannot see.
-- The changes wait in the tail until they are 640 bytes together, then the same UPDATE folds them: less
-- is more folds, more is more log, longer rows and slower readers. No JSON gets into a tail that a
-- reader could not parse: json is a third of jsonb's price and differs from it in escapes (looked for)
-- and in numbers beyond 131,072 digits (which the decoder refuses).
UPDATE attempt_rows AS r
SET folded_answers = CASE
        WHEN w.submitted_at IS NULL AND octet_length(r.tail) + octet_length(w.members) <= 640
            THEN r.folded_answers
        ELSE attempt_fold(r.folded_answers, r.tail || w.members) END,
    tail = CASE
        WHEN w.submitted_at IS NOT NULL OR octet_length(r.tail) + octet_length(w.members) > 640 THEN ''
        WHEN strpos(w.members, '\u') > 0
            THEN CASE WHEN ('{' || right(w.members, -1) || '}')::jsonb IS NOT NULL THEN r.tail || w.members END
        WHEN ('{' || right(w.members, -1) || '}')::json IS NOT NULL THEN r.tail || w.members END,
    auto_save_data = coalesce(CASE WHEN strpos(w.auto_save_data, '\u') = 0 THEN w.auto_save_data::json
                                   ELSE w.auto_save_data::jsonb::json END, r.auto_save_data),
    prior_version = r.version,
    version = w.version,
    revision = r.revision + 1,
    status = CASE WHEN w.submitted_at IS NULL THEN r.status ELSE 'submitted' END,
    submitted_at = coalesce(w.submitted_at, r.submitted_at),
    updated_at = now(),
    recent_event_ids = CASE
        WHEN w.first_id = w.last_id
            THEN r.recent_event_ids[cardinality(r.recent_event_ids) - 14 :] || ($7::uuid[])[w.last_id]
        ELSE r.recent_event_ids[cardinality(r.recent_event_ids) + w.last_id - w.first_id - 14 :]
             || ($7::uuid[])[greatest(w.first_id, w.last_id - 15) : w.last_id] END
FROM (SELECT unnest($1::uuid[]) AS attempt_id, unnest($2::int8[]) AS expected_first,
             unnest($3::int8[]) AS version, unnest($4::text[]) AS members,
             unnest($5::text[]) AS auto_save_data, unnest($6::timestamptz[]) AS submitted_at,
             unnest($8::int4[]) AS first_id, unnest($9::int4[]) AS last_id,
             generate_series(1::int8, cardinality($1::uuid[])) AS ordinal) AS w
WHERE r.id = w.attempt_id
  AND r.version <= w.expected_first
  AND w.expected_first - r.version <= $10::int8
  AND r.status <> 'submitted'
  AND ($10::int8 = 0
       OR CASE WHEN w.first_id = w.last_id THEN ($7::uuid[])[w.last_id] <> ALL (r.recent_event_ids)
               ELSE NOT r.recent_event_ids && ($7::uuid[])[w.first_id : w.last_id] END)
RETURNING w.ordinal, r.prior_version, r.revision, r.exam_id,
          CASE WHEN w.submitted_at IS NOT NULL THEN r.folded_answers::text END
