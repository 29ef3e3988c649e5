# shellcheck shell=bash disable=SC2154
# a worker that was frozen for longer than its session comes back: fenced, it writes nothing
stage zombie
run_worker
frozen=$worker
within 20 answers /readyz 200
run_worker
other=$worker
play --students 300 --seconds 30 &
player=$!
for nap in 14 7; do
    sleep 3
    kill -STOP "$frozen"
    sleep "$nap"
    kill -CONT "$frozen"
done
wait "$player"
settle
stop_worker "$frozen"
stop_worker "$other"
verify
