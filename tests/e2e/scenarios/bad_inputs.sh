# shellcheck shell=bash disable=SC2154
# the table of bad inputs: each its outcome, exact bytes in dead_letters, neighbours unharmed
stage bad_inputs
table() { python3 -B "$root/tests/e2e/bad_input_play.py" --prefix "$prefix" "$@"; }

table lines records.jsonl
# What cannot be sent by anybody's default client can be sent by an attacker's.
expect 0 attemptd produce --raw --quiet -X message.max.bytes=64000000 -X compression.type=gzip \
    records.jsonl
rm records.jsonl
run_worker
settle 180
table check || fail "not everything became what it had to"
verify

echo "-- a dead letter is sent again as it is"
[ "$(attemptd dlq list --json --limit 500 | jq '[.letters[] | select(.reason == "utf8")] | length')" -gt 5 ]
expect 0 attemptd dlq replay --reason utf8 --yes
settle
[ "$(sql "SELECT count(*) FROM dead_letters o JOIN dead_letters n ON n.id > o.id AND
              (n.topic, n.partition, n.reason, n.record_value, n.record_key, n.headers) =
              (o.topic, o.partition, o.reason, o.record_value, o.record_key, o.headers)
          WHERE o.reason = 'utf8' AND o.replayed_at IS NOT NULL")" -gt 5 ] || fail "other bytes"

echo "-- strangers in the topics of the worker"
progress() { sql "SELECT topic, partition, next_offset, records, dead FROM ingest_progress ORDER BY 1, 2"; }
before=$(progress)
for topic in cache.invalidations attempt.outcomes; do send "$topic" k rubbish ce_type=rubbish; done
sleep 2
[ "$(progress)" = "$before" ] || fail "the worker has read what it writes"
answers /readyz 200 || fail "the worker is not ready"
stop_worker
! grep -l 'CANARY-7261' ./*.log || fail "a payload is in a log"
! says 'halt topic' || fail "a partition halted"
