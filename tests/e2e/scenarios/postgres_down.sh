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
admin "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
play --students 30 --seconds 1 --seed 3
settle
kill -0 "$worker" || fail "attemptd run ended"
stop_worker
verify
