# shellcheck shell=bash disable=SC2154
# SIGTERM under load ends with 0 and leaves the rest to the next; a second one ends at once
stage signals
play --students 300 --seconds 12 &
player=$!
for round in 1 2 3; do
    run_worker --workers "$round"
    within 20 answers /livez 200
    sleep 1
    kill -USR1 "$worker" && kill -USR2 "$worker" # nothing to it
    sleep 1
    stop_worker
done
wait "$player"

# Nobody can write while another session holds the table, so the first SIGTERM has to wait.
mkfifo hold
psql "$ADMIN_URL" -Xq <hold &
holder=$!
exec 4>hold
echo "BEGIN; LOCK TABLE attempt_rows, ingest_progress IN EXCLUSIVE MODE;" >&4
play --students 20 --seconds 1 --seed 4
for workers in 1 2; do
    run_worker --drain --workers $workers
    within 20 answers /livez 200
    sleep 1
    kill "$worker"
    sleep 0.5
    says 'ends the drain before everything is settled' || fail "a drain is cut short in silence"
    kill "$worker" 2>/dev/null || true
    wait_gone "$worker" 5 || fail "a second SIGTERM did not end the worker at once"
    rc=0
    wait "$worker" || rc=$?
    [ $rc = 143 ] || fail "a second SIGTERM ended the worker with $rc"
done
exec 4>&-
wait "$holder"

run_worker
settle
stop_worker
verify

# A drain that ends by itself says nothing of the kind.
run_worker --drain
wait "$worker" || fail "nothing is left, and --drain ends with $?"
! says 'ends the drain' || fail "a drain that ended by itself says that it was cut short"

# The end of a terminal is an end in order, for one worker and for a supervisor.
for workers in 1 2; do
    run_worker --workers "$workers"
    within 20 answers /readyz 200
    kill -HUP "$worker"
    wait_gone "$worker" 12 || fail "SIGHUP did not end the worker"
    rc=0
    wait "$worker" || rc=$?
    [ $rc = 0 ] || fail "SIGHUP ended the worker with $rc"
done
rc=0
attemptd produce <&- 2>closed.log || rc=$?
[ $rc = 66 ] || fail "produce without standard input ended with $rc"
says 'Bad file descriptor' closed.log || fail "produce read something that is not its input"
