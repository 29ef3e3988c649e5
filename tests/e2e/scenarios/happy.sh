# shellcheck shell=bash disable=SC2154
# a quiet exam on one worker; pages answer; --drain and SIGTERM end with 0
stage happy
play --students 60 --seconds 1 --clean
run_worker --drain
within 60 wait_gone "$worker" 1
expect 0 wait "$worker"
all_settled || fail "--drain left something behind"
verify

run_worker
within 20 answers /readyz 200
play --students 60 --seconds 3 --clean --seed 2
settle
answers /livez 200 || fail "/livez"
page /status.json | sed '1,/^\r*$/d' | jq -e '.workers | length == 1' || fail "/status.json"
page /metrics | sed '1,/^\r*$/d' >metrics.txt
[ "$(grep -c '^# HELP attemptd_' metrics.txt)" -gt 10 ] || fail "/metrics"
! command -v promtool >/dev/null || expect 0 promtool check metrics <metrics.txt
attemptd status --json | jq -e . || fail "status --json"
stop_worker
verify

# The judge is not asleep.
sql "DELETE FROM activity_events WHERE event_id = (SELECT min(event_id::text)::uuid FROM activity_events)"
expect 1 python3 -B "$root/tests/e2e/verify.py" --prefix "$prefix"
expect 1 attemptd audit --replay
