# shellcheck shell=bash disable=SC2154
# a constraint that refuses one event: that one is dead, its neighbours are not
stage constraint
sql "ALTER TABLE attempt_rows ADD CONSTRAINT no_forbidden CHECK (NOT attempt_rows.answers ? 'forbidden')"
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
stop_worker
verify --refused "$refused"
