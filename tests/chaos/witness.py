"""The invariants while it runs: what the database shows at one moment is what the log makes of it.

A look takes one REPEATABLE READ snapshot of the ledger and of every attempt, folds the log up to
exactly the ledger's offsets with the model of tests/e2e (which shares no code with the worker), and
compares. So every look proves, for this moment (numbers of the invariants as in ARCHITECTURE.md):

  I1, I2  records = applied + duplicate + stale + late + dead, and each as the model counts them
  I3      no version, revision, offset or mark of the ledger goes back
  I6      what `published_offset` has passed was told before; and, asked as soon as a message is
          there: no message tells of a revision that the database does not have
  I7      every row is the fold of the log up to these offsets
  I8      published_offset <= next_offset <= end of the log
"""

import threading
from collections import defaultdict, deque

from events import canonical, strict_json
from follow import Follower
from model import OUTCOMES, Model
from servers import Gone, wait_until

PROGRESS = """SELECT topic, partition, generation, first_offset, next_offset, published_offset,
    epoch, records, applied, duplicate, stale, late, dead, gaps FROM ingest_progress"""
SEEN = "SELECT id || ' ' || revision || ' ' || md5(a::text) FROM attempts a"
ROWS = """SELECT to_json(q) FROM (SELECT id, exam_id, student_id, status, version, answers,
    auto_save_data FROM attempts WHERE id = ANY('{%s}')) q"""
# Messages whose revision nobody can see in the database.
TOO_EARLY = """SELECT m.id || ' ' || m.revision FROM unnest('{%s}'::uuid[], '{%s}'::bigint[])
    m (id, revision) LEFT JOIN attempts a USING (id)
    WHERE a.revision IS NULL OR a.revision < m.revision"""
COUNTS = """SELECT (SELECT count(*) FROM submissions) || ' ' ||
    (SELECT count(*) FROM rejected_writes) || ' ' || (SELECT count(*) FROM dead_letters) || ' ' ||
    (SELECT count(*) FROM activity_events)"""


class Witness:
    def __init__(self, database, quick, brokers, prefix):
        self.database, self.quick = database, quick
        self.topics = {prefix + "attempt.writes": "writes", prefix + "attempt.activity": "activity"}
        self.log = {topic: Follower(brokers, topic) for topic in self.topics}
        self.invalidations = Follower(brokers, prefix + "cache.invalidations")
        self.outcomes = Follower(brokers, prefix + "attempt.outcomes")
        self.model = Model()
        self.unread = defaultdict(deque)  # (topic, partition) -> records that are not folded yet
        self.untold = defaultdict(deque)  # (topic, partition) -> (offset, what has to be told)
        self.told = {}  # attempt -> the newest (revision, version) that was told
        self.heard = {}  # attempt -> versions that were told since the last look
        self.told_outcomes = set()
        self.revisions = {}  # attempt -> the highest that was seen
        self.rows = {}  # attempt -> digest of the row that was compared
        self.marks = {}  # (topic, partition) -> the ledger's row at the last look
        self.looks = self.compared = 0
        self.violations = []
        self.ending = threading.Event()
        self.deaf = threading.Event()
        self.threads = [threading.Thread(target=self.guard, args=(work,), daemon=True)
                        for work in (self.watch, self.listen)]

    # ------------------------------------------------------------------------------- life

    def start(self):
        for thread in self.threads:
            thread.start()

    def guard(self, work):
        try:
            work()
        except Exception as error:  # a witness that dies in silence proves nothing
            self.violate("witness", "the witness failed: %r" % error)
            raise

    def watch(self):
        while not self.ending.wait(2):
            try:
                self.look()
            except Gone:
                pass  # the server is down: that is what we are here for

    def stop(self):
        """No more looks but those that are asked for; messages are heard until end()."""
        self.ending.set()
        self.threads[0].join(180)
        if self.threads[0].is_alive():
            self.violate("witness", "the witness is stuck")

    def end(self):
        self.deaf.set()
        for follower in (*self.log.values(), self.invalidations, self.outcomes):
            follower.stop()

    def violate(self, invariant, text):
        if len(self.violations) < 10:
            self.violations.append("%s at look %d: %s" % (invariant, self.looks, text))

    def check(self, invariant, what, want, have):
        self.compared += 1
        if want != have:
            self.violate(invariant, "%s: %r expected, %r found" % (what, want, have))

    # --------------------------------------------------------------------------- one look

    def look(self):
        heard, self.heard = self.heard, {}
        with self.database.lock:
            snapshot = self.snapshot()
            try:
                self.fold(snapshot["progress"])
                self.compare_ledger(snapshot["progress"])
                self.compare_attempts(snapshot["seen"])
            finally:
                self.database.once("ROLLBACK")
        self.compare_counts(snapshot["counts"])
        self.compare_heard(heard)
        self.compare_published(snapshot["progress"])
        self.looks += 1

    def snapshot(self):
        ask = self.database.once
        ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Before there is a snapshot: an exchange of partitions after it would hide what was moved.
        ask("LOCK TABLE activity_events IN ACCESS SHARE MODE")
        progress = [strict_json(line.encode())
                    for line in ask("SELECT to_json(q) FROM (%s) q" % PROGRESS)]
        for row in progress:
            for name, value in row.items():
                row[name] = value if name == "topic" else int(value)
        seen = {}
        for line in ask(SEEN):
            attempt, revision, digest = line.split()
            seen[attempt] = (int(revision), digest)
        counts = [int(n) for n in ask(COUNTS)[0].split()]
        return {"progress": {(r["topic"], r["partition"]): r for r in progress}, "seen": seen,
                "counts": dict(zip(("submissions", "rejected", "dead", "activity"), counts))}

    def fold(self, progress):
        """The log up to the ledger's offsets, and not one record further."""
        def read():
            return all(row["next_offset"] <= self.log[topic].ends.get(partition, 0)
                       for (topic, partition), row in progress.items())
        if not wait_until(90, read):
            self.violate("I8", "the ledger is ahead of the log: %s against %s" % (
                {key: row["next_offset"] for key, row in progress.items()},
                {topic: log.ends for topic, log in self.log.items()}))
            raise Gone("the log cannot be read")
        for log in self.log.values():
            for record in log.take():
                self.unread[record.topic, record.partition].append(record)
        for key, row in progress.items():
            unread = self.unread[key]
            while unread and unread[0].offset < row["next_offset"]:
                self.fold_one(unread.popleft())

    def fold_one(self, record):
        key = record.topic, record.partition
        place = record.topic, record.partition, record.offset
        applied = self.model.progress[key]["applied"]
        self.model.fold(self.topics[record.topic], record)
        if self.topics[record.topic] == "writes" and self.model.progress[key]["applied"] > applied:
            attempt = record.key.decode()
            self.rows.pop(attempt, None)
            self.untold[key].append((record.offset, attempt, self.model.attempts[attempt].version))
        if place in self.model.outcomes:
            self.untold[key].append((record.offset, None, place))

    # ------------------------------------------------------------------------ comparisons

    def compare_ledger(self, progress):
        for key, row in progress.items():
            want = self.model.progress[key]
            name = "%s/%d " % key
            self.check("I1", name + "conservation", row["records"], sum(row[o] for o in OUTCOMES))
            for outcome in (*OUTCOMES, "records", "gaps"):
                self.check("I2", name + outcome, want[outcome], row[outcome])
            self.check("I8", name + "published <= next", True,
                       row["published_offset"] <= row["next_offset"])
            before = self.marks.get(key, row)
            for mark in ("generation", "next_offset", "published_offset", "epoch", "records"):
                self.check("I3", name + mark + " only grows", True, row[mark] >= before[mark])
        self.marks = progress

    def compare_attempts(self, seen):
        self.check("I7", "attempts", set(), set(seen) ^ set(self.model.attempts))
        changed = []
        for attempt, (revision, digest) in seen.items():
            self.check("I3", "revision of " + attempt, True,
                       revision >= self.revisions.get(attempt, 0))
            self.revisions[attempt] = revision
            if self.rows.get(attempt) != digest:
                changed.append(attempt)
        for first in range(0, len(changed), 1000):
            for line in self.database.once(ROWS % ",".join(changed[first:first + 1000])):
                self.compare_attempt(strict_json(line.encode()))
        for attempt in changed:
            self.rows[attempt] = seen[attempt][1]

    def compare_attempt(self, row):
        want = self.model.attempts.get(row["id"])
        if want is None:
            return
        for name in ("exam_id", "student_id", "status"):
            self.check("I7", "%s of %s" % (name, row["id"]), getattr(want, name), row[name])
        self.check("I7", "version of " + row["id"], want.version, int(row["version"]))
        for name in ("answers", "auto_save_data"):
            self.check("I7", "%s of %s" % (name, row["id"]), canonical(getattr(want, name)),
                       canonical(row[name]))

    def compare_counts(self, counts):
        want = {"submissions": len(self.model.submissions), "rejected": len(self.model.rejected),
                "dead": len(self.model.dead), "activity": len(self.model.activity)}
        self.check("I2", "rows of the outcome tables", want, counts)

    # ----------------------------------------------------------------------------- telling

    def listen(self):
        """As soon as a message is there the database is asked for what it tells of: it must not be
        told before its commit."""
        while not self.deaf.wait(0.05):
            fresh = {}
            for record in self.invalidations.take():
                data = strict_json(record.value)
                scope, _, attempt = data["key"].partition(":")
                if scope == "attempt":
                    fresh[attempt] = max(fresh.get(attempt, (0, 0)),
                                         (int(data["revision"]), int(data["version"])))
                    self.heard.setdefault(attempt, set()).add(int(data["version"]))
            if fresh:
                self.doubt(fresh)
            for attempt, said in fresh.items():
                self.told[attempt] = max(self.told.get(attempt, (0, 0)), said)
            for record in self.outcomes.take():
                data = strict_json(record.value)
                self.told_outcomes.add((data["topic"], int(data["partition"]),
                                        int(data["record_offset"])))

    def doubt(self, fresh):
        try:
            early = self.quick.ask(TOO_EARLY % (
                ",".join(fresh), ",".join(str(revision) for revision, _ in fresh.values())))
        except Gone:
            return
        self.compared += len(fresh)
        for line in early:
            self.violate("I6", "told before the commit: attempt and revision " + line)

    def compare_heard(self, heard):
        for attempt, versions in heard.items():
            known = self.model.attempts.get(attempt)
            self.check("I6", "versions told of " + attempt, set(),
                       versions - (known.versions if known else set()))

    def compare_published(self, progress):
        due = []
        for key, row in progress.items():
            untold = self.untold[key]
            while untold and untold[0][0] < row["published_offset"]:
                due.append(untold.popleft())
        if not wait_until(60, lambda: all(self.is_told(d) for d in due)):
            for offset, attempt, what in [d for d in due if not self.is_told(d)][:5]:
                self.violate("I6", "never told, though published: offset %d, %s %s" % (
                    offset, attempt or "outcome", what))
        self.compared += len(due)

    def is_told(self, due):
        _, attempt, what = due
        if attempt is None:
            return what in self.told_outcomes
        return self.told.get(attempt, (0, 0))[1] >= what
