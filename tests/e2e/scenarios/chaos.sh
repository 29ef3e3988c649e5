# shellcheck shell=bash disable=SC2154
# everything at once, in random order: workers, supervisor, PostgreSQL and the broker die under load
stage chaos
RANDOM=${CHAOS_SEED:-$(date +%s)}
echo "seed (CHAOS_SEED): $RANDOM"
run_worker --workers 2
first=$worker
run_worker --workers 2
second=$worker
play --students 600 --seconds 45 &
player=$!
while kill -0 "$player" 2>/dev/null; do
    sleep $((1 + RANDOM % 3))
    case $((RANDOM % 6)) in
    0) pgrep -P "$first" | shuf -n 1 | xargs -r kill -KILL ;;
    1)
        kill -KILL "$second"
        run_worker --workers 2
        second=$worker
        ;;
    2) "$root/compose/postgres" restart "$stack/postgres" immediate ;;
    3) "$root/compose/postgres" restart "$stack/postgres" kill ;;
    4) "$root/compose/kafka" restart "$stack/kafka" KILL ;;
    5) admin "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid()" ;;
    esac
done
settle 120
stop_worker "$first"
stop_worker "$second"
verify
