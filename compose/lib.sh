# shellcheck shell=bash
# What the scripts of the local stack share. Sourced, never run.

# shellcheck disable=SC2034
compose=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "${0##*/}: $*"; }
die() { # [-CODE] TEXT...
    local code=1
    if [[ $1 =~ ^-([0-9]+)$ ]]; then
        code=${BASH_REMATCH[1]}
        shift
    fi
    echo "${0##*/}: $*" >&2
    exit "$code"
}

# The comment at the top of the calling script is its manual.
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }

# A TCP port that nobody listens on, below the range that outgoing connections take theirs from,
# so that a server that is stopped finds its port free when it comes back.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((10240 + (RANDOM * 32768 + RANDOM) % 22000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die "found no free port"
}

# Waits until process $1 (not necessarily our child) has ended, at most $2 seconds.
wait_gone() {
    local deadline=$((SECONDS + $2))
    while kill -0 "$1" 2>/dev/null; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# The process id in file $1 if that process is alive.
alive() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && echo "$pid"
}
