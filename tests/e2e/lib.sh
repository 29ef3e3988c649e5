# shellcheck shell=bash disable=SC2154
# What the scenarios have in hand. Each runs in a shell of its own with a database, a topic prefix
# and a consumer group of its own on the shared servers; a failed check ends it.

# shellcheck source=compose/lib.sh
. "$root/compose/lib.sh"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Runs a command that has to succeed, or to fail with code N: expect N COMMAND...
expect() {
    local want=$1 rc=0
    shift
    "$@" || rc=$?
    [ "$rc" = "$want" ] || fail "'$*' ended with $rc, not $want"
}

# Waits until a command succeeds: within SECONDS COMMAND...
within() {
    local seconds=$1 deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || fail "not within $seconds s: $*"
        sleep 0.2
    done
}

sql() { psql "$DATABASE_URL" -XAtq -v ON_ERROR_STOP=1 -c "$1"; }
admin() { psql "$ADMIN_URL" -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

# A database, topics and settings for scenario NAME. `bare` leaves out migrations and topics.
stage() { # NAME [bare]
    local server
    server=$("$root/compose/postgres" url "$stack/postgres" postgres)
    psql "$server" -Xq -c "CREATE DATABASE \"$1\" OWNER attemptd"
    ADMIN_URL=${server%/*}/$1
    DATABASE_URL=$("$root/compose/postgres" url "$stack/postgres")
    DATABASE_URL=${DATABASE_URL%/*}/$1
    KAFKA_BOOTSTRAP_SERVERS=$("$root/compose/kafka" address "$stack/kafka")
    prefix=$1. partitions=3
    export ADMIN_URL DATABASE_URL KAFKA_BOOTSTRAP_SERVERS
    export ATTEMPTD_TOPIC_PREFIX=$prefix ATTEMPTD_GROUP=$1
    [ "${2:-}" != bare ] || return 0
    expect 0 attemptd migrate up
    within 30 attemptd doctor --fix --partitions 3
}

# Starts `attemptd run ARG...` with a log and a port of its own; sets $worker, $worker_log, $http.
run_worker() {
    http=127.0.0.1:$(free_port)
    worker_log=$work/run.$((++workers_started)).log
    # a hangup counts for it, even when the tests themselves were started by nohup
    ATTEMPTD_HTTP=$http setsid env --default-signal=HUP "$build/attemptd" run "$@" >"$worker_log" 2>&1 </dev/null &
    worker=$!
    groups+=("$worker")
}
workers_started=0
groups=()

reap() {
    local group
    for group in "${groups[@]}"; do kill -KILL -- "-$group" 2>/dev/null || true; done
}

# SIGTERM; the worker has to end with 0 within 15 s.
stop_worker() { # [PID]
    local pid=${1:-$worker} rc=0
    kill "$pid"
    wait_gone "$pid" 15 || fail "attemptd run did not end within 15 s of SIGTERM"
    wait "$pid" || rc=$?
    [ "$rc" = 0 ] || fail "attemptd run ended with $rc after SIGTERM"
}

# A build with sanitizers keeps what was freed for a while, so its size says nothing.
is_sanitized() { grep -q __asan_init "$build/attemptd"; }

# GET of a page of the last worker; prints status line and body.
page() { # PATH
    (
        exec 3<>"/dev/tcp/${http%:*}/${http#*:}" 2>/dev/null || exit 1
        printf 'GET %s HTTP/1.0\r\nHost: test\r\n\r\n' "$1" >&3
        cat <&3
    ) 2>/dev/null
}
answers() { page "$1" | head -n 1 | grep -q " $2 "; } # PATH CODE

says() { grep -qE "$1" "${2:-$worker_log}"; } # PATTERN [LOG]

play() { python3 -B "$root/tests/e2e/exam.py" --prefix "$prefix" "$@"; }

# One record by kcat: send TOPIC KEY VALUE [HEADER=VALUE...]
send() {
    local topic=$prefix$1 key=$2 value=${3//$'\n'/} header headers=()
    shift 3
    for header; do headers+=(-H "$header"); done
    printf '%s\t%s' "$key" "$value" | kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "$topic" -K '\t' \
        -X partitioner=murmur2_random -X acks=all "${headers[@]}"
}

# Records from standard input, as they are: to_partition N LINGER
to_partition() {
    kcat -P -b "$KAFKA_BOOTSTRAP_SERVERS" -t "${prefix}attempt.writes" -p "$1" -K '\t' \
        -X acks=all -X linger.ms="$2"
}

# A line for it: the submit of attempt N, which nothing else is about.
submit() {
    local id
    id=$(printf '10000000-0000-4000-8000-%012d' "$1")
    printf '%s\t{"type":"attempt.submitted.v1","id":"f%s","data":{"attempt_id":"%s",' \
        "$id" "${id:1}" "$id"
    printf '"expected_version":1,"submitted_at":"2026-05-01T10:00:00Z"}}\n'
}

# How long each of these took from send to told, in ms, sorted: latency.txt
submit_latencies() {
    local topic
    for topic in attempt.writes attempt.outcomes; do
        kcat -C -q -e -b "$KAFKA_BOOTSTRAP_SERVERS" -t "$prefix$topic" -o beginning -f '%k %T\n' \
            2>/dev/null | grep '^10000000' | sort >"$topic.times"
    done
    join attempt.writes.times attempt.outcomes.times | awk '{ print $3 - $2 }' | sort -n >latency.txt
}

# One of Kafka's own tools against the broker: kafka_tool NAME ARG...
kafka_tool() {
    "$root/compose/kafka" tool "org.apache.kafka.tools.$1" \
        --bootstrap-server "$KAFKA_BOOTSTRAP_SERVERS" "${@:2}" >/dev/null
}

# Partitions that the worker has said to be halted, "topic partition" a line: halted REASON
halted() {
    sed -nE "s/.*halt topic=([^ ]+) partition=([0-9]+) reason=($1).*/\1 \2/p" "$worker_log" |
        sort -u
}
# The operator's word for one of them, and for all with a reason: the worker has to go on.
accept() { # TOPIC PARTITION...
    expect 0 attemptd accept-gap "$@" --reason 'a test' --yes </dev/null
}
accept_all() { # REASON
    halted "$1" >halted.txt
    [ -s halted.txt ] || fail "nothing is halted with $1"
    while read -r topic partition; do accept "$topic" "$partition"; done <halted.txt
    within 25 answers /readyz 200
    settle 60
}

uuid() { cat /proc/sys/kernel/random/uuid; }

# The end offsets of the ledger's topics, and what the ledger has settled and published.
log_records() {
    local topic partition queries=()
    for topic in attempt.writes attempt.activity; do
        for ((partition = 0; partition < partitions; partition++)); do
            queries+=(-t "$prefix$topic:$partition:-1")
        done
    done
    kcat -b "$KAFKA_BOOTSTRAP_SERVERS" -Q "${queries[@]}" 2>/dev/null |
        awk '{ n += $NF } END { print n + 0 }'
}
all_settled() {
    local in_log settled
    in_log=$(log_records) || return 1
    settled=$(sql "SELECT coalesce(sum(next_offset), 0)::text || ' ' ||
                          coalesce(sum(published_offset), 0) FROM ingest_progress") || return 1
    [ "$settled" = "$in_log $in_log" ]
}
settle() { within "${1:-60}" all_settled; }

# Everything that is there against the log, by the model and by attemptd itself.
verify() {
    python3 -B "$root/tests/e2e/verify.py" --prefix "$prefix" "$@" || fail "the model disagrees"
    expect 0 attemptd audit
    expect 0 attemptd audit --replay
}
