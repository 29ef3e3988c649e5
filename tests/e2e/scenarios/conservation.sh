# shellcheck shell=bash disable=SC2154
# conservation is a live figure: what somebody does to the ledger by hand is seen, and named; the audit
# sees whatever is not as the log says
stage conservation
play --students 120 --seconds 1
going=11111111-1111-4111-8111-111111111111 # the one attempt that stays in progress
send attempt.writes "$going" "{\"type\":\"attempt.saved.v1\",\"id\":\"$(uuid)\",\"data\":{
\"attempt_id\":\"$going\",\"expected_version\":1,\"saved_at\":\"2026-05-01T10:00:00Z\"}}"
run_worker
settle
stop_worker

# A copy of the database is changed behind its triggers' backs, and audited: falsified NAME SQL
falsified() {
    psql "${ADMIN_URL%/*}/postgres" -Xq -c "CREATE DATABASE conservation_$1 TEMPLATE conservation OWNER attemptd"
    psql "${ADMIN_URL%/*}/conservation_$1" -Xq -v ON_ERROR_STOP=1 -c "
        ALTER TABLE attempt_rows DISABLE TRIGGER USER; ALTER TABLE attempt_answers DISABLE TRIGGER USER;
        ALTER TABLE dead_letters DISABLE TRIGGER USER; ALTER TABLE ingest_progress
            DROP CONSTRAINT ingest_progress_conserved, DROP CONSTRAINT ingest_progress_offsets_ordered;
        CREATE TEMP TABLE done AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM attempt_rows
            WHERE status = 'submitted' AND deadline_at IS NOT NULL;
        CREATE TEMP TABLE rejected AS SELECT id, row_number() OVER (ORDER BY outcome, id) AS n
            FROM rejected_writes;
        CREATE TEMP TABLE letters AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM dead_letters
            WHERE topic LIKE '%writes' AND record_value IS NOT NULL;
        CREATE TEMP TABLE activity AS SELECT event_id AS id, row_number() OVER (ORDER BY event_id) AS n
            FROM activity_events; $2"
    DATABASE_URL=${DATABASE_URL%/*}/conservation_$1 expect 1 attemptd audit --replay >"$1.txt"
}
# So many differences of that kind are named, no more and no fewer: named NAME COUNT PATTERN
named() {
    [ "$(grep -cE "DIFFERENT $3" "$1.txt")" = "$2" ] || fail "not $2 differences in $1.txt: $3"
}

echo "-- each column of an attempt, of its submission, of its answers; a row too many, one too few"
falsified attempts "
    UPDATE attempt_rows SET version = version + 1, folded_answers = '{\"no\": 1}',
        auto_save_data = '{\"no\": 1}', student_id = gen_random_uuid(),
        exam_id = (SELECT e.id FROM exams e WHERE e.id <> exam_id LIMIT 1),
        started_at = started_at + interval '1 s', deadline_at = deadline_at + interval '1 s',
        submitted_at = submitted_at + interval '1 s' WHERE id = (SELECT id FROM done WHERE n = 1);
    UPDATE submissions SET event_id = gen_random_uuid(), version = version + 1, missing = missing + 1,
        submitted_at = submitted_at + interval '1 s', after_deadline = NOT after_deadline,
        answers_digest = sha256('no'), record_offset = record_offset + 1000000
    WHERE attempt_id = (SELECT id FROM done WHERE n = 2);
    INSERT INTO attempt_answers SELECT id, 'no', '1' FROM done WHERE n = 3;
    INSERT INTO attempt_answers VALUES ('$going', 'no', '1');
    UPDATE attempt_rows SET status = 'in_progress', submitted_at = NULL
    WHERE id = (SELECT id FROM done WHERE n = 4);
    INSERT INTO attempt_rows (id, revision) VALUES (gen_random_uuid(), 1);
    DELETE FROM attempt_rows WHERE id = (SELECT id FROM done WHERE n = 5)"
named attempts 1 "attempts.* with another version answers auto_save_data exam_id student_id started_at \
deadline_at submitted_at$"
named attempts 1 "attempts.* with another submissions.event_id submissions.version submissions.missing \
submissions.submitted_at submissions.after_deadline submissions.record_offset submissions.answers_digest"
named attempts 2 'attempts.* with another attempt_answers'
named attempts 1 'attempts.* with another status submitted_at'
named attempts 1 'attempts.*: expected no row, found a row that no event made'
named attempts 1 'attempts.*, found no row'
named attempts 1 'rows of records outside'

echo "-- each column of a rejected write, of a letter, of an event; one too many, one too few"
falsified records "
    UPDATE rejected_writes SET reason = CASE reason WHEN 'overtaken' THEN 'after_submit' ELSE 'overtaken' END
    WHERE id = (SELECT id FROM rejected WHERE n = 1);
    UPDATE rejected_writes SET row_version = row_version + 1 WHERE id = (SELECT id FROM rejected WHERE n = 2);
    UPDATE rejected_writes SET event = '{}' WHERE id = (SELECT id FROM rejected WHERE n = 3);
    UPDATE rejected_writes SET expected_version = 77 WHERE id = (SELECT id FROM rejected WHERE n = 4);
    UPDATE rejected_writes SET attempt_id = event_id WHERE id = (SELECT id FROM rejected WHERE n = 5);
    UPDATE dead_letters SET record_value = record_value || ' ' WHERE id = (SELECT id FROM letters WHERE n = 1);
    UPDATE dead_letters SET record_key = 'no' WHERE id = (SELECT id FROM letters WHERE n = 2);
    UPDATE dead_letters SET reason = 'no' WHERE id = (SELECT id FROM letters WHERE n = 3);
    DELETE FROM dead_letters WHERE id = (SELECT id FROM letters WHERE n = 4);
    UPDATE activity_events SET payload = '\"no\"' WHERE event_id = (SELECT id FROM activity WHERE n = 1);
    UPDATE activity_events SET event_type = 'no' WHERE event_id = (SELECT id FROM activity WHERE n = 2);
    UPDATE activity_events SET attempt_id = event_id WHERE event_id = (SELECT id FROM activity WHERE n = 3);
    DELETE FROM activity_events WHERE event_id = (SELECT id FROM activity WHERE n = 4);
    INSERT INTO activity_events SELECT gen_random_uuid(), attempt_id, event_type, payload, occurred_at
    FROM activity_events LIMIT 2"
named records 2 'rejected_writes, [^ ]* [^ ]*: expected late'
named records 3 'rejected_writes, .*: expected the event as in the log'
named records 2 "dead_letters, .*: expected the record's exact bytes"
named records 1 'dead_letters, .* found dead no$'
named records 1 'dead_letters, .* found no row'
named records 3 'activity_events, .* found other contents'
named records 1 'activity_events, .* found no row'
named records 1 'activity_events: distinct events'

echo "-- each figure of the ledger, and rows of partitions that it does not know"
falsified ledger "
    UPDATE ingest_progress SET records = records + 1, applied = applied + 1
    WHERE topic LIKE '%writes' AND partition = 0;
    UPDATE ingest_progress SET applied = applied - 1, duplicate = duplicate + 1
    WHERE topic LIKE '%writes' AND partition = 1;
    UPDATE ingest_progress SET gaps = gaps + 1 WHERE topic LIKE '%writes' AND partition = 2;
    UPDATE ingest_progress SET published_offset = next_offset + 1
    WHERE topic LIKE '%activity' AND partition = 0;
    UPDATE ingest_progress SET records = records + 3, stale = 1, late = 1, dead = dead + 1
    WHERE topic LIKE '%activity' AND partition = 1;
    UPDATE ingest_progress SET records = records + 1 WHERE topic LIKE '%activity' AND partition = 2;
    INSERT INTO rejected_writes (topic, partition, record_offset, outcome, attempt_id, event_id, event)
    VALUES ('${prefix}attempt.writes', 99, 1, 'stale', gen_random_uuid(), gen_random_uuid(), '{}');
    INSERT INTO dead_letters (topic, partition, record_offset, reason)
    VALUES ('${prefix}attempt.writes', 99, 1, 'json')"
named ledger 3 'log: records in'
named ledger 1 'ingest_progress: records = sum of the outcomes'
named ledger 1 'ingest_progress: published_offset <= next_offset'
named ledger 1 'rejected_writes: stale rows = counter'
named ledger 1 'rejected_writes: late rows = counter'
named ledger 1 'dead_letters: rows = counter'
named ledger 1 'rejected_writes: rows of partitions that no ledger knows'
named ledger 1 'dead_letters: rows of partitions that no ledger knows'
named ledger 3 'ingest_progress: replayed counter, .* (applied|duplicate):'
named ledger 1 'ingest_progress: replayed counter, .* gaps:'

echo "-- the live figure"
run_worker
differences() {
    page /metrics | sed -n 's/^attemptd_conservation_difference.*partition="\([0-9]*\)".* \([0-9]*\).*/\1 \2/p'
}
all_weighed() { [ "$(differences | wc -l)" = 6 ]; }
within 60 all_weighed
[ "$(differences | awk '{ n += $2 } END { print n }')" = 0 ] || fail "a difference where there is none"
expect 0 attemptd audit

gone=$(sql "SELECT partition || ' ' || record_offset FROM rejected_writes ORDER BY partition LIMIT 1")
[ -n "$gone" ] || fail "nothing was rejected"
admin "DELETE FROM rejected_writes WHERE topic LIKE '%writes' AND partition = ${gone% *}
       AND record_offset = ${gone#* }"
twice=$(sql "SELECT partition || ' ' || record_offset FROM rejected_writes
             WHERE partition <> ${gone% *} ORDER BY partition LIMIT 1")
admin "INSERT INTO dead_letters (topic, partition, record_offset, reason)
       VALUES ('${prefix}attempt.writes', ${twice% *}, ${twice#* }, 'json')"
admin "ALTER TABLE ingest_progress DROP CONSTRAINT ingest_progress_conserved;
       UPDATE ingest_progress SET applied = applied + 5 WHERE topic LIKE '%activity' AND partition = 1"
broken() { [ "$(differences | awk '{ n += $2 } END { print n }')" = 7 ]; }
within 60 broken
says 'conservation is broken.*attempt.writes.*"difference":1'
says 'conservation is broken.*attempt.activity.*"difference":5'
expect 1 attemptd audit >audit.txt
says "attempt.writes\[${twice% *}\]@${twice#* }.*dead_letters: json, rejected_writes" audit.txt ||
    fail "the audit does not name the record with two outcomes"
says 'change nothing by hand' audit.txt || fail 'the audit does not say what to do'
says 'records = sum of the outcomes' audit.txt || fail "the audit does not see the counters"
expect 1 attemptd audit --replay >replay.txt
says "attempt.writes\[${gone% *}\]@${gone#* }" replay.txt ||
    fail "the replay does not name the record without an outcome"
stop_worker
