"""Faults of PostgreSQL: the server, its sessions, its locks, its disk."""

import subprocess
import threading
import time

from disk import fill_tables, fill_wal
from kinds import STRIKE_S, Missed, kind
from servers import SIGNALS, Gone, signal_process, wait_until


def postgres_restart(mode):
    def fault(chaos, rng):
        chaos.servers.restart_postgres(mode)
        return "down, up again"
    return fault


for stop_mode, matrix_row in (("fast", "F21"), ("immediate", "F22"), ("kill", "F22")):
    kind("PostgreSQL " + {"kill": "kill -9 of all"}.get(stop_mode, "stop -m " + stop_mode),
         matrix_row, "postgres")(postgres_restart(stop_mode))


@kind("kill -9 of one backend", "F23", "postgres")
def kill_backend(chaos, rng):
    pids = chaos.db.ask("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'attemptd%'"
                        " AND datname = current_database()")
    if not pids or not signal_process(int(rng.choice(pids)), SIGNALS["KILL"]):
        raise Missed("no backend")
    return "the server restarted itself"


@kind("all sessions terminated", "F24", "postgres")
def terminate_all(chaos, rng):
    count = chaos.terminate_backends()
    return "%s sessions terminated" % count


def backend_in(db, wait_event):
    """The first of our backends that waits for it."""
    found = []

    def waiting():
        found[:] = db.ask("SELECT pid FROM pg_stat_activity WHERE wait_event = '%s'"
                          " AND application_name LIKE 'attemptd%%'"
                          " AND datname = current_database()" % wait_event)
        return found
    if not wait_until(STRIKE_S, waiting):
        raise Missed("no commit")
    return found[0]


@kind("terminated while COMMIT waits", "F24", "postgres")
def terminate_in_commit(chaos, rng):
    """A deferred trigger makes every COMMIT take its time; the backend dies in the middle."""
    db = chaos.db
    db.ask("DROP TRIGGER IF EXISTS chaos_slow_commit ON ingest_progress")
    db.ask("CREATE CONSTRAINT TRIGGER chaos_slow_commit AFTER UPDATE ON ingest_progress"
           " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos_sleep('0.4')")
    try:
        pid = backend_in(db, "PgSleep")
        time.sleep(rng.random() * 0.3)
        if db.value("SELECT pg_terminate_backend(%s)" % pid) != "t":
            raise Missed("the commit was faster")
    finally:
        db.ask("DROP TRIGGER IF EXISTS chaos_slow_commit ON ingest_progress")
    return "the backend ended between COMMIT and its answer"


def unconfirmed(function):
    """A standby that is not there has to confirm every COMMIT; who waits for it is disturbed."""
    def fault(chaos, rng):
        db = chaos.db
        db.ask("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
        try:
            db.ask("SELECT pg_reload_conf()")
            if db.value("SELECT %s(%s)" % (function, backend_in(db, "SyncRep"))) != "t":
                raise Missed("it did not wait any more")
            time.sleep(1)
        finally:
            db.ask("ALTER SYSTEM RESET synchronous_standby_names")
            db.ask("SELECT pg_reload_conf()")
        return "the wait for a standby ended, the commit is there"
    return fault


kind("COMMIT without its standby, cancelled", "F34", "postgres")(unconfirmed("pg_cancel_backend"))
kind("COMMIT without its standby, terminated", "F34", "postgres")(unconfirmed(
    "pg_terminate_backend"))


@kind("too many connections", "F32", "postgres")
def too_many(chaos, rng):
    chaos.db.ask("ALTER ROLE attemptd CONNECTION LIMIT 0")
    try:
        chaos.terminate_backends()
        time.sleep(3)
    finally:
        chaos.db.ask("ALTER ROLE attemptd CONNECTION LIMIT -1")
    return "53300 for 3 s"


@kind("rows locked by another", "F29", "postgres")
def rows_locked(chaos, rng):
    table = rng.choice(("attempt_rows", "ingest_progress"))
    chaos.other.ask("BEGIN; SELECT count(*) FROM (SELECT 1 FROM %s FOR UPDATE) q;"
                    " SELECT pg_sleep(5); COMMIT" % table)
    return "%s locked for 5 s" % table


@kind("another writer in reverse order", "F30", "postgres")
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


@kind("slow statements (100 ms each)", "F29", "postgres")
def slow(chaos, rng):
    for worker in chaos.crew.slots:
        worker.link.statement_delay_s = 0.1
    time.sleep(5)
    for worker in chaos.crew.slots:
        worker.link.statement_delay_s = 0
    return "for 5 s"


@kind("slow rows (trigger with pg_sleep)", "F29", "postgres")
def slow_rows(chaos, rng):
    db = chaos.db
    db.ask("CREATE OR REPLACE TRIGGER chaos_slow_row BEFORE UPDATE ON attempt_rows"
           " FOR EACH ROW EXECUTE FUNCTION chaos_sleep('0.05')")
    try:
        time.sleep(4)
    finally:
        db.ask("DROP TRIGGER IF EXISTS chaos_slow_row ON attempt_rows")
    return "50 ms a row for 4 s"


@kind("refresh behind a long reader", "F61", "postgres")
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


@kind("disk full", "F31", "postgres")
def disk_full(chaos, rng):
    return fill_tables(chaos)


@kind("disk of the WAL full", "F31", "postgres")
def wal_disk_full(chaos, rng):
    return fill_wal(chaos)
