# shellcheck shell=bash disable=SC2154
# a backlog in one partition: a submit in an idle one does not wait for it, and memory has its bounds
stage overload
backlog=${OVERLOAD_BACKLOG:-60000} # a million, by hand

saves() { # of so many attempts, one each: nothing folds
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++) {
            id = sprintf("00000000-0000-4000-8000-%012d", i + 1)
            printf "%s\t{\"type\":\"attempt.saved.v1\",\"id\":\"e%s\",\"data\":{\"attempt_id\":\"%s\"," \
                "\"expected_version\":1,\"answers\":{\"q%d\":\"A\"}," \
                "\"saved_at\":\"2026-05-01T10:00:00Z\"}}\n", id, substr(id, 2), id, i % 40
        }
    }'
}
submits() { # one after the other, of attempts of their own, until the backlog is gone
    local i
    for ((i = 1; i <= 5000; i++)); do
        submit "$i"
        sleep 0.05
        [ ! -e drained ] || return 0
    done
}
next_offset() { sql "SELECT next_offset FROM ingest_progress WHERE topic LIKE '%writes' AND partition = 0"; }
is_read() { [ "$(next_offset)" = "$backlog" ]; }

saves "$backlog" | to_partition 0 5
run_worker
submits | to_partition 1 0 &
began=$SECONDS
within 900 is_read
touch drained
wait $!
settle
stop_worker
echo "$backlog saves took $((SECONDS - began)) s"
submit_latencies # of those that came while there was a backlog; told is later than durable
n=$(wc -l <latency.txt)
[ "$n" -ge 20 ] || fail "too few submits for a figure: $n"
p50=$(sed -n "$(((n + 1) / 2))p" latency.txt) p99=$(sed -n "$(((n * 99 + 99) / 100))p" latency.txt)
echo "submits beside the backlog: $n, from send to told p50 $p50 ms, p99 $p99 ms"
# Less than a second where nothing else runs; a submit that waits for the backlog takes far longer.
[ "$p99" -lt "${OVERLOAD_P99_MS:-3000}" ] || fail "a submit in an idle partition takes $p99 ms"
expect 0 attemptd audit
