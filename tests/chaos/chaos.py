#!/usr/bin/env python3
"""Faults in the real thing: Kafka, PostgreSQL and workers under a running exam.

    chaos.py [--faults N | --seconds S | --short] [--seed N] [--kinds TEXT,...] [--list] [--keep]

Plays an exam (with duplicates, disorder and rubbish) against four workers, breaks things, watches
the invariants while it runs, and at the end compares everything with a model that shares no code
with the worker, and with `attemptd audit --replay`. --faults: at least so many, and a thirtieth of
it of each kind; --short: the most important kinds once. The seed decides what strikes in which
order; --kinds chooses the kinds whose names contain one of the texts; `halts` are those of
halts.py.

It needs the build with failpoints (`make FAILPOINTS=1`, or build/... named by ATTEMPTD_BUILD).
Prints a table; JSON goes to build/chaos/report.json. Exit 0 when nothing was lost, doubled or
stuck; else 1, and the logs are kept in a folder that the last line names.
"""

import argparse
import glob
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

from disk import Disk
from faults import KINDS, Broken, Missed
from halts import LEDGER, LOG, Halts
from load import Exam
from proxy import Loop
from report import Report
from servers import ROOT, Database, Servers, run, wait_until
from witness import Witness
from workers import Crew

WORKERS = 4
PARTITIONS = 4
HEAL_S = 90
PREFIX = "chaos."
SHORT = (
    "kill at after_cas", "kill at after_commit_sent", "kill at after_commit_ok",
    "kill at after_publish_before_ack", "kill at in_revoke", "kill at in_dead_letter",
    "connection lost at after_commit_ok", "frozen holding row locks", "kill -9 at random",
    "SIGTERM", "PostgreSQL stop -m immediate", "terminated while COMMIT waits",
    "link cut before COMMIT passes", "link cut before COMMIT's answer", "link to Kafka cut",
    "broker killed and restarted")


class Chaos:
    """What the faults have in hand."""

    def __init__(self, options):
        self.options = options
        # PostgreSQL's user has to enter it.
        self.folder = tempfile.mkdtemp(prefix="attemptd-chaos.", dir="/var/tmp")
        os.chmod(self.folder, 0o711)
        self.logs = os.path.join(self.folder, "logs")
        os.makedirs(self.logs)
        self.loop = Loop()
        self.servers = Servers(self.folder)
        self.disk = Disk(self.folder)
        self.binary = os.path.join(ROOT, os.environ.get("ATTEMPTD_BUILD", "build/chaos"),
                                   "attemptd")
        self.faketime = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
        self.report = Report(options.seed)
        self.lane = threading.local()
        self.partitions = PARTITIONS
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
            "KAFKA_BOOTSTRAP_SERVERS": servers.brokers, "ATTEMPTD_TOPIC_PREFIX": PREFIX,
            "ATTEMPTD_GROUP": "chaos"}
        self.attemptd("migrate", "up")
        self.attemptd("doctor", "--fix", "--partitions", str(PARTITIONS))
        self.db.ask("CREATE FUNCTION chaos_sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                    " PERFORM pg_sleep(TG_ARGV[0]::float8); RETURN NEW; END $$")
        self.disk.set_up(servers, self.db)
        self.crew = Crew(self.loop, servers, self.binary, self.logs, "chaos",
                         {"ATTEMPTD_TOPIC_PREFIX": PREFIX, "ATTEMPTD_GROUP": "chaos"}, WORKERS)
        self.exam = Exam(self.environment, PREFIX, self.options.seed, self.options.students)
        self.witness = Witness(*(Database(servers.url("chaos", "postgres")) for _ in range(2)),
                               servers.brokers, PREFIX)
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
            self.servers.kafka_admin("TopicCommand", "--alter", "--topic", PREFIX + topic,
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
        # Each lane asks for itself, so that none waits for another one's faults.
        for row in getattr(self.lane, "db", self.db).rows("SELECT topic, partition, next_offset, published_offset"
                                " FROM ingest_progress"):
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
            return self.disk.why_not
        if kind.name == "wall clock jumps" and not self.faketime:
            return "libfaketime is not installed"
        return None

    def plan(self, kinds):
        """The order of all faults, one list for each lane: round after round, so that a run that
        ends early has had as much of the one as of the other."""
        rng = random.Random(self.options.seed)
        lanes = {"postgres": [], "link": [], "worker a": [], "worker b": []}
        able = []
        for kind in kinds:
            if why := self.why_not(kind):
                self.report.skip(kind, why)
            else:
                able.append(kind)
        for number in range(self.options.each):
            rng.shuffle(able)
            workers = [kind for kind in able if kind.lane == "worker"]
            for index, kind in enumerate(workers):
                lanes["worker " + "ab"[index % 2]].append((kind, number))
            for kind in able:
                if kind.lane != "worker":
                    lanes[kind.lane].append((kind, number))
        return lanes

    def play_lane(self, name, faults, until):
        self.lane.db = Database(self.servers.url("chaos", "postgres"))
        half = WORKERS // 2
        self.lane.workers = self.crew.slots[:half] if name != "worker b" else self.crew.slots[half:]
        faults = list(faults)
        tries = 0
        while faults and not self.broken() and time.monotonic() < until:
            kind, number = faults.pop(0)
            rng = random.Random("%d/%s/%d" % (self.options.seed, kind.name, number))
            try:
                seen = kind.function(self, rng)
            except Missed as missed:
                self.report.missed(kind, str(missed))
                self.say("%-40s missed: %s" % (kind.name, missed))
                tries += 1
                if tries < 3 * (len(faults) + 10):
                    faults.insert(min(5, len(faults)), (kind, number + 1000))
                continue
            except Broken as broken:
                self.report.fail("%s: %s" % (kind.name, broken))
                return
            except Exception as error:
                self.report.fail("%s: the harness failed: %r" % (kind.name, error))
                return
            healed = self.heal()
            self.report.struck(kind, seen, healed)
            self.say("%-40s %s, healed %s" % (
                kind.name, seen, "never" if healed is None else "%.1f s" % healed))
            if healed is None:
                self.report.fail("%s: stuck, nothing moved on within %d s" % (kind.name, HEAL_S))

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
        lanes = self.plan(kinds)
        threads = [threading.Thread(target=self.play_lane, args=(name, faults, until))
                   for name, faults in lanes.items() if faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # ------------------------------------------------------------------------ the verdict

    def judge(self):
        """When all is quiet: nothing is left to do, and all of it is right."""
        self.exam.stop()
        for trouble in (*self.exam.troubles, *self.crew.surprises):
            self.report.fail(trouble)
        self.witness.stop()
        time.sleep(1)
        ends = self.true_ends()
        if not wait_until(HEAL_S, lambda: self.settled(ends) and self.settled(ends, True)):
            self.report.fail("I10: at the end the ledger does not come to the end of the log")
        for bad in self.crew.stop():
            self.report.fail(bad)
        try:
            self.witness.look()
        except Exception as error:
            self.report.fail("the last look failed: %r" % error)
        for violation in self.witness.violations:
            self.report.fail(violation)
        self.report.looks = self.witness.looks
        self.report.compared = self.witness.compared
        self.judge_group()
        self.count()
        self.prove("model", sys.executable, "-B", os.path.join(ROOT, "tests/e2e/verify.py"),
                   "--prefix", PREFIX)
        self.prove("audit", self.binary, "audit", "--quiet")
        self.prove("replay", self.binary, "audit", "--replay", "--quiet")

    def true_ends(self):
        """The ends of the log as the broker says."""
        queries = [word for topic in ("writes", "activity") for partition in range(self.partitions)
                   for word in ("-t", "%sattempt.%s:%d:-1" % (PREFIX, topic, partition))]
        ends = {}
        for line in run("kcat", "-b", self.servers.brokers, "-Q", *queries).splitlines():
            topic, partition, _, offset = line.replace("[", " ").replace("]", " ").split()
            ends[topic, int(partition)] = int(offset)
        return ends

    def judge_group(self):
        """I8: what the group believes is never ahead of what was published."""
        lines = self.servers.kafka_admin("consumer.group.ConsumerGroupCommand", "--describe",
                                         "--offsets", "--group", "chaos").splitlines()
        marks = {(row["topic"], row["partition"]): row["published_offset"] for row in
                 self.db.rows("SELECT topic, partition, published_offset FROM ingest_progress")}
        for line in lines:
            words = line.split()
            if len(words) > 4 and words[0] == "chaos" and words[3].isdigit():
                key = words[1], int(words[2])
                if key in marks and int(words[3]) > marks[key]:
                    self.report.fail("I8: the group is at %s of %s, published was %d" % (
                        words[3], key, marks[key]))

    def count(self):
        """Lost and doubled, from the log's own ends and the tables' own keys."""
        in_log = sum(self.true_ends().values())
        row = self.db.rows("SELECT coalesce(sum(records), 0) AS records,"
                           " coalesce(sum(applied), 0) AS applied,"
                           " coalesce(sum(duplicate), 0) AS duplicate,"
                           " coalesce(sum(stale), 0) AS stale, coalesce(sum(late), 0) AS late,"
                           " coalesce(sum(dead), 0) AS dead FROM ingest_progress")[0]
        model = self.witness.model
        have = {name: {tuple(line.split("|")) for line in self.db.ask(query)} for name, query in (
            ("rejected", "SELECT topic, partition, record_offset FROM rejected_writes"),
            ("dead", "SELECT topic, partition, record_offset FROM dead_letters"
                     " WHERE topic <> '%sview.refresh'" % PREFIX),
            ("submissions", "SELECT attempt_id FROM submissions"))}
        want = {"rejected": {tuple(map(str, p)) for p in model.rejected},
                "dead": {tuple(map(str, p)) for p in model.dead},
                "submissions": {(key,) for key in model.submissions}}
        missing = sum(len(want[name] - have[name]) for name in want)
        extra = sum(len(have[name] - want[name]) for name in want)
        self.report.sums = {"in_log": in_log, **row, "attempts": len(model.attempts),
                            "lost": max(0, in_log - row["records"]) + missing,
                            "doubled": max(0, row["records"] - in_log) + extra}
        if self.report.sums["lost"] or self.report.sums["doubled"]:
            self.report.fail("lost or doubled")

    def prove(self, name, *command):
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=1200)
        with open(os.path.join(self.logs, name + ".txt"), "w", encoding="utf-8") as file:
            file.write(done.stdout)
        lines = done.stdout.strip().splitlines()
        self.report.proofs[name] = lines[-1] if lines else "said nothing"
        if done.returncode:
            self.report.fail("%s ended with %d: %s" % (name, done.returncode,
                                                       " / ".join(lines[:5])[:1000]))

    def play_halts(self):
        self.halts = Halts(self)
        self.halts.start()
        self.halts.play(1 if self.options.seconds else self.options.each)
        self.halts.judge()

    # ----------------------------------------------------------------------------- the end

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
            self.disk.release()
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
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--students", type=int, default=150, help="of one wave of 12 seconds")
    return parser.parse_args(argv)


def chosen(options):
    kinds = list(KINDS.values())
    if options.short:
        kinds = [KINDS[name] for name in SHORT]
    elif options.kinds:
        texts = options.kinds.split(",")
        kinds = [kind for kind in kinds if any(text in kind.name for text in texts)]
    options.halts = not options.short and (not options.kinds or "halts" in options.kinds)
    options.each = 1 if options.short else 1000 if options.seconds else max(
        -(-options.faults // (len(kinds) + options.halts * len({**LEDGER, **LOG}))),
        options.faults // 30)
    return kinds


def main():
    options = options_of(sys.argv[1:])
    kinds = chosen(options)
    if options.list:
        for kind in kinds:
            print("%-44s %s" % (kind.name, kind.row))
        for name, (row, _) in {**LEDGER, **LOG}.items():
            print("%-44s %s" % (name, row))
        return 0
    if not kinds and not options.halts:
        print("chaos: no such kind; --list names them", file=sys.stderr)
        return 64
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("chaos: seed %d (--seed)" % options.seed, flush=True)
    chaos = Chaos(options)
    report = chaos.report
    ended = False
    try:
        chaos.start()
        if kinds:
            chaos.play(kinds)
        chaos.judge()
        if options.halts and not report.failures:
            chaos.play_halts()
        ended = True
    finally:
        if not ended:
            report.fail("the run was not finished")
        chaos.end(options.keep or bool(report.failures))
    report.show(options.short)
    report.save(os.path.join(ROOT, "build", "chaos", "report.json"))
    if report.failures or options.keep:
        print("logs: %s" % chaos.logs)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
