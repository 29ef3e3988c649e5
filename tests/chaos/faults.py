"""The faults: each a function that does its worst to the exam and undoes it.

fault(chaos, rng) returns what was seen, as a short text, when the fault is over and healing may
begin; it raises Missed when it did not strike (the place was not passed, the row was not there),
which counts as nothing. Anything else that it raises is a failure of the run.
"""

import os
import subprocess
import threading
import time

from servers import SIGNALS, Gone, signal_process, wait_until
from workers import FAILPOINTS, SESSION_MS

STRIKE_S = 40
KINDS = {}  # name -> Kind


class Missed(Exception):
    pass


class Broken(Exception):
    """attemptd did not do what the contract says."""


class Kind:
    """`row` names the row of the fault matrix. Lanes go on side by side: faults of one worker, of
    PostgreSQL, and of Kafka and the links."""

    def __init__(self, name, row, lane, function):
        self.name, self.row, self.lane, self.function = name, row, lane, function


def kind(name, row, lane="postgres"):
    def enter(function):
        KINDS[name] = Kind(name, row, lane, function)
        return function
    return enter


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


@kind("no file descriptors", "F56", "worker")
def no_descriptors(chaos, rng):
    worker = chaos.worker(rng)
    open_now = len(os.listdir("/proc/%d/fd" % worker.pid))
    limit(worker.pid, open_now)
    worker.link.cut()
    time.sleep(2)
    limit(worker.pid, 1024)
    if not worker.alive():
        raise Broken("no descriptors left ended the worker: %s" % worker.log)
    return "limit at the %d in use, connections lost, for 2 s" % open_now


def limit(pid, count):
    subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%d:1024" % count], check=True)


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
    for to in ("-1h", "+1h", "-10y", "+10y", "+0"):
        time.sleep(1)
        jump(to)
    if not worker.alive():
        raise Broken("a jump of the clock ended the worker: %s" % worker.log)
    time.sleep(1)
    leave(worker, (0, -15))
    worker.start()
    return "by an hour and by ten years, to and fro"


# ------------------------------------------------------------------------------ PostgreSQL itself

def postgres_restart(mode):
    def fault(chaos, rng):
        chaos.servers.restart_postgres(mode)
        return "down, up again"
    return fault


for stop_mode, matrix_row in (("fast", "F21"), ("immediate", "F22"), ("kill", "F22")):
    kind("PostgreSQL " + {"kill": "kill -9 of all"}.get(stop_mode, "stop -m " + stop_mode),
         matrix_row)(postgres_restart(stop_mode))


@kind("kill -9 of one backend", "F23")
def kill_backend(chaos, rng):
    pids = chaos.db.ask("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'attemptd%'"
                        " AND datname = current_database()")
    if not pids or not signal_process(int(rng.choice(pids)), SIGNALS["KILL"]):
        raise Missed("no backend")
    return "the server restarted itself"


@kind("all sessions terminated", "F24")
def terminate_all(chaos, rng):
    count = chaos.terminate_backends()
    return "%s sessions terminated" % count


@kind("terminated while COMMIT waits", "F24")
def terminate_in_commit(chaos, rng):
    """A deferred trigger makes every COMMIT take its time; the backend dies in the middle."""
    db = chaos.db
    db.ask("DROP TRIGGER IF EXISTS chaos_slow_commit ON ingest_progress")
    db.ask("CREATE CONSTRAINT TRIGGER chaos_slow_commit AFTER UPDATE ON ingest_progress"
           " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos_sleep('0.4')")
    try:
        found = []

        def committing():
            found[:] = db.ask("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                              " AND application_name LIKE 'attemptd%'"
                              " AND datname = current_database()")
            return found
        if not wait_until(STRIKE_S, committing):
            raise Missed("no commit")
        time.sleep(rng.random() * 0.3)
        if db.value("SELECT pg_terminate_backend(%s)" % found[0]) != "t":
            raise Missed("the commit was faster")
    finally:
        db.ask("DROP TRIGGER IF EXISTS chaos_slow_commit ON ingest_progress")
    return "the backend ended between COMMIT and its answer"


@kind("too many connections", "F32")
def too_many(chaos, rng):
    chaos.db.ask("ALTER ROLE attemptd CONNECTION LIMIT 0")
    try:
        chaos.terminate_backends()
        time.sleep(3)
    finally:
        chaos.db.ask("ALTER ROLE attemptd CONNECTION LIMIT -1")
    return "53300 for 3 s"


@kind("rows locked by another", "F29")
def rows_locked(chaos, rng):
    table = rng.choice(("attempt_rows", "ingest_progress"))
    chaos.other.ask("BEGIN; SELECT count(*) FROM (SELECT 1 FROM %s FOR UPDATE) q;"
                    " SELECT pg_sleep(5); COMMIT" % table)
    return "%s locked for 5 s" % table


@kind("another writer in reverse order", "F30")
def deadlock_partner(chaos, rng):
    """It takes rows that are being written one by one, the highest id first, and gives up."""
    until, rounds, deadlocks = time.monotonic() + 3, 0, 0
    while time.monotonic() < until:
        try:
            with chaos.other.lock:
                chaos.other.once(
                    "DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM attempt_rows"
                    " WHERE status = 'in_progress' ORDER BY id DESC LIMIT 200 LOOP"
                    " PERFORM 1 FROM attempt_rows WHERE id = r.id FOR UPDATE;"
                    " PERFORM pg_sleep(0.002); END LOOP; END $$")
        except Gone as gone:
            deadlocks += "deadlock" in str(gone)
        rounds += 1
    return "3 s of it%s" % (", deadlocks" if deadlocks else "")


@kind("slow statements (100 ms each)", "F29")
def slow(chaos, rng):
    for worker in chaos.crew.slots:
        worker.link.statement_delay_s = 0.1
    time.sleep(5)
    for worker in chaos.crew.slots:
        worker.link.statement_delay_s = 0
    return "for 5 s"


@kind("slow rows (trigger with pg_sleep)", "F29")
def slow_rows(chaos, rng):
    db = chaos.db
    db.ask("CREATE OR REPLACE TRIGGER chaos_slow_row BEFORE UPDATE ON attempt_rows"
           " FOR EACH ROW EXECUTE FUNCTION chaos_sleep('0.05')")
    try:
        time.sleep(4)
    finally:
        db.ask("DROP TRIGGER IF EXISTS chaos_slow_row ON attempt_rows")
    return "50 ms a row for 4 s"


@kind("refresh behind a long reader", "F61")
def refresh_blocked(chaos, rng):
    """A reader holds what REFRESH ... CONCURRENTLY needs; the saves must not wait for it."""
    views = chaos.db.ask("SELECT matviewname FROM pg_matviews WHERE schemaname = 'public'")
    reader = threading.Thread(target=chaos.other.ask, args=(
        "BEGIN; LOCK TABLE %s IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT"
        .replace("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE",
                 "SELECT count(*) FROM %s" % rng.choice(views)),))
    reader.start()
    refresh = subprocess.run([chaos.crew.binary, "refresh"], env=chaos.environment, timeout=60,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             stdin=subprocess.DEVNULL)
    reader.join()
    return "refresh ended with %d" % refresh.returncode


@kind("disk full", "F31")
def disk_full(chaos, rng):
    return chaos.disk.fill(chaos, Missed)


# ------------------------------------------------------------------------------------ the links

def cut_at_commit(plan, seen):
    def fault(chaos, rng):
        worker = chaos.worker(rng)
        worker.link.arm(plan)
        if not worker.link.struck.wait(STRIKE_S):
            worker.link.disarm()
            raise Missed("no COMMIT came by")
        return seen
    return fault


kind("link cut before COMMIT passes", "F25", "link")(cut_at_commit("before", "not committed, done again"))
kind("link cut before COMMIT's answer", "F26", "link")(cut_at_commit("after", "committed, not doubled"))


@kind("link to PostgreSQL cut", "F27", "link")
def cut_postgres(chaos, rng):
    workers = chaos.some(rng)
    return "%d connections" % sum(worker.link.cut() for worker in workers)


@kind("PostgreSQL black-holed", "F27", "link")
def stall_postgres(chaos, rng):
    workers = chaos.some(rng)
    seconds = rng.choice((3, 8))
    for worker in workers:
        worker.link.stall(True)
    time.sleep(seconds)
    for worker in workers:
        worker.link.stall(False)
    return "for up to 8 s"


@kind("link to Kafka cut", "F28", "link")
def cut_kafka(chaos, rng):
    return "%d connections" % chaos.crew.kafka.cut()


@kind("Kafka black-holed", "F28", "link")
def stall_kafka(chaos, rng):
    seconds = rng.choice((2, 2 * SESSION_MS // 1000))
    chaos.crew.kafka.stall(True)
    time.sleep(seconds)
    chaos.crew.kafka.stall(False)
    return "for up to two sessions"


# ------------------------------------------------------------------------------- Kafka itself

@kind("broker killed and restarted", "F41", "link")
def broker_killed(chaos, rng):
    chaos.servers.restart_kafka("KILL")
    return "down, up again"


@kind("broker stopped and restarted", "F41", "link")
def broker_stopped(chaos, rng):
    chaos.servers.restart_kafka("TERM")
    return "down, up again"


@kind("partitions added", "F48", "link")
def partitions_added(chaos, rng):
    return chaos.exam.between_waves(lambda: chaos.grow())
