# shellcheck shell=bash disable=SC2154
# an empty database, a missing topic, wrong hosts, a file that is no JSON: a clear word, a clear code
stage nothing_there bare

rc=0
attemptd doctor >doctor.log 2>&1 || rc=$?
[ $rc != 0 ] || fail "doctor finds nothing wrong with an empty database"
says 'migrat' doctor.log || fail "doctor does not name the missing migrations"
says 'topic' doctor.log || fail "doctor does not name the missing topics"

closed=127.0.0.1:$(free_port)
for command in 'audit' 'status' 'migrate status' 'refresh'; do
    rc=0
    # shellcheck disable=SC2086
    DATABASE_URL=postgresql://nobody@$closed/none timeout 20 attemptd $command >out.log 2>&1 || rc=$?
    [ $rc = 69 ] || fail "$command without a server ended with $rc: $(cat out.log)"
    says 'PostgreSQL|connect' out.log || fail "$command does not say what is missing"
done
# Tables and topics that are not there yet are waited for.
run_worker
within 20 says 'migrate'
within 20 says 'topic'
within 10 answers /readyz 503
kill -0 "$worker" || fail "attemptd run does not wait for what is missing"
expect 0 attemptd migrate up
expect 0 attemptd doctor --fix --partitions 3
play --students 20 --seconds 1
settle 120
stop_worker

# A worker older than the schema halts; doctor is the one who says so before.
sql "INSERT INTO schema_migrations (version, name) VALUES ('9999', '9999_later.sql')"
rc=0
attemptd doctor >newer.log 2>&1 || rc=$?
sql "DELETE FROM schema_migrations WHERE version = '9999'"
[ $rc = 78 ] || fail "doctor with a newer schema ended with $rc"
says 'install the attemptd' newer.log || fail "doctor does not say what a newer schema needs"

# Somebody answers, but says that there are no brokers: no cluster to be called fine.
setsid python3 -B "$root/tests/e2e/fenced_broker.py" >fenced_port &
groups+=($!)
within 5 test -s fenced_port
for command in doctor produce; do
    KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$(cat fenced_port) timeout 30 \
        attemptd "$command" </dev/null >"fenced.$command.log" 2>&1 &
    fenced+=($!)
done

# Commands that need Kafka say at once what they wait for, and end.
for command in 'simulate --students 1' 'produce' 'audit' 'doctor' 'status'; do
    # shellcheck disable=SC2086
    KAFKA_BOOTSTRAP_SERVERS=$closed timeout 30 attemptd $command </dev/null >out.log 2>wait.log &
    pid=$!
    within 4 says "waiting .* for Kafka at $closed" wait.log
    kill -0 $pid || fail "$command was silent until its end"
    expect 69 wait $pid
done
for pid in "${fenced[@]}"; do expect 69 wait "$pid"; done
for command in doctor produce; do
    says 'answers, but says that it has no brokers.* see in the brokers. logs' "fenced.$command.log" ||
        fail "$command does not say what a fenced broker means"
    ! says 'ok +kafka' "fenced.$command.log" || fail "doctor calls a cluster without brokers fine"
done

# An end that is asked for while it still asks Kafka for its first facts does not wait for them.
KAFKA_BOOTSTRAP_SERVERS=$closed run_worker
sleep 1
kill "$worker"
wait_gone "$worker" 7 || fail "SIGTERM while it starts without Kafka does not end it"

# Nor for --drain, which has begun nothing yet: it is interrupted, not drained.
for workers in 1 2; do
    KAFKA_BOOTSTRAP_SERVERS=$closed run_worker --drain --workers $workers
    within 4 says "waiting .* for Kafka at $closed"
    kill "$worker"
    wait_gone "$worker" 2 || fail "SIGTERM does not end --drain while it asks Kafka for the ends"
    expect 130 wait "$worker"
done

# Without Kafka it stays and says so.
KAFKA_BOOTSTRAP_SERVERS=$closed run_worker
within 20 says '[Kk]afka|broker'
kill -0 "$worker" || fail "attemptd run does not wait for Kafka"
kill "$worker"
wait_gone "$worker" 12 || fail "attemptd run without Kafka did not end"

# Settings that can never work are refused at once, and not shown: they may hold a password.
for url in 'exams' 'http://user:hush@host/x' 'user:hush@host/x' \
    'postgresql://user:hush%zz@host/x' 'postgresql://user:hu sh/hush@host/x'; do
    for command in 'run --http off' 'status' 'migrate up' 'audit' 'doctor' 'refresh'; do
        rc=0
        # shellcheck disable=SC2086
        DATABASE_URL=$url timeout 20 attemptd $command >url.log 2>&1 || rc=$?
        [ $rc = 78 ] || fail "$command with DATABASE_URL=$url ended with $rc: $(cat url.log)"
        says 'DATABASE_URL' url.log || fail "$command does not name the setting"
        ! says 'hush' url.log || fail "$command shows the password"
    done
done
rc=0
attemptd refresh --schema elsewhere >schema.log 2>&1 || rc=$?
[ $rc = 78 ] || fail "refresh in an empty schema ended with $rc"
says 'migrate up' schema.log || fail "refresh does not say what an empty schema needs"

# What doctor sees of a topic that would lose saves, and of a producer with another partitioner.
kafka_tool TopicCommand --create --topic bad.attempt.writes --partitions 3 --config cleanup.policy=compact \
    --config retention.ms=60000 --config retention.bytes=1000000 --config unclean.leader.election.enable=true
for i in {10..59}; do echo "00000000-0000-4000-8000-0000000000$i;{}"; done |
    kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t bad.attempt.writes -K ';' -X partitioner=consistent
rc=0
ATTEMPTD_TOPIC_PREFIX=bad. attemptd doctor >topics.log 2>&1 || rc=$?
[ $rc = 78 ] || fail "doctor with a compacted topic ended with $rc"
for pattern in 'cleanup.policy=compact' 'only 1 minutes' 'only 1000000 bytes' 'unclean leader elections' \
    '[1-9][0-9]* of the last 50 records of bad.attempt.writes are not where murmur2 puts their key'; do
    says "$pattern" topics.log || fail "doctor does not say '$pattern': $(cat topics.log)"
done

expect 65 attemptd produce "$root/README.md"
expect 66 attemptd produce /nonexistent.jsonl
expect 64 attemptd run --nonsense
verify
