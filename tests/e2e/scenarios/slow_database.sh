# shellcheck shell=bash disable=SC2154
# every statement takes 100 ms longer: batches become larger, and neither memory nor the lag grows
stage slow_database
sql "CREATE FUNCTION tarry() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END \$\$;
     CREATE TRIGGER tarry AFTER INSERT OR UPDATE ON ingest_progress FOR EACH STATEMENT EXECUTE FUNCTION tarry();
     CREATE TRIGGER tarry AFTER INSERT OR UPDATE ON attempt_rows    FOR EACH STATEMENT EXECUTE FUNCTION tarry()"

saves() { # of 500 attempts, in rounds, each of 2,500 bytes: FIRST-ROUND ROUNDS
    awk -v first="$1" -v rounds="$2" 'BEGIN {
        text = sprintf("%2300s", ""); gsub(" ", "x", text)
        for (round = first; round < first + rounds; round++)
            for (i = 1; i <= 500; i++) {
                id = sprintf("00000000-0000-4000-8000-%012d", i)
                printf "%s\t{\"type\":\"attempt.saved.v1\",\"id\":\"e%07d-0000-4000-8000-%012d\"," \
                    "\"data\":{\"attempt_id\":\"%s\",\"expected_version\":%d,\"answers\":{\"q%d\":\"%s\"}," \
                    "\"saved_at\":\"2026-05-01T10:00:00Z\"}}\n", id, round, i, id, round, round % 2, text
            }
    }'
}
produce() {
    kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.writes" -K '\t' \
        -X partitioner=murmur2_random -X acks=all -X linger.ms=20
}
metric() { page /metrics | awk -v name="$1" '$1 == name || index($1, name "{") == 1 { n += $2 } END { print n + 0 }'; }

# A backlog of 110 MB, and not as much memory.
saves 1 88 | produce
run_worker --memory-mb 112
settle 120
records=$(metric attemptd_flush_records_total) flushes=$(metric attemptd_flushes_total)
[ "$records" = 44000 ] || fail "$records records were flushed, not 44000"
echo "a backlog of $records records took $flushes flushes"
[ $((records / flushes)) -ge 500 ] || fail "batches stay small: $((records / flushes)) records a flush"

# As it comes: a round of 500 every half second, which is less than a flush of four statements takes.
for round in 89 90 91 92 93 94 95 96; do
    saves "$round" 1 | produce
    sleep 0.5
done
settle 15
more=$(($(metric attemptd_flushes_total) - flushes))
echo "8 rounds of 500 in $more flushes"
[ "$more" -le 30 ] || fail "the batches of a slow database are small: 4000 records in $more flushes"
peak=$(awk '/VmHWM/ { print $2 }' "/proc/$worker/status")
echo "at most $peak kB resident"
((peak < 145000)) || is_sanitized || fail "with 112 MB to use it held $peak kB"
stop_worker
[ "$(sql "SELECT count(*) || ' ' || min(version) || ' ' || max(version) FROM attempts")" = "500 97 97" ] ||
    fail "the attempts are not where 96 saves lead"
expect 0 attemptd audit
