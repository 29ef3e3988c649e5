# shellcheck shell=bash disable=SC2154
# dead letters are shown, sent again byte for byte and only once, discarded; rejected writes are shown
stage dead_letters
letters() { attemptd dlq list --json "$@" | jq -r '.letters[].id'; }
open_count() { attemptd dlq list --json | jq .total; }

sql "ALTER TABLE attempt_rows ADD CONSTRAINT no_forbidden CHECK (NOT attempt_fold(folded_answers, tail) ? 'forbidden')"
attempt=$(uuid) at=2026-05-01T10:00:00Z
save() { # VERSION ANSWERS
    echo "{\"type\":\"attempt.saved.v1\",\"id\":\"$(uuid)\",\"data\":{\"attempt_id\":\"$attempt\",
\"expected_version\":$1,\"answers\":$2,\"saved_at\":\"$at\"}}"
}
send attempt.writes "$attempt" "$(save 1 '{"q1":"A"}')"
send attempt.writes "$attempt" "$(save 2 '{"forbidden":"ü"}')" traceparent=00-1-2-00 x=
send attempt.writes "$attempt" "$(save 1 '{"q1":"stale \u009b1.50","n":1.50}')"
printf 'k\t\033[2J\x01no json\xff' | kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" \
    -t "${prefix}attempt.activity" -K '\t' -H 'h=v' -H n
printf 'k\t' | kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.writes" -K '\t' -Z
printf 'no key' | kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.writes"
for i in $(seq 30); do printf 'key-%d\trubbish %d\n' "$i" "$i"; done |
    kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.writes" -K '\t' \
        -X partitioner=murmur2_random
run_worker
settle
[ "$(open_count)" = 34 ] || fail "34 letters were to be open, not $(open_count)"

echo "-- looking"
attemptd dlq list
rubbish=$(letters --topic "${prefix}attempt.activity")
attemptd dlq show "$rubbish" | tee shown.txt
! grep -q "$(printf '\033')" shown.txt || fail "an escape sequence reaches the terminal"
grep -qF '\x1b[2J\x01no json\xff' shown.txt || fail "the bytes are not shown"
attemptd dlq show "$rubbish" --raw VALUE >value.bin
printf '\033[2J\x01no json\xff' | cmp - value.bin || fail "other bytes"
expect 64 script -qec "attemptd dlq show $rubbish --raw VALUE" /dev/null </dev/null
expect 65 attemptd dlq show 999999
expect 64 attemptd dlq show x
tombstone=$(letters --reason tombstone)
expect 65 attemptd dlq show "$tombstone" --raw VALUE
attemptd dlq show "$rubbish" --json | jq -e '.value_base64 and .headers'
[ "$(attemptd rejected list --json | jq .total)" = 1 ] || fail "rejected list"
[ "$(attemptd rejected list --outcome late --json | jq .total)" = 0 ] || fail "rejected --outcome"
write=$(attemptd rejected list --attempt "$attempt" --json | jq '.rejected[0].id')
attemptd rejected show "$write" | tee rejected.txt
grep -qF '"n": 1.50' rejected.txt || fail "a number was changed"
grep -qF '\u009b' rejected.txt || fail "a control character reaches the terminal"
attemptd rejected show "$write" --json | jq -e '.event.answers.q1'
expect 65 attemptd rejected show 999999

echo "-- sending again"
refused=$(letters --reason constraint)
sql "ALTER TABLE attempt_rows DROP CONSTRAINT no_forbidden"
expect 1 attemptd dlq replay --reason constraint </dev/null
expect 0 attemptd dlq replay --reason constraint --yes
settle
[ "$(sql "SELECT version || (answers->>'forbidden') FROM attempts WHERE id = '$attempt'")" = 3ü ] ||
    fail "the replayed save was not applied"
[ "$(sql "SELECT sum(dead) FROM ingest_progress")" = 34 ] || fail "the old counters do not stay"
replays() { sql "SELECT count(*) FROM audit_log WHERE action = 'letter replayed'"; }
[ "$(replays)" = 1 ] || fail "the replay is not audited"
before=$(log_records)
expect 0 attemptd dlq replay "$refused" 2>again.txt
says 'sent again before' again.txt || fail "it does not say that the letter was sent before"
[ "$(log_records)" = "$before" ] || fail "a letter was sent twice"
expect 0 attemptd dlq replay "$refused" --again --json
[ "$(log_records)" = $((before + 1)) ] || fail "--again did not send it"
settle
[ "$(sql "SELECT sum(duplicate) FROM ingest_progress")" = 1 ] || fail "--again is a duplicate"
expect 64 attemptd dlq replay --all --again --yes
expect 64 attemptd dlq replay

echo "-- two operators at once"
before=$(log_records)
attemptd dlq replay --all --yes >first.txt &
other=$!
expect 0 attemptd dlq replay --all --yes >second.txt
expect 0 wait "$other"
cat first.txt second.txt
[ "$(log_records)" = $((before + 33)) ] || fail "$(($(log_records) - before)) records, not 33"
settle
[ "$(open_count)" = 33 ] || fail "what is still wrong must die again"
[ "$(sql "SELECT count(*) FROM dead_letters o WHERE replayed_at IS NOT NULL AND reason <> 'constraint'
          AND EXISTS (SELECT FROM dead_letters n WHERE n.id > o.id AND n.replayed_at IS NULL
          AND (n.topic, n.partition, n.headers, n.reason) = (o.topic, o.partition, o.headers, o.reason)
          AND (n.record_key, n.record_value) IS NOT DISTINCT FROM (o.record_key, o.record_value))")" \
    = 33 ] || fail "not the same bytes, headers, partitions and reasons"
[ "$(sql "SELECT sum(dead) FROM ingest_progress")" = 67 ] || fail "33 more outcomes"
[ "$(replays)" = 35 ] || fail "$(replays) replays are audited, not 35" # --again among them
told=$(kcat -b "$KAFKA_BOOTSTRAP_SERVERS" -C -e -q -t "${prefix}attempt.outcomes" -f '%s\n' |
    jq -r 'select(.outcome == "dead") | "\(.topic) \(.partition) \(.record_offset)"' | sort -u | wc -l)
[ "$told" = 67 ] || fail "$told dead records were told, not 67: each record its own outcome"
expect 0 attemptd audit
expect 0 attemptd audit --replay

echo "-- discarding, and what was erased"
some=$(letters --limit 2 | tr '\n' ' ')
# shellcheck disable=SC2086
expect 0 attemptd dlq discard $some --reason 'a test'
[ "$(sql "SELECT count(*) FROM audit_log WHERE action = 'dlq-discard' AND reason = 'a test'")" = 2 ] ||
    fail "audit_log"
[ "$(open_count)" = 31 ] || fail "discarded letters are still open"
# shellcheck disable=SC2086
expect 0 attemptd dlq discard $some --reason 'a test'
expect 65 attemptd dlq discard 999999 --reason 'a test'
expect 64 attemptd dlq discard "$rubbish"
[ "$(sql "SELECT count(*) FROM audit_log WHERE action = 'dlq-discard'")" = 2 ] || fail "twice"
sql "SELECT maintain_attempt('$attempt', 'erase', 'a test')"
attemptd dlq show "$refused" | grep -q 'was erased' || fail "it does not say that it was erased"
expect 65 attemptd dlq show "$refused" --raw VALUE
before=$(log_records)
expect 65 attemptd dlq replay "$refused" --again
[ "$(log_records)" = "$before" ] || fail "an erased letter was sent"
expect 0 attemptd audit
expect 0 attemptd dlq list --all --limit 3
stop_worker

echo "-- nobody answers"
KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1 expect 69 attemptd dlq replay --all --yes
[ "$(open_count)" = 31 ] || fail "a letter counts as sent that was not"
