# shellcheck shell=bash disable=SC2154
# nobody reads the log, signals rain, descriptors run out, strangers besiege the HTTP port
stage hardships

# A pipe that is full, and a reader that holds it open and never reads.
mkfifo stuck
sleep 600 <>stuck &
groups+=("$!")
exec 9<>stuck
dd if=/dev/zero of=stuck bs=4096 count=64 oflag=nonblock 2>/dev/null || true
http=127.0.0.1:$(free_port)
ATTEMPTD_HTTP=$http setsid "$build/attemptd" run --workers 2 --log-level debug >&9 2>&9 </dev/null &
worker=$!
groups+=("$worker")
play --students 60 --seconds 2 --clean
settle 40
answers /livez 200 || fail "/livez with a log that nobody reads"
stop_worker
exec 9>&-

# Signals that mean nothing, a thousand a second each; SIGHUP means nothing under nohup.
(trap '' HUP && exec setsid "$build/attemptd" run --http off >storm.log 2>&1 </dev/null) &
worker=$!
groups+=("$worker")
within 20 says 'partition claimed' storm.log
python3 - "$worker" <<'PY' &
import os, signal, sys, time
end = time.monotonic() + 8
while time.monotonic() < end:
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGURG, signal.SIGCONT):
        os.kill(int(sys.argv[1]), number)
    time.sleep(0.001)
PY
storm=$!
play --students 60 --seconds 3 --clean --seed 2
settle 30
wait "$storm" || fail "the storm killed the worker"
stop_worker
! grep -E '"level":"(warn|error)"' storm.log || fail "signals that mean nothing caused trouble"

# Too few descriptors: without those for its own loop it says so and ends; without those for
# sockets it says so, goes on trying, and goes on working when there are more.
play --students 30 --seconds 1 --clean --seed 4
for limit in 8; do
    rc=0
    prlimit --nofile="$limit" timeout 40 "$build/attemptd" run --drain --http off \
        >"few.$limit.log" 2>&1 </dev/null || rc=$?
    [[ $rc = 69 ]] || fail "with $limit descriptors it ends with $rc"
    grep -q '"level":"error"' "few.$limit.log" || fail "$rc without a word"
done
setsid prlimit --nofile=16:1024 "$build/attemptd" run --drain --http off >few.log 2>&1 </dev/null &
worker=$!
groups+=("$worker")
within 40 says 'Too many open files' few.log
prlimit --pid "$worker" --nofile=1024:1024
within 60 wait_gone "$worker" 1
expect 0 wait "$worker"
all_settled || fail "--drain left something behind after it had been short of descriptors"

# A thousand connections that say little and slowly, and headers without end.
run_worker
within 20 answers /readyz 200
python3 - "$http" <<'PY' &
import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
held, end = [], time.monotonic() + 12
for i in range(1000):
    try:
        s = socket.create_connection((host, int(port)), timeout=1)
        s.setblocking(False)
        s.send(b"GET /metrics HTTP/1.1\r\nX: ")
        held.append(s)
    except OSError:
        pass
big = b"X: " + b"x" * 65536 + b"\r\n"
while time.monotonic() < end:
    for s in held:
        try:
            s.send(b"y")
        except OSError:
            pass
    try:
        with socket.create_connection((host, int(port)), timeout=1) as s:
            s.sendall(b"GET /livez HTTP/1.1\r\n")
            for _ in range(160):
                s.sendall(big)
    except OSError:
        pass
    time.sleep(0.2)
print("%d connections" % len(held))
PY
siege=$!
sleep 2
play --students 60 --seconds 3 --clean --seed 3
settle 30
rss=$(awk '/VmRSS/ { print $2 }' "/proc/$worker/status")
((rss < 300000)) || fail "the worker holds $rss kB under siege"
wait "$siege"
within 20 answers /livez 200
stop_worker
verify
