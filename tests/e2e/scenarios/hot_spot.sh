# shellcheck shell=bash disable=SC2154
# one attempt is saved without pause: the other exams' submits do not wait for it
stage hot_spot

hot() { # saves of one attempt, as fast as they go, until nobody reads them any more
    awk 'BEGIN {
        id = "00000000-0000-4000-8000-000000000001"
        for (i = 1; i < 2000000; i++)
            printf "%s\t{\"type\":\"attempt.saved.v1\",\"id\":\"e0000000-0000-4000-8000-%012d\",\"data\":" \
                "{\"attempt_id\":\"%s\",\"expected_version\":%d,\"answers\":{\"q%d\":\"%d\"}," \
                "\"saved_at\":\"2026-05-01T10:00:00Z\"}}\n", id, i, id, i, i % 40, i
    }' 2>/dev/null
}
others() { # one submit after the other, each of an attempt of its own
    local i
    for ((i = 1; i <= 80; i++)); do
        submit "$i"
        sleep 0.1
    done
}

run_worker
within 20 answers /readyz 200
(hot | timeout 10 cat | to_partition 0 20) &
flood=$!
sleep 1
others | to_partition 1 0
wait "$flood" || true
settle 120
stop_worker
# The last one may be half a line.
saves=$(sql "SELECT applied FROM ingest_progress WHERE topic LIKE '%writes' AND partition = 0")
flushes=$(sql "SELECT revision FROM attempts WHERE id = '00000000-0000-4000-8000-000000000001'")
[ "$(sql "SELECT version FROM attempts WHERE id = '00000000-0000-4000-8000-000000000001'")" = $((saves + 1)) ] ||
    fail "the hot attempt has another version than its saves make"
[ "$saves" -gt 20000 ] || fail "that was no hot spot: $saves saves"
[ $((saves / flushes)) -ge 50 ] || fail "$saves saves of one attempt took $flushes row writes"
submit_latencies
n=$(wc -l <latency.txt)
[ "$n" = 80 ] || fail "$n of 80 submits were told"
p50=$(sed -n 40p latency.txt) worst=$(sed -n 80p latency.txt)
echo "$saves saves of one attempt in $flushes row writes; submits beside them p50 $p50 ms, at most $worst ms"
# Less than a second where nothing else runs.
[ "$worst" -lt "${HOT_SPOT_MS:-4000}" ] || fail "a submit beside the hot spot took $worst ms"
expect 0 attemptd audit
