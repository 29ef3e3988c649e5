# shellcheck shell=bash disable=SC2154
# conservation is a live figure: what somebody does to the ledger by hand is seen, and named
stage conservation
play --students 120 --seconds 1
run_worker
settle
differences() {
    page /metrics | sed -n 's/^attemptd_conservation_difference.*partition="\([0-9]*\)".* \([0-9]*\).*/\1 \2/p'
}
all_weighed() { [ "$(differences | wc -l)" = 6 ]; }
within 60 all_weighed
[ "$(differences | awk '{ n += $2 } END { print n }')" = 0 ] || fail "a difference where there is none"
expect 0 attemptd audit

gone=$(sql "SELECT partition || ' ' || record_offset FROM rejected_writes ORDER BY partition LIMIT 1")
[ -n "$gone" ] || fail "nothing was rejected"
admin "DELETE FROM rejected_writes WHERE topic LIKE '%writes' AND partition = ${gone% *}
       AND record_offset = ${gone#* }"
twice=$(sql "SELECT partition || ' ' || record_offset FROM rejected_writes
             WHERE partition <> ${gone% *} ORDER BY partition LIMIT 1")
admin "INSERT INTO dead_letters (topic, partition, record_offset, reason)
       VALUES ('${prefix}attempt.writes', ${twice% *}, ${twice#* }, 'json')"
admin "ALTER TABLE ingest_progress DROP CONSTRAINT ingest_progress_conserved;
       UPDATE ingest_progress SET applied = applied + 5 WHERE topic LIKE '%activity' AND partition = 1"
broken() { [ "$(differences | awk '{ n += $2 } END { print n }')" = 7 ]; }
within 60 broken
says 'conservation is broken.*attempt.writes.*"difference":1'
says 'conservation is broken.*attempt.activity.*"difference":5'
expect 1 attemptd audit >audit.txt
says "attempt.writes\[${twice% *}\]@${twice#* }.*dead_letters: json, rejected_writes" audit.txt ||
    fail "the audit does not name the record with two outcomes"
says 'change nothing by hand' audit.txt || fail 'the audit does not say what to do'
says 'records = sum of the outcomes' audit.txt || fail "the audit does not see the counters"
expect 1 attemptd audit --replay >replay.txt
says "attempt.writes\[${gone% *}\]@${gone#* }" replay.txt ||
    fail "the replay does not name the record without an outcome"
stop_worker
