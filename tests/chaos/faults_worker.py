"""Faults of a single worker: at its failpoints, and of its process."""

import time

from kinds import STRIKE_S, Broken, Missed, kind
from servers import wait_until
from workers import FAILPOINTS, SESSION_MS


# ----------------------------------------------------------------------- one worker: failpoints

def strike(chaos, rng, worker, place, action, provoke=None):
    """Arms a place and waits until it has struck."""
    worker.arm("%s:%s:%d" % (place, action, 1 if provoke else rng.randint(1, 5)))
    if provoke:
        provoke()
    if not wait_until(STRIKE_S, lambda: worker.struck() or not worker.alive()):
        worker.arm("nothing:0")  # it has read the file already, perhaps
        time.sleep(0.5)
        if worker.alive() and not worker.struck():
            raise Missed(place)


def rejoin(chaos, rng, but):
    """Another member leaves and comes back, so that partitions change hands."""
    other = chaos.another(rng, but)

    def run():
        if other.alive():
            leave(other, (0, -15))  # it may be so young that it does not listen yet
        other.start()
    return run


def provocation(chaos, rng, worker, place):
    if place in ("in_assign", "in_revoke", "in_claim"):
        return rejoin(chaos, rng, worker)
    if place == "in_recall":
        # Somebody who has published nothing yet, and whose partitions come to this one.
        def leave_unpublished():
            other = chaos.another(rng, worker)
            other.expected = True
            other.arm("after_publish_before_ack:kill")
            if wait_until(STRIKE_S, lambda: not other.alive()):
                other.start()
            else:
                other.arm("nothing:0")
                other.expected = False
        return leave_unpublished
    if place == "in_shutdown":
        return lambda: worker.send("TERM")
    return None


def kill_at(place):
    def fault(chaos, rng):
        worker = chaos.worker(rng)
        worker.expected = True
        try:
            strike(chaos, rng, worker, place, "kill", provocation(chaos, rng, worker, place))
            if not wait_until(5, lambda: not worker.alive()):
                raise Broken("struck at %s and lives" % place)
        except Missed:
            worker.expected = False
            raise
        worker.disarm()
        worker.start()
        return "killed, started again"
    return fault


for number, failpoint in enumerate(FAILPOINTS):
    kind("kill at " + failpoint, "F1-F15", "worker")(kill_at(failpoint))


@kind("SIGTERM at a failpoint", "F17", "worker")
def terminate_at(chaos, rng):
    """Any of them but the one that SIGTERM itself leads to."""
    worker = chaos.worker(rng)
    place = rng.choice([name for name in FAILPOINTS if name != "in_shutdown"])
    worker.expected = True
    try:
        strike(chaos, rng, worker, place, "term", provocation(chaos, rng, worker, place))
    except Missed:
        worker.expected = False
        raise
    took, code = worker.ended()
    if code != 0:
        raise Broken("SIGTERM at %s ended with %s after %.1f s, see %s" % (
            place, code, took, worker.log))
    worker.disarm()
    worker.start()
    chaos.note_most("SIGTERM to exit", took)
    return "at %s: exit 0" % place


def error_at(place):
    def fault(chaos, rng):
        worker = chaos.worker(rng)
        strike(chaos, rng, worker, place, "error")
        worker.disarm()
        if not worker.alive():
            raise Broken("a lost connection at %s ended the worker" % place)
        return "went on by itself"
    return fault


for failpoint in ("before_begin", "after_write", "before_commit_sent", "after_commit_sent",
                  "after_commit_ok", "in_dead_letter"):
    kind("connection lost at " + failpoint, "F24-F26", "worker")(error_at(failpoint))


@kind("frozen holding row locks", "F17, F18", "worker")
def frozen_with_locks(chaos, rng):
    worker = chaos.worker(rng)
    strike(chaos, rng, worker, "after_write", "stop")
    worker.disarm()
    time.sleep(2 * SESSION_MS / 1000)
    worker.send("CONT")
    return "frozen in a transaction for two sessions"


# --------------------------------------------------------------------- one worker: its process

@kind("kill -9 at random", "F16", "worker")
def kill_at_random(chaos, rng):
    worker = chaos.worker(rng)
    time.sleep(rng.random())
    worker.kill()
    worker.start()
    return "killed, started again"


def leave(worker, codes=(0,)):
    """SIGTERM, which has to end it in order. Returns how long that took."""
    took, code = worker.terminate()
    if code not in codes:
        log = worker.log
        worker.kill()
        raise Broken("%s: SIGTERM ended with %s after %.1f s, see %s" % (
            worker.name, code, took, log))
    return took


@kind("SIGTERM", "F17", "worker")
def terminate(chaos, rng):
    worker = chaos.worker(rng)
    time.sleep(rng.random())
    took = leave(worker)
    worker.start()
    chaos.note_most("SIGTERM to exit", took)
    return "exit 0 after %.1f s" % took


@kind("zombie (SIGSTOP for two sessions)", "F18", "worker")
def zombie(chaos, rng):
    worker = chaos.worker(rng)
    worker.send("STOP")
    time.sleep(2 * SESSION_MS / 1000)
    worker.send("CONT")
    return "came back after %d s" % (2 * SESSION_MS / 1000)


@kind("rebalance storm", "F20", "worker")
def storm(chaos, rng):
    until = time.monotonic() + 5
    changes = 0
    while time.monotonic() < until:
        guest = rng.choice(chaos.crew.guests)
        if not guest.alive():
            guest.start()
        elif guest.expected:
            continue  # on its way out
        elif rng.random() < 0.3:
            guest.kill()
        else:
            guest.expected = True
            guest.send("TERM")
        changes += 1
        time.sleep(0.3)
    for guest in chaos.crew.guests:
        if guest.alive():
            if not guest.expected:
                guest.send("TERM")
            took, code = guest.ended()
            if code not in (0, -15):  # SIGTERM may come before it is listened to
                raise Broken("%s: SIGTERM ended with %s after %.1f s" % (guest.name, code, took))
    return "%d joins and leaves in 5 s" % changes


@kind("signal storm", "F54", "worker")
def signal_storm(chaos, rng):
    worker = chaos.worker(rng)
    until, sent = time.monotonic() + 2, 0
    while time.monotonic() < until:
        worker.send(rng.choice(("PIPE", "CHLD", "WINCH", "CONT")))
        sent += 1
        time.sleep(0.001)
    if not worker.alive():
        raise Broken("signals that mean nothing ended the worker: %s" % worker.log)
    return "%d signals in 2 s" % sent


@kind("killed while Kafka takes nothing", "F16, F28", "worker")
def kill_untold(chaos, rng):
    """What it commits in that time it cannot tell, and it dies with that: the next owner has to."""
    worker = chaos.worker(rng)
    with chaos.crew.silence:
        chaos.crew.kafka.stall(True)
        try:
            time.sleep(1.5 + rng.random())
            worker.kill()
        finally:
            chaos.crew.kafka.stall(False)
    worker.start()
    return "killed after some seconds of silence, started again"
