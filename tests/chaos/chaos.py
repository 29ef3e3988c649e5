#!/usr/bin/env python3
"""Faults in the real thing: Kafka, PostgreSQL and workers under a running exam.

    chaos.py [--faults N | --seconds S | --short] [--seed N] [--kinds TEXT,...] [--list] [--keep]

Plays an exam (with duplicates, disorder and rubbish) against some workers, breaks things, watches
the invariants while it runs, and at the end compares everything with a model that shares no code
with the worker, and with `attemptd audit --replay`. --faults: at least so many, and a thirtieth of
it of each kind (a kind that strikes less often is a failure); --short: the most important kinds
once. What strikes next is drawn, by the seed, from the kinds that were tried least; --kinds
chooses the kinds whose names contain one of the texts; `halts` are those of halts.py.

It needs the build with failpoints (`make FAILPOINTS=1`, or build/... named by ATTEMPTD_BUILD).
Prints a table; JSON goes to build/chaos/report.json, or where --report says. Exit 0 when nothing
was lost, doubled or stuck; else 1, and the logs are kept in a folder that the last line names.
"""

import argparse
import glob
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

import faults_hardship  # noqa: F401  each enters its kinds
import faults_links  # noqa: F401
import faults_postgres  # noqa: F401
import faults_worker  # noqa: F401
import verdict
from disk import Disks
from halts import HALTS, Halts
from kinds import KINDS, Broken, Missed
from load import Exam
from proxy import Loop
from report import Report
from schedule import Schedule
from servers import ROOT, Database, Servers, run, wait_until
from witness import Witness
from workers import Crew

PAIRS = 3  # of workers, each a lane of its own: a fault of one often needs another
PAIRS_SHORT = 2
HEAL_S = 180
SHORT = (
    "kill at after_cas", "kill at after_commit_sent", "kill at after_commit_ok",
    "kill at after_publish_before_ack", "kill at in_revoke", "kill at in_dead_letter",
    "connection lost at after_commit_ok", "frozen holding row locks", "kill -9 at random",
    "killed while Kafka takes nothing",
    "SIGTERM", "PostgreSQL stop -m immediate", "terminated while COMMIT waits",
    "link cut before COMMIT passes", "link cut before COMMIT's answer", "link to Kafka cut",
    "broker killed and restarted")


class Chaos:
    """What the faults have in hand."""

    prefix = "chaos."

    def __init__(self, options):
        self.options = options
        # PostgreSQL's user has to enter it.
        self.folder = tempfile.mkdtemp(prefix="attemptd-chaos.", dir="/var/tmp")
        os.chmod(self.folder, 0o711)
        self.logs = os.path.join(self.folder, "logs")
        os.makedirs(self.logs)
        self.loop = Loop()
        self.servers = Servers(self.folder)
        self.disks = Disks(self.folder)
        self.binary = os.path.join(ROOT, os.environ.get("ATTEMPTD_BUILD", "build/chaos"),
                                   "attemptd")
        self.faketime = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
        self.report = Report(options.seed, [kind.row for kind in KINDS.values()]
                             + [row for row, _ in HALTS.values()])
        self.lane = threading.local()
        self.workers = 2 * (PAIRS_SHORT if options.short else PAIRS)
        self.partitions = self.workers
        self.crew = self.exam = self.witness = self.halts = None

    # ---------------------------------------------------------------------------- set-up

    def say(self, text):
        if self.options.verbose:
            print("%7.1f  %s" % (time.monotonic() - self.report.begun, text), flush=True)

    def start(self):
        servers = self.servers
        servers.start()
        self.say("servers are up")
        admin = Database(servers.url("postgres", "postgres"))
        admin.ask('CREATE DATABASE chaos OWNER attemptd')
        admin.close()
        self.db, self.other = (Database(servers.url("chaos", "postgres")) for _ in range(2))
        self.environment = {
            **os.environ, "DATABASE_URL": servers.url("chaos"),
            "KAFKA_BOOTSTRAP_SERVERS": servers.brokers, "ATTEMPTD_TOPIC_PREFIX": self.prefix,
            "ATTEMPTD_GROUP": "chaos"}
        self.attemptd("migrate", "up")
        self.attemptd("doctor", "--fix", "--partitions", str(self.partitions))
        self.db.ask("CREATE FUNCTION chaos_sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                    " PERFORM pg_sleep(TG_ARGV[0]::float8); RETURN NEW; END $$")
        self.disks.set_up(servers, self.db)
        self.crew = Crew(self.loop, servers, self.binary, self.logs, "chaos",
                         {"ATTEMPTD_TOPIC_PREFIX": self.prefix, "ATTEMPTD_GROUP": "chaos"},
                         self.workers)
        self.exam = Exam(self.environment, self.prefix, self.options.seed, self.options.students)
        self.witness = Witness(*(Database(servers.url("chaos", "postgres")) for _ in range(2)),
                               servers.brokers, self.prefix)
        self.say("ready")
        self.crew.start()
        self.exam.start()
        self.witness.start()

    def attemptd(self, *args, timeout=600):
        return run(self.binary, *args, env=self.environment, timeout=timeout)

    # -------------------------------------------------------------------- for the faults

    def worker(self, rng):
        """One of this lane's workers."""
        return rng.choice(self.lane.workers)

    def another(self, rng, but):
        return rng.choice([worker for worker in self.lane.workers if worker is not but])

    def some(self, rng):
        return rng.sample(self.crew.slots, rng.randint(1, len(self.crew.slots)))

    def terminate_backends(self):
        return self.db.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name LIKE 'attemptd%' AND datname = current_database()")

    def grow(self):
        self.partitions += 1
        for topic in ("attempt.writes", "attempt.activity"):
            self.servers.kafka_admin("TopicCommand", "--alter", "--topic", self.prefix + topic,
                                     "--partitions", str(self.partitions))
        for follower in self.witness.log.values():
            follower.again()
        return "now %d" % self.partitions

    # --------------------------------------------------------------------------- healing

    def ends(self):
        return {(topic, partition): end for topic, log in self.witness.log.items()
                for partition, end in list(log.ends.items())}

    def settled(self, ends, published=False):
        marks = {}
        db = getattr(self.lane, "db", self.db)  # so that no lane waits for another one's faults
        for row in db.rows(
                "SELECT topic, partition, next_offset, published_offset FROM ingest_progress"):
            marks[row["topic"], row["partition"]] = row[
                "published_offset" if published else "next_offset"]
        return all(marks.get(key, 0) >= end for key, end in ends.items())

    def heal(self):
        """How long until everything that was in the log a second after the fault is in the ledger:
        whoever holds a partition then has worked. None: it is stuck."""
        begun = time.monotonic()
        time.sleep(1)
        ends = self.ends()
        if not wait_until(HEAL_S, lambda: self.settled(ends)):
            return None
        return time.monotonic() - begun

    # ---------------------------------------------------------------------------- faults

    def why_not(self, kind):
        if kind.name == "disk full":
            return self.disks.tables.why_not
        if kind.name == "disk of the WAL full":
            return self.disks.wal.why_not
        if kind.name == "wall clock jumps" and not self.faketime:
            return "libfaketime is not installed"
        return None

    def able(self, kinds):
        """Those kinds that this machine can play."""
        able = []
        for kind in kinds:
            if why := self.why_not(kind):
                self.report.skip(kind, why)
            else:
                able.append(kind)
        return able

    def play_lane(self, name, workers, schedule, until):
        self.lane.db = Database(self.servers.url("chaos", "postgres"))
        self.lane.workers = workers
        while not self.broken() and time.monotonic() < until:
            if (turn := schedule.take(name.split()[0])) is None:
                return
            kind, number = turn
            seen = self.play_one(name, kind, number)
            schedule.done(kind, seen is not None)

    def play_one(self, lane, kind, number):
        """What was seen; None when it did not strike."""
        rng = random.Random("%d/%s/%d" % (self.options.seed, kind.name, number))
        begun = time.monotonic()
        try:
            seen = kind.function(self, rng)
        except Missed as missed:
            self.report.missed(kind)
            self.say("%-10s %-40s missed: %s, after %.1f s" % (
                lane, kind.name, missed, time.monotonic() - begun))
            return None
        except Broken as broken:
            self.report.fail("%s: %s" % (kind.name, broken))
            return None
        except Exception as error:
            self.report.fail("%s: the harness failed: %r" % (kind.name, error))
            return None
        took = time.monotonic() - begun
        healed = self.heal()
        self.report.struck(kind, lane, seen, took, healed)
        self.say("%-10s %-40s %s, %.1f s, healed %s" % (
            lane, kind.name, seen, took, "never" if healed is None else "%.1f s" % healed))
        if healed is None:
            self.report.fail("%s: stuck, nothing moved on within %d s" % (kind.name, HEAL_S))
        return seen

    def broken(self):
        return bool(self.report.failures or self.witness.violations or self.crew.surprises
                    or self.exam.troubles)

    def note_most(self, what, seconds):
        self.report.note_most(what, seconds)

    def play(self, kinds):
        until = time.monotonic() + (self.options.seconds or 1e9)
        # An end that moves on while it is looked at is never reached on a quick machine.
        if not wait_until(60, self.ends) or self.heal() is None:
            self.report.fail("the workers did not begin to work")
            return
        self.say("everybody works")
        schedule = Schedule(self.able(kinds), self.options.each, self.options.seed)
        slots = self.crew.slots
        lanes = {"postgres": slots, "link": slots,
                 **{"worker %d" % (n + 1): slots[2 * n:2 * n + 2] for n in range(len(slots) // 2)}}
        threads = [threading.Thread(target=self.play_lane, args=(name, workers, schedule, until))
                   for name, workers in lanes.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not self.options.seconds and not self.broken():
            for kind, struck in schedule.short_of():
                self.report.fail("%s: struck %d times of %d" % (
                    kind.name, struck, self.options.each))

    # ---------------------------------------------------------------------------- the end

    def play_halts(self):
        self.halts = Halts(self, self.options.halts)
        self.halts.start()
        self.halts.play(1 if self.options.seconds else self.options.each)
        self.halts.judge()

    def end(self, keep):
        if self.halts:
            self.halts.reap()
        if self.exam:
            self.exam.reap()
        if self.crew:
            self.crew.reap()
        if self.witness:
            self.witness.end()
        log = os.path.join(self.servers.postgres_dir, "home", "log")
        if keep and os.path.exists(log):
            shutil.copy(log, os.path.join(self.logs, "postgres.txt"))
            shutil.copy(os.path.join(self.servers.kafka_dir, "broker.log"),
                        os.path.join(self.logs, "broker.txt"))
        try:
            self.servers.stop()
        finally:
            self.disks.release()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def options_of(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--report", default=os.path.join(ROOT, "build", "chaos", "report.json"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--students", type=int, default=150, help="of one wave of 12 seconds")
    return parser.parse_args(argv)


def chosen(options):
    kinds = list(KINDS.values())
    halts = [] if options.short else list(HALTS)
    if options.short:
        kinds = [KINDS[name] for name in SHORT]
    elif options.kinds:
        texts = options.kinds.split(",")
        kinds = [kind for kind in kinds if any(text in kind.name for text in texts)]
        halts = [name for name in halts if any(text in name or text == "halts" for text in texts)]
    options.halts = halts
    options.each = 1 if options.short else 1000 if options.seconds else max(
        -(-options.faults // max(1, len(kinds) + len(halts))), options.faults // 30)
    return kinds


def main():
    options = options_of(sys.argv[1:])
    kinds = chosen(options)
    if options.list:
        for kind in kinds:
            print("%-44s %s" % (kind.name, kind.row))
        for name in options.halts:
            print("%-44s %s" % (name, HALTS[name][0]))
        return 0
    if not kinds and not options.halts:
        print("chaos: no such kind; --list names them", file=sys.stderr)
        return 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("chaos: seed %d (--seed)" % options.seed, flush=True)
    chaos = Chaos(options)
    report = chaos.report
    ended = False
    try:
        chaos.start()
        if kinds:
            chaos.play(kinds)
        verdict.judge(chaos)
        if options.halts and not report.failures:
            chaos.play_halts()
        ended = True
    finally:
        if not ended:
            report.fail("the run was not finished")
        chaos.end(options.keep or bool(report.failures))
    report.show(options.short)
    report.save(options.report)
    if report.failures or options.keep:
        print("logs: %s" % chaos.logs)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
