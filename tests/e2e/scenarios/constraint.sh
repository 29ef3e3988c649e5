# shellcheck shell=bash disable=SC2154
# a constraint that refuses one event: that one is dead, its neighbours are not
stage constraint
sql "ALTER TABLE attempt_rows ADD CONSTRAINT no_forbidden CHECK (NOT attempt_fold(folded_answers, tail) ? 'forbidden')"
attempt=$(uuid) refused=$(uuid) at=2026-05-01T10:00:00Z
for version in 1 2 3; do
    answers="{\"q$version\":\"A\"}" id=$(uuid)
    if [ $version = 2 ]; then
        answers='{"forbidden":true}' id=$refused
    fi
    # The refused save leaves version 2, so that the third is a gap.
    send attempt.writes "$attempt" "{\"type\":\"attempt.saved.v1\",\"id\":\"$id\",\"data\":
{\"attempt_id\":\"$attempt\",\"expected_version\":$version,\"answers\":$answers,\"saved_at\":\"$at\"}}"
done
play --students 40 --seconds 1
run_worker
settle
[ "$(sql "SELECT count(*) FROM dead_letters WHERE reason = 'constraint'")" = 1 ] || fail "dead letters"
[ "$(sql "SELECT version FROM attempts WHERE id = '$attempt'")" = 4 ] || fail "the neighbours"

echo "-- two refused submits of different attempts halt until somebody says that they are bad;"
echo "   a restart between the two makes no difference"
first=$(uuid) second=$(uuid) topic=${prefix}attempt.writes
refused_submit() { # ID
    local other
    other=$(uuid)
    printf '%s\t{"type":"attempt.submitted.v1","id":"%s","data":{"attempt_id":"%s","expected_version":1,%s}}\n' \
        "$other" "$1" "$other" "\"answers\":{\"forbidden\":true},\"submitted_at\":\"$at\"" |
        kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "$topic" -K '\t' -p 1
}
is_letter() { [ "$(sql "SELECT detail FROM dead_letters WHERE event_id = '$1'" | grep -c '^attempt.submitted.v1 refused by PostgreSQL: 23514: .*no_forbidden')" = 1 ]; }
refused_submit "$first"
within 30 is_letter "$first"
stop_worker
run_worker
refused_submit "$second"
within 30 says "halt topic=$topic partition=1 reason=data_errors"
offset=$(sed -nE 's/.*reason=data_errors.*record at offset ([0-9]+): .*no_forbidden.*/\1/p' "$worker_log" | head -n 1)
[ -n "$offset" ] || fail "the halt line names no record and no constraint"
says "attemptd dlq accept $topic 1 $offset --reason WHY" || fail "no way on is named"
expect 64 attemptd dlq accept "$topic" 1 "$offset"
expect 64 attemptd dlq accept "$topic" 1 --reason x
expect 65 attemptd dlq accept "$topic" 1 0 --reason x
expect 65 attemptd dlq accept nothing 1 "$offset" --reason x
expect 0 attemptd dlq accept "$topic" 1 "$offset" --reason 'broken client'
[ "$(sql "SELECT reason || ' ' || (detail->>'to_offset') FROM audit_log WHERE action = 'dlq-accept'")" \
    = "broken client $offset" ] || fail "audit_log"
settle 100
[ "$(sql "SELECT count(*) FROM dead_letters WHERE reason = 'constraint'
          AND event_id IN ('$first', '$second')")" = 2 ] || fail "the accepted letters"
within 10 answers /readyz 200
stop_worker
verify --refused "$refused" --refused "$first" --refused "$second"
