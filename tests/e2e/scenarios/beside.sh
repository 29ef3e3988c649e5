# shellcheck shell=bash disable=SC2154
# changes by SQL beside the log: saves and submits by function, extra time, each told in time
stage beside
run_worker
play --students 30 --seconds 2 --clean
settle
attempt=$(uuid)
sql "INSERT INTO attempts (id, exam_id, student_id, started_at, answers)
     SELECT '$attempt', id, gen_random_uuid(), now(), '{\"q1\": 1.50}' FROM exams LIMIT 1"
[ "$(sql "SELECT outcome || version FROM batch_save_attempts('[{\"attempt_id\": \"$attempt\",
          \"expected_version\": 1, \"answers\": {\"q2\": \"B\"}}]')")" = applied2 ] || fail "save"

told() { # TOPIC KEY PATTERN
    kcat -C -q -e -b "$KAFKA_BOOTSTRAP_SERVERS" -t "$prefix$1" -f '%k\t%s\n' 2>/dev/null |
        grep "^$2" | grep -qE "$3"
}
revision=$(sql "UPDATE attempts SET deadline_at = now() + interval '10 min' WHERE id = '$attempt';
                SELECT revision FROM attempts WHERE id = '$attempt'")
within 4 told cache.invalidations "attempt:$attempt" "\"revision\":$revision,"

[ "$(sql "SELECT outcome || version FROM batch_submit_attempts(ARRAY['$attempt']::uuid[])")" = applied3 ] ||
    fail "submit"
digested() { [ "$(sql "SELECT octet_length(answers_digest) FROM submissions WHERE attempt_id = '$attempt'")" = 32 ]; }
within 5 digested
[ "$(sql "SELECT encode(answers_digest, 'hex') FROM submissions WHERE attempt_id = '$attempt'")" = \
    "$(python3 -c 'import hashlib; print(hashlib.blake2b(b"{\"q1\":1.5,\"q2\":\"B\"}", digest_size=32).hexdigest())')" ] ||
    fail "the digest is another"
within 5 told attempt.outcomes "$attempt" '"event_id":null,"outcome":"applied","version":3,.*"topic":null'
# The log's own view of the same attempt: it is late.
send attempt.writes "$attempt" "{\"type\":\"attempt.saved.v1\",\"id\":\"$(uuid)\",\"data\":{\"attempt_id\":\"$attempt\",\"expected_version\":3,\"answers\":{\"q1\":2},\"saved_at\":\"2026-11-21T12:00:00Z\"}}"
within 10 told attempt.outcomes "$attempt" '"outcome":"late","version":3,"reason":"after_submit"'
settle
stop_worker
expect 0 attemptd audit
expect 0 attemptd audit --replay
