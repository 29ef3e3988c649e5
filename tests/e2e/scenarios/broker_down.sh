# shellcheck shell=bash disable=SC2154
# the broker killed and restarted, then stopped and restarted, under load
stage broker_down
run_worker --workers 2
play --students 300 --seconds 25 &
player=$!
sleep 4
"$root/compose/kafka" restart "$stack/kafka" KILL
sleep 4
"$root/compose/kafka" restart "$stack/kafka" TERM
kill -0 "$worker" || fail "attemptd run ended"
wait "$player"
settle 90
stop_worker
verify
