# shellcheck shell=bash disable=SC2154
# PostgreSQL stopped fast, stopped at once and killed under load; the worker stays and heals
stage postgres_down
run_worker --workers 2
play --students 300 --seconds 16 &
player=$!
for mode in fast immediate kill; do
    sleep 3
    "$root/compose/postgres" stop "$stack/postgres" "$mode"
    sleep 1
    "$root/compose/postgres" start "$stack/postgres"
done
kill -0 "$worker" || fail "attemptd run ended"
wait "$player"
settle 90

echo "-- while the breaker is open: it answers, stays in its group, and reads nothing"
released() { grep -c 'partition released' "$worker_log" || true; }
opened() { [ "$(page /metrics | grep -c '^attemptd_breaker_state{.*state="open".*} 1')" = 2 ]; }
read_total() { page /metrics | awk '/^attemptd_records_read_total/ { n += $2 } END { print n + 0 }'; }
before=$(released)
"$root/compose/postgres" stop "$stack/postgres" fast
play --students 60 --seconds 1 --clean --seed 2
within 20 opened
read_before=$(read_total)
play --students 60 --seconds 1 --clean --seed 4
answers /livez 200 || fail "/livez while the breaker is open"
[ "$(read_total)" = "$read_before" ] || fail "it reads although nothing can be written"
"$root/compose/postgres" start "$stack/postgres"
settle
[ "$(released)" = "$before" ] || fail "an outage of the database made it leave its group"
within 20 answers /readyz 200
admin "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
play --students 30 --seconds 1 --seed 3
settle
kill -0 "$worker" || fail "attemptd run ended"
stop_worker
verify
