# shellcheck shell=bash disable=SC2154
# views follow the attempts: by command, by message, and only when there is something new
stage views
run_worker
play --students 80 --seconds 2 --clean
settle
expect 0 attemptd refresh
in_step() {
    [ "$(sql "SELECT sum(attempts) FROM exam_attempt_stats")" = \
        "$(sql "SELECT count(*) FROM attempts WHERE exam_id IS NOT NULL")" ]
}
in_step || fail "attemptd refresh"
told() {
    kcat -C -q -e -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}cache.invalidations" -f '%k\n' |
        grep -cx view:exam_attempt_stats
}
more() { [ "$(told)" -gt "$before" ]; }
before=0
within 10 more
play --students 40 --seconds 1 --clean --seed 5
settle
before=$(told) || true
send view.refresh exam_attempt_stats "{\"type\":\"view.refresh.requested.v1\",\"id\":\"$(uuid)\",\"data\":{\"view\":\"exam_attempt_stats\"}}"
within 30 in_step
within 10 more
stop_worker
expect 0 attemptd refresh
[ "$(attemptd refresh --if-stale | grep -c ' is fresh$')" = 3 ] || fail "refreshed without need"
verify
sql "INSERT INTO attempts (id) VALUES (gen_random_uuid())"
[ "$(attemptd refresh --if-stale | grep -c ' refreshed in ')" = 3 ] || fail "not refreshed"
