"""Faults of a single worker: what its surroundings do to it. No descriptors, no memory, a log that
nobody reads, strangers at its HTTP port, a clock that jumps, a namesake in the group."""

import fcntl
import os
import resource
import socket
import subprocess
import time

from faults_worker import leave
from kinds import STRIKE_S, Broken, kind
from servers import wait_until

F_SETPIPE_SZ = 1031
PIPE = 4096


def limit(pid, what, soft, hard=""):
    subprocess.run(["prlimit", "--pid", str(pid), "--%s=%s:%s" % (what, soft, hard)], check=True)


@kind("no file descriptors", "F56", "worker")
def no_descriptors(chaos, rng):
    worker = chaos.worker(rng)
    open_now = len(os.listdir("/proc/%d/fd" % worker.pid))
    limit(worker.pid, "nofile", open_now)
    worker.link.cut()
    time.sleep(2)
    limit(worker.pid, "nofile", 1024)
    if not worker.alive():
        raise Broken("no descriptors left ended the worker: %s" % worker.log)
    return "limit at the %d in use, connections lost, for 2 s" % open_now


@kind("no memory", "F53", "worker")
def no_memory(chaos, rng):
    """Not a page more than it has. The Kafka library gives up then, so an end is no surprise."""
    worker = chaos.worker(rng)
    with open("/proc/%d/statm" % worker.pid, encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    worker.expected = True
    limit(worker.pid, "as", size)
    worker.link.cut()
    time.sleep(2)
    if worker.alive():
        limit(worker.pid, "as", "unlimited")
        worker.expected = False
        return "went on within %d MiB, connections lost" % (size >> 20)
    code = worker.process.returncode
    worker.start()
    return "ended with %d, started again" % code


@kind("log's reader stuck, then gone", "F58", "worker")
def log_unread(chaos, rng):
    worker = chaos.worker(rng)
    leave(worker, (0, -15))
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE)
    os.write(writer, b"." * PIPE)
    worker.start(log=writer)
    os.close(writer)
    stuck = chaos.heal()
    os.close(reader)
    if stuck is None or not worker.alive():
        raise Broken("with a log that nobody reads the worker does not work")
    worker.link.cut()  # something to be logged
    time.sleep(2)
    if not worker.alive():
        raise Broken("with a log whose reader is gone the worker ended")
    leave(worker, (0, -15))
    worker.start()
    return "%.1f s until all was done with the pipe full; then broken" % stuck


@kind("HTTP under attack", "F63", "worker")
def http_attack(chaos, rng):
    """A thousand connections that never finish their request, and headers without end."""
    worker = chaos.worker(rng)
    held = []
    try:
        for _ in range(1000):
            try:
                slow = socket.create_connection(("127.0.0.1", worker.http_port), 0.2)
                slow.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
                held.append(slow)
            except OSError:
                break
        with socket.create_connection(("127.0.0.1", worker.http_port), 2) as greedy:
            try:
                greedy.sendall(b"GET / HTTP/1.1\r\n" + b"X: 0123456789abcdef\r\n" * 500000)
            except OSError:
                pass  # it has heard enough
        until = time.monotonic() + 4
        while time.monotonic() < until:
            for slow in held:
                try:
                    slow.send(b"z")
                except OSError:
                    pass
            time.sleep(0.5)
    except OSError:
        pass  # no more are let in
    finally:
        for slow in held:
            slow.close()
    if not worker.alive():
        raise Broken("HTTP ended the worker: %s" % worker.log)
    if not wait_until(15, lambda: answers(worker)):
        raise Broken("its HTTP does not answer any more: %s" % worker.log)
    return "%d half requests held for 4 s, 10 MB of headers" % len(held)


def answers(worker):
    try:
        with socket.create_connection(("127.0.0.1", worker.http_port), 2) as client:
            client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            return b" 200 " in client.recv(100)
    except OSError:
        return False


@kind("two members of one name", "F19", "worker")
def namesakes(chaos, rng):
    """Two with one group.instance.id: the group lets only the younger in."""
    first, second = chaos.crew.twins
    name = ("-X", "group.instance.id=twin")
    first.start(options=name)
    time.sleep(2)
    second.start(options=name)
    time.sleep(3)
    seen = []
    for twin, which in ((first, "elder"), (second, "younger")):
        if twin.alive():
            leave(twin, (0, -15))
            seen.append("the %s stayed" % which)
        elif twin.process.returncode > 0:
            seen.append("the %s ended with %d" % (which, twin.process.returncode))
        else:
            raise Broken("the %s crashed with %d: %s" % (which, twin.process.returncode, twin.log))
    return ", ".join(seen)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


@kind("wall clock jumps", "F55", "worker")
def clock_jumps(chaos, rng):
    worker = chaos.worker(rng)
    leave(worker, (0, -15))
    library = chaos.faketime
    stamp = os.path.join(worker.folder, worker.name + ".clock")

    def jump(to):
        with open(stamp + ".new", "w", encoding="ascii") as file:
            file.write(to + "\n")
        os.rename(stamp + ".new", stamp)
    jump("+0")
    worker.start(LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=stamp, FAKETIME_NO_CACHE="1",
                 FAKETIME_DONT_FAKE_MONOTONIC="1")
    # The library starts its threads by the wall clock; what it cannot start ends the process.
    if not wait_until(STRIKE_S, lambda: "worker runs" in read(worker.log)):
        raise Broken("it does not start: %s" % worker.log)
    for to in ("-1h", "+1h", "-10y", "+10y", "+0"):
        time.sleep(1)
        jump(to)
    if not worker.alive():
        raise Broken("a jump of the clock ended the worker: %s" % worker.log)
    time.sleep(1)
    leave(worker, (0, -15))
    worker.start()
    return "by an hour and by ten years, to and fro"
