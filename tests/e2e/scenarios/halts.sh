# shellcheck shell=bash disable=SC2154
# records lost before they were read, a ledger that is not there: the partition halts, others go on
stage halts
play --students 60 --seconds 1
run_worker --drain
expect 0 wait "$worker"
verify

play --students 60 --seconds 1 --seed 2
end=$(kcat -b "$KAFKA_BOOTSTRAP_SERVERS" -Q -t "${prefix}attempt.writes:1:-1" | awk '{ print $NF }')
echo "{\"version\":1,\"partitions\":[{\"topic\":\"${prefix}attempt.writes\",\"partition\":1,\"offset\":$end}]}" >lost.json
before=$(sql "SELECT next_offset FROM ingest_progress WHERE topic LIKE '%writes' AND partition = 1")
[ "$before" -lt "$end" ] || fail "the test lost nothing"
kafka_tool DeleteRecordsCommand --offset-json-file lost.json
run_worker
within 30 says "halt topic=${prefix}attempt.writes partition=1 reason=log_start"
says "the ledger reads on at offset $before, but the log begins at $end" || fail "no figures in the halt line"
within 10 answers /readyz 503
page /readyz | grep -q 'partition=1' || fail "/readyz does not name the partition"
others() {
    [ "$(sql "SELECT sum(next_offset) FROM ingest_progress")" = $(($(log_records) - end + before)) ]
}
within 30 others
kill -0 "$worker" || fail "attemptd run ended"
expect 0 attemptd status >status.txt
says "^! .*writes 1: the ledger is at $before, but the log begins at $end: halted .log_start." status.txt ||
    fail "status does not say which partition is halted"
[ "$(grep -c '^!' status.txt)" = 1 ] || fail "status complains of others, too: $(grep '^!' status.txt)"
expect 0 attemptd doctor >doctor.txt # the other partitions can go on
says "the ledger reads ${prefix}attempt.writes.1. on at offset $before, but the log begins at $end" doctor.txt ||
    fail "doctor does not see that the log was cut"
says "attemptd accept-gap ${prefix}attempt.writes 1 --reason WHY" doctor.txt || fail "doctor names no way on"
stop_worker
run_worker --drain
expect 65 wait "$worker"
[ "$(sql "SELECT next_offset FROM ingest_progress WHERE topic LIKE '%writes' AND partition = 1")" = "$before" ] ||
    fail "a halted partition moved"

# The same group before an empty database.
sql 'CREATE SCHEMA other'
export ATTEMPTD_SCHEMA=other
expect 0 attemptd migrate up
run_worker
within 30 says "halt .*reason=ledger_missing"
stop_worker
[ "$(sql "SELECT coalesce(sum(records), 0) FROM other.ingest_progress")" = 0 ] || fail "it read on"
