# shellcheck shell=bash disable=SC2154
# processes come and go under load and share the partitions of one group
stage membership
run_worker
first=$worker
play --students 400 --seconds 18 &
player=$!
sleep 4
run_worker
second=$worker
sleep 5
stop_worker "$first"
sleep 2
run_worker --workers 2
third=$worker
sleep 4
kill -KILL "$second"
wait "$player"
settle
stop_worker "$third"
verify
