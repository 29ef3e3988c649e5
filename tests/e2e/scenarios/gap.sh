# shellcheck shell=bash disable=SC2154
# the log is not the one that the ledger knows: it halts, says so, and goes on at the operator's word
stage gap

drops_of_all() {
    kcat -b "$KAFKA_BOOTSTRAP_SERVERS" -C -q -e -t "${prefix}cache.invalidations" -o beginning \
        -f '%k\n' 2>/dev/null | grep -cx all || true
}

echo "-- the topic is made anew"
play --students 60 --seconds 1
run_worker
settle
stop_worker
kafka_tool TopicCommand --delete --topic "${prefix}attempt.writes"
sleep 1
within 20 attemptd doctor --fix --partitions 3
play --students 20 --seconds 1 --seed 2
run_worker
within 30 says 'halt topic=gap.attempt.writes partition=[0-2] reason=(log_end|anchor)'
within 10 answers /readyz 503
sleep 2
expect 65 attemptd accept-gap gap.attempt.activity 0 --reason 'a test' --yes
expect 65 attemptd accept-gap attempt.writes 9 --reason 'a test' --yes
expect 64 attemptd accept-gap attempt.writes 0 --yes
expect 1 attemptd accept-gap "$(halted 'log_end|anchor' | head -n 1 | cut -d' ' -f1)" \
    "$(halted 'log_end|anchor' | head -n 1 | cut -d' ' -f2)" --reason 'a test' </dev/null
[ "$(sql "SELECT max(generation) FROM ingest_progress")" = 1 ] || fail "accepted without a yes"
accept_all 'log_end|anchor'
[ "$(sql "SELECT count(*) FROM audit_log WHERE action = 'accept-gap' AND reason = 'a test'
          AND (detail->'before'->>'records')::int > 0")" -ge 1 ] || fail "audit_log"
[ "$(drops_of_all)" = 0 ] || fail "everything was told, yet caches drop all"
expect 0 attemptd audit
expect 1 attemptd audit --replay >replay.txt
says 'NOT POSSIBLE' replay.txt || fail "a replay of a log that is not known"

echo "-- by force, under a worker that runs: it may commit nothing more with the old state"
end=$(sql "SELECT next_offset FROM ingest_progress WHERE topic LIKE '%writes' AND partition = 0")
expect 65 attemptd accept-gap attempt.writes 0 --reason 'a test' --yes --force
accept attempt.writes 0 --force --skip-to "$end"
play --students 30 --seconds 1 --seed 5
settle
says 'has taken the partition over.*"partition":0' || fail "the worker was not fenced"
[ "$(sql "SELECT first_offset FROM ingest_progress WHERE topic LIKE '%writes' AND partition = 0")" \
    = "$end" ] || fail "the new generation begins elsewhere"
expect 0 attemptd audit
stop_worker

echo "-- records are removed before they are read, and what they followed was not told"
play --students 60 --seconds 1 --seed 3
sql "UPDATE ingest_progress SET published_offset = next_offset - 1
     WHERE topic LIKE '%writes' AND partition = 1"
end=$(kcat -b "$KAFKA_BOOTSTRAP_SERVERS" -Q -t "${prefix}attempt.writes:1:-1" | awk '{ print $NF }')
next=$(sql "SELECT next_offset FROM ingest_progress WHERE topic LIKE '%writes' AND partition = 1")
((end > next + 2)) || fail "too few events in partition 1"
echo "{\"version\":1,\"partitions\":[{\"topic\":\"${prefix}attempt.writes\",\"partition\":1,
\"offset\":$((end - 2))}]}" >delete.json
kafka_tool DeleteRecordsCommand --offset-json-file delete.json
run_worker
within 30 says 'halt topic=gap.attempt.writes partition=1 reason=log_start'
accept attempt.writes 1 >accepted.txt
says "offsets $next to $((end - 3)) \($((end - 2 - next)) at most\)" accepted.txt ||
    fail "it does not say what is lost"
settle
within 10 test "$(drops_of_all)" -ge 1
expect 0 attemptd audit
stop_worker

echo "-- a database is restored to an older state: halted, then read again at the operator's word"
admin_server=${ADMIN_URL%/*}/postgres
new_url=$DATABASE_URL
psql "$admin_server" -Xq -c "CREATE DATABASE gap_old TEMPLATE gap OWNER attemptd"
play --students 30 --seconds 1 --seed 4
run_worker
settle
stop_worker
contents() { # of DATABASE: every attempt, and what became of every record
    psql "$1" -XAtq -c "SELECT id, version, status, answers FROM attempts ORDER BY id"
    psql "$1" -XAtq -c "SELECT event_id, outcome, reason FROM rejected_writes ORDER BY 1, 2, 3"
    psql "$1" -XAtq -c "SELECT attempt_id, event_id, version, missing, answers_digest
                        FROM submissions ORDER BY 1"
}
contents "$DATABASE_URL" >before.txt
old_offsets() { sql "SELECT topic, partition, next_offset FROM ingest_progress ORDER BY 1, 2"; }
DATABASE_URL=${DATABASE_URL%/*}/gap_old
old_offsets >offsets.txt
run_worker
within 30 says 'halt topic=gap.attempt.writes partition=0 reason=ledger_behind'
within 10 answers /readyz 503
sleep 2
[ "$(old_offsets)" = "$(cat offsets.txt)" ] || fail "it read on from the older state"
says 'ledger is at offset [0-9]+ of generation [0-9]+, but was seen at offset' ||
    fail "the halt line does not say both offsets"
says 'a backup restored, a standby promoted' || fail "the halt line does not say why"
drops=$(drops_of_all)
halted ledger_behind >halted.txt
while read -r topic partition; do
    accept "$topic" "$partition" >accepted.txt
    says 'seen    generation' accepted.txt || fail "it does not say what was seen"
    says 'begins at offset '"$(sql "SELECT next_offset FROM ingest_progress
        WHERE topic = '$topic' AND partition = $partition")" accepted.txt || fail "not where it stands"
done <halted.txt
settle
[ "$(drops_of_all)" -gt "$drops" ] || fail "caches keep what the rows do not hold"
contents "$DATABASE_URL" | diff before.txt - || fail "reading again gives another result"
expect 0 attemptd audit
stop_worker
run_worker # the halt does not come back
within 20 answers /readyz 200
! says 'halt topic' || fail "it halts again"
stop_worker

echo "-- the newer database comes back: now it is the one that is behind"
DATABASE_URL=$new_url
run_worker
within 30 says 'halt topic=gap.attempt.writes partition=0 reason=ledger_behind'
stop_worker
accept attempt.writes 0
DATABASE_URL=${DATABASE_URL%/*}/gap_old

echo "-- a standby takes over that lacks the last commits, under a running worker"
for partition in 0 1 2; do
    attemptd accept-gap attempt.writes "$partition" --reason 'a test' --yes >/dev/null 2>&1 || true
done
run_worker
settle
send attempt.writes 7f0e9c1b-3c1d-4b0e-9a51-0000000000ff '{"type":"attempt.saved.v1",
"id":"7f0e9c1b-3c1d-4b0e-9a51-0000000000f1","data":{"expected_version":1,
"attempt_id":"7f0e9c1b-3c1d-4b0e-9a51-0000000000ff","answers":{"q1":"A"},
"saved_at":"2026-05-01T10:00:00Z"}}'
settle
row="FROM ingest_progress WHERE (topic, partition) = (SELECT topic, partition FROM ingest_progress
     WHERE topic LIKE '%writes' ORDER BY updated_at DESC LIMIT 1)"
partition=$(sql "SELECT partition $row") next=$(sql "SELECT next_offset $row")
sql "BEGIN;
     DELETE FROM attempts WHERE id = '7f0e9c1b-3c1d-4b0e-9a51-0000000000ff';
     UPDATE ingest_progress SET next_offset = next_offset - 1, published_offset = next_offset - 1,
         records = records - 1, applied = applied - 1, anchor_offset = NULL, anchor_hash = NULL,
         anchor_timestamp_ms = NULL
     WHERE topic LIKE '%writes' AND partition = $partition;
     COMMIT"
send attempt.writes 7f0e9c1b-3c1d-4b0e-9a51-0000000000ff '{"type":"attempt.saved.v1",
"id":"7f0e9c1b-3c1d-4b0e-9a51-0000000000f2","data":{"expected_version":2,
"attempt_id":"7f0e9c1b-3c1d-4b0e-9a51-0000000000ff","answers":{"q2":"B"},
"saved_at":"2026-05-01T10:00:01Z"}}'
within 30 says "halt topic=gap.attempt.writes partition=$partition reason=ledger_behind"
[ "$(sql "SELECT next_offset $row")" = $((next - 1)) ] || fail "it moved a halted partition"
sleep 2
accept attempt.writes "$partition"
settle
[ "$(sql "SELECT version, answers::text FROM attempts
          WHERE id = '7f0e9c1b-3c1d-4b0e-9a51-0000000000ff'")" = '3|{"q1": "A", "q2": "B"}' ] ||
    fail "what was lost was not read again"
expect 0 attemptd audit
stop_worker

echo "-- an empty database needs a word, too"
psql "$admin_server" -Xq -c "CREATE DATABASE gap_empty OWNER attemptd"
DATABASE_URL=${DATABASE_URL%/*}/gap_empty
expect 0 attemptd migrate up
run_worker
within 30 says 'halt topic=.* reason=ledger_missing'
sleep 2
accept_all ledger_missing
expect 0 attemptd audit
expect 0 attemptd audit --replay
stop_worker

echo "-- the broker's disk loses its mind"
for q in 1 2 3 4; do # one attempt, one partition
    send attempt.writes 7f0e9c1a-3c1d-4b0e-9a51-00000000000a "{\"type\":\"attempt.saved.v1\",
\"id\":\"7f0e9c1a-3c1d-4b0e-9a51-00000000000$q\",\"data\":{\"expected_version\":$q,
\"attempt_id\":\"7f0e9c1a-3c1d-4b0e-9a51-00000000000a\",\"answers\":{\"q$q\":\"A\"},
\"saved_at\":\"2026-05-01T10:00:00Z\"}}"
done
at=$(kcat -b "$KAFKA_BOOTSTRAP_SERVERS" -C -q -e -t "${prefix}attempt.writes" -f '%k %p %o\n' |
    awk '/^7f0e9c1a/ { print $2, $3 }' | sed -n 2p)
partition=${at% *} broken=${at#* }
"$root/compose/kafka" stop "$stack/kafka"
python3 - "$stack/kafka/data/${prefix}attempt.writes-$partition" <<'PYTHON'
import glob, sys
path = sorted(glob.glob(sys.argv[1] + "/*.log"))[-1]
with open(path, "r+b") as log:
    data = log.read()
    at = data.index(b"00000000002") # the second save's id
    log.seek(at)
    log.write(b"9")
PYTHON
"$root/compose/kafka" start "$stack/kafka"
run_worker
within 40 says "halt topic=gap.attempt.writes partition=$partition reason=corrupt"
expect 65 attemptd accept-gap attempt.writes "$partition" --reason 'a test' --yes 2>refused.txt
says "skip-to $((broken + 1))" refused.txt || fail "it does not say where the log goes on"
drops=$(drops_of_all)
accept attempt.writes "$partition" --skip-to $((broken + 1)) >accepted.txt
settle
says 'caches are to drop everything' accepted.txt || fail "what was applied before it was not told"
[ "$(drops_of_all)" = $((drops + 1)) ] || fail "caches are not told to drop all"
[ "$(sql "SELECT answers::text FROM attempts WHERE id = '7f0e9c1a-3c1d-4b0e-9a51-00000000000a'")" \
    = '{"q1": "A", "q3": "A", "q4": "A"}' ] || fail "what came around the broken record"
stop_worker
