# shellcheck shell=bash disable=SC2154
# kill -9 of a worker, which the supervisor restarts; kill -9 of the supervisor, whose workers end
stage killed_worker
run_worker --workers 2
play --students 300 --seconds 14 &
player=$!
sleep 4
victim=$(pgrep -P "$worker" | head -n 1)
kill -KILL "$victim"
two_others() { [ "$(pgrep -P "$worker" | grep -vcx "$victim")" = 2 ]; }
within 15 two_others
sleep 3
children=$(pgrep -P "$worker")
kill -KILL "$worker"
for child in $children; do
    wait_gone "$child" 10 || fail "worker $child goes on without its supervisor"
done
run_worker --workers 2
wait "$player"
settle
stop_worker
verify
