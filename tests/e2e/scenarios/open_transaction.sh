# shellcheck shell=bash disable=SC2154
# a producer dies in a transaction: the lag is seen, nothing waits for ever, an operator can end it
stage open_transaction
run_worker
play --students 20 --seconds 1 --clean
settle
lag() { page /metrics | awk '/^attemptd_lag_records/ { n += $NF } END { print n + 0 }'; }
lags() { [ "$(lag)" -gt 0 ]; }
lags_not() { [ "$(lag)" = 0 ]; }
within 10 lags_not

setsid "$root/compose/kafka" tool org.apache.kafka.tools.ProducerPerformance \
    --topic "${prefix}attempt.writes" --num-records 1000000 --record-size 10 --throughput 5 \
    --transactional-id hung --transaction-duration-ms 600000 \
    --producer-props bootstrap.servers="$KAFKA_BOOTSTRAP_SERVERS" transaction.timeout.ms=600000 \
    >producer.log 2>&1 </dev/null &
producer=$!
groups+=("$producer")
within 60 lags
kill -KILL "$producer"
wait "$producer" || true
play --students 60 --seconds 1 --clean # of which some wait behind it

stop_worker
expect 0 timeout 60 "$build/attemptd" run --drain --http off 2>drain.log
says '"warn".*not all is settled.*"records":[1-9].* --start-offset [0-9]' drain.log ||
    fail "a drain that leaves records behind a transaction says nothing"
run_worker
play --students 60 --seconds 20 --clean # while the minute passes after which it is told
within 30 lags
same_everywhere() { [ "$(lag)" = "$(attemptd status --json | sed -nE 's/^  "lag": ([0-9]+).*/\1/p')" ]; }
within 10 same_everywhere

expect 0 attemptd status >status.txt
sed -nE "s/^!  ([^ ]+) ([0-9]+): .*a producer's transaction begins .* --start-offset ([0-9]+)'.*/\1 \2 \3/p" \
    status.txt >open.txt
[ -s open.txt ] || fail "status does not say what is wrong"
expect 0 attemptd doctor >doctor.txt
says 'wait behind a producer.s open transaction' doctor.txt || fail "doctor does not say what is wrong"
within 90 says "records wait in Kafka behind a producer's open transaction"
says 'the transaction that held records back has ended' && fail "it is told to have ended before it has"
while read -r topic partition offset; do
    kafka_tool TransactionsCommand abort --topic "$topic" --partition "$partition" \
        --start-offset "$offset" </dev/null
done <open.txt
settle
within 10 lags_not
within 10 says 'the transaction that held records back has ended'
play --students 60 --seconds 1 --clean # the model knows of no markers: none may be the last
settle
stop_worker
verify
