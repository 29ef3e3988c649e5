# shellcheck shell=bash disable=SC2154,SC2034
# a standby takes over: without a loss the worker goes on; with one it halts instead of reading on
pg=$root/compose/postgres
servers=()
stop_servers() {
    local dir
    for dir in "${servers[@]}"; do
        "$pg" stop "$dir" immediate || true
    done
}
trap 'stop_servers; reap' EXIT

stage failover
one=$stack/failover-1 two=$stack/failover-2 three=$stack/failover-3
servers=("$one" "$two" "$three")
"$pg" start "$one" --fast >/dev/null
"$pg" replica "$two" "$one" >/dev/null
host() { echo "127.0.0.1:$(cat "$1/port")"; }
database() { # DIR...: one address for all of them
    local list
    list=$(for dir; do host "$dir"; done | paste -sd,)
    echo "postgresql://attemptd:$(cat "$one/password")@$list/attemptd"
}
on() { "$pg" psql "$1" -At -c "$2"; }
DATABASE_URL=$(database "$one")
expect 0 attemptd migrate up
replayed() { [ "$(on "$2" 'SELECT pg_last_wal_replay_lsn()')" = "$(on "$1" 'SELECT pg_current_wal_lsn()')" ]; }
within 20 replayed "$one" "$two"

echo "-- of two servers it takes the one that may be written, wherever it stands in the list"
DATABASE_URL=$(database "$two" "$one")
run_worker
play --students 60 --seconds 2
within 20 answers /readyz 200
in_log=$(log_records)
done_on() { [ "$(on "$1" 'SELECT coalesce(sum(published_offset), 0) FROM ingest_progress')" = "$in_log" ]; }
within 60 done_on "$one"

echo "-- nothing but a standby: it waits and says so; the standby takes over, and it goes on"
within 20 replayed "$one" "$two"
"$pg" stop "$one" kill
play --students 30 --seconds 1 --seed 2
within 40 answers /readyz 503
says 'standby|read-only' || fail "the log does not say that there is only a standby"
kill -0 "$worker" || fail "attemptd run ended"
"$pg" promote "$two"
settle 90
within 30 answers /readyz 200
verify

echo "-- a standby that lacks the last commits takes over beside the old primary: both places are named"
"$pg" replica "$three" "$two" >/dev/null
DATABASE_URL=$(database "$two" "$three")
stop_worker
run_worker
play --students 30 --seconds 1 --seed 3
settle
within 20 replayed "$two" "$three"
on "$three" "ALTER SYSTEM SET primary_conninfo = ''" && on "$three" "SELECT pg_reload_conf()" >/dev/null
gone() { [ -z "$(on "$two" 'SELECT pid FROM pg_stat_replication')" ]; }
within 20 gone
play --students 30 --seconds 1 --seed 4
settle
"$pg" promote "$three"
on "$two" "ALTER ROLE attemptd SET default_transaction_read_only = on" >/dev/null # for new sessions
on "$two" "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = 'attemptd housekeeper'" >/dev/null
within 40 says "see two ledgers.*\"writes_at\":\"$(host "$two")\",\"looks_at\":\"$(host "$three")\""
within 20 answers /readyz 200

echo "-- the old primary is stopped, and nothing more is to be written: halt"
"$pg" stop "$two" kill
within 60 says 'halt topic=failover.attempt.writes partition=[0-2] reason=ledger_behind'
within 20 answers /readyz 503
play --students 30 --seconds 1 --seed 5
accept_all ledger_behind
stop_worker
# A new generation counts from its beginning, and revisions that were told twice are told again; but
# every row is what the log makes of it.
python3 -B "$root/tests/e2e/verify.py" --prefix "$prefix" >model.txt || true
says ' comparisons, ' model.txt || fail "the model did not compare"
if grep '^DIFFERENT' model.txt | grep -vE '^DIFFERENT (ingest_progress|invalidations) '; then
    fail "the rows are not what the log makes of them"
fi
expect 0 attemptd audit
