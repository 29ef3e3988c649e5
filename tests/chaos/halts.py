"""Faults that end a partition's run: the ledger and the log no longer agree, or the tables are not
as needed.

They are played after the others, with a database and topics of their own, because what they leave
is no longer the fold of one log. Each must halt its partitions and no other, with the line, the
reason and the next step that the contract promises, their rows unmoved; it must heal by that step;
and SIGTERM must end the workers in order after it. All but those of the log are healed without a
loss, so that at the end every row is still what the model makes of the log.
"""

import glob
import os
import random
import re
import time

import breaks
from kinds import Broken, Kind, Missed
from load import Exam
from model import Model
from observe import read_topic
from servers import Database, run, wait_until
from verify import Comparison, compare_activity, compare_answers, compare_attempts, \
    compare_submissions
from workers import Crew

PARTITIONS = 6
AT_ONCE = 4  # partitions that are struck at the same time, the others go on
LEDGER = {
    "ledger row deleted": ("F37", "ledger_missing"),
    "ledger row put back": ("F37", "ledger_behind"),
    "ledger row put ahead, within the log": ("F37", "anchor"),
    "ledger row put ahead of the log": ("F37", "log_end"),
}
DATABASE = {
    "a column is gone": ("F50", "schema"),
    "dead letters refused": ("F51", "schema"),
    "database put back by some seconds": ("F33, F36", "ledger_behind"),
}
LOG = {
    "records removed before they were read": ("F39", "log_start"),
    "topic made anew": ("F38", "log_end|anchor"),
}
HALTS = {**LEDGER, **DATABASE, **LOG}


class Halts:
    database, prefix, partitions = "halts", "halts.", PARTITIONS
    topic = prefix + "attempt.writes"

    def __init__(self, chaos, names):
        self.chaos, self.servers, self.report = chaos, chaos.servers, chaos.report
        self.names = names
        self.folder = os.path.join(chaos.logs, "halts")
        os.makedirs(self.folder)
        self.crew = self.exam = None

    def start(self):
        admin = Database(self.servers.url("postgres", "postgres"))
        admin.ask("CREATE DATABASE %s OWNER attemptd" % self.database)
        admin.close()
        self.db = Database(self.servers.url(self.database, "postgres"))
        names = {"ATTEMPTD_TOPIC_PREFIX": self.prefix, "ATTEMPTD_GROUP": "halts"}
        self.environment = {**self.chaos.environment, **names,
                            "DATABASE_URL": self.servers.url(self.database)}
        self.attemptd("migrate", "up")
        self.attemptd("doctor", "--fix", "--partitions", str(PARTITIONS))
        self.crew = Crew(self.chaos.loop, self.servers, self.chaos.binary, self.folder,
                         self.database, names, 2, self.chaos.crew.kafka)
        self.exam = Exam(self.environment, self.prefix, self.chaos.options.seed + 1, 60)
        self.crew.start()
        self.exam.start()

    def attemptd(self, *args):
        return run(self.chaos.binary, *args, env=self.environment)

    # ------------------------------------------------------------------------- what is seen

    def offsets(self):
        """(topic, partition) -> next_offset, of all there are."""
        return {(row["topic"], row["partition"]): row["next_offset"] for row in self.db.rows(
            "SELECT topic, partition, next_offset FROM ingest_progress")}

    def row(self, partition):
        rows = self.db.rows("SELECT next_offset, generation FROM ingest_progress "
                            + breaks.where(self.topic, partition))
        return rows[0] if rows else None

    def end(self, partition, topic=None):
        line = run("kcat", "-b", self.servers.brokers, "-Q", "-t",
                   "%s:%d:-1" % (topic or self.topic, partition))
        return int(line.split()[-1])

    def ends(self):
        return {(self.topic, p): self.end(p) for p in range(PARTITIONS)}

    def logs_now(self):
        return {name: os.path.getsize(name)
                for name in glob.glob(os.path.join(self.folder, "*.log"))}

    def halted(self, since, reason):
        """The partitions that a worker has said to be halted, since that moment: (topic, number).
        The line has to name the next step."""
        line = re.compile(r"halt topic=(\S+) partition=(\d+) reason=(%s)\b(.*)" % reason)
        found = set()
        for name in glob.glob(os.path.join(self.folder, "*.log")):
            with open(name, encoding="utf-8", errors="replace") as log:
                log.seek(since.get(name, 0))
                for topic, partition, _, rest in line.findall(log.read()):
                    step = "attemptd doctor" if reason == "schema" else \
                        "attemptd accept-gap %s %s --reason" % (topic, partition)
                    if "next_step=" not in rest or step not in rest:
                        raise Broken("a halt line without its next step: %s" % rest)
                    found.add((topic, int(partition)))
        return found

    def at_rest(self):
        """The group is whole and has divided its partitions: who gets one anew tries anew what
        halted with its predecessor, so a halted partition would move, and rightly."""
        seen = [None, time.monotonic()]

        def rests():
            now = self.db.rows("SELECT count(DISTINCT owner) AS owners, sum(epoch) AS epochs"
                               " FROM ingest_progress WHERE topic = '%s'" % self.topic)[0]
            if now != seen[0]:
                seen[:] = now, time.monotonic()
            return now["owners"] == len(self.crew.slots) and time.monotonic() - seen[1] > 2
        if not wait_until(60, rests):
            raise Broken("the group does not come to rest")

    # ---------------------------------------------------------------------------- one strike

    def strike(self, names, rng):
        """Strikes as many partitions as there are names. Returns how long healing took."""
        if not wait_until(60, lambda: all((self.row(p) or {"next_offset": 0})["next_offset"] > 30
                                          for p in range(PARTITIONS))):
            raise Broken("not all partitions move")
        self.at_rest()
        since = self.logs_now()
        name = names[0]
        if name in LEDGER:
            healed = self.strike_ledger(dict(zip(rng.sample(range(PARTITIONS), len(names)), names)),
                                        since)
        elif name in breaks.SCHEMA:
            healed = self.strike_schema(name, since)
        elif name == "database put back by some seconds":
            healed = self.strike_database(since)
        elif name == "topic made anew":
            healed = self.strike_topic(since)
        else:
            healed = self.strike_records(rng.sample(range(PARTITIONS), len(names)), since)
        for worker in self.crew.slots:
            took, code = worker.terminate()
            if code != 0:
                raise Broken("SIGTERM after it ended with %s after %.1f s, see %s" % (
                    code, took, worker.log))
            worker.start()
        return healed

    def strike_ledger(self, plan, since):
        # First the one that may miss.
        order = sorted(plan.items(), key=lambda item: item[1] in breaks.EDITS)
        options = {}
        for partition, name in order:
            options[partition] = breaks.edit(self, name, partition)
            if name not in breaks.EDITS:
                # It froze the workers, and the group may divide anew: the next owner of a ledger
                # that is put back would know no more of it than was noted a second ago.
                self.at_rest()
        for partition, name in plan.items():
            self.expect(since, HALTS[name][1], {(self.topic, partition)})
        self.stand_still({(self.topic, partition) for partition in plan})
        return self.accept({(self.topic, p): words for p, words in options.items()})

    def strike_schema(self, name, since):
        letters = "SELECT count(*) FROM dead_letters"
        self.db.ask(breaks.SCHEMA[name][0])
        if not wait_until(60, lambda: self.halted(since, "schema")):
            raise Broken("nothing halted with schema")
        halted = self.halted(since, "schema")
        before, marks = self.db.value(letters), self.offsets()
        time.sleep(2)
        if any(self.offsets()[place] != marks[place] for place in halted):
            raise Broken("a halted partition moved")
        if self.db.value(letters) != before:
            raise Broken("dead-lettered instead of halted")
        begun = time.monotonic()
        breaks.mend_schema(self, name)
        return self.healed(begun)

    def strike_database(self, since):
        lost = breaks.put_back_database(self)
        marks = self.offsets()
        behind = {place for place, mark in marks.items() if mark < lost[place]}
        self.expect(since, "ledger_behind", behind)
        halted = None
        while halted != (now := self.halted(since, "ledger_behind")):
            halted = now
            time.sleep(4)  # some may notice it only when they write
        if any(self.offsets()[place] != marks[place] for place in halted):
            raise Broken("a halted partition moved")
        return self.accept({place: [] for place in halted})

    def strike_records(self, partitions, since):
        self.exam.between_waves(lambda: breaks.remove_unread(self, partitions))
        places = {(self.topic, partition) for partition in partitions}
        self.expect(since, "log_start", places)
        self.stand_still(places)
        return self.accept({place: [] for place in places})

    def strike_topic(self, since):
        self.exam.between_waves(lambda: breaks.make_anew(self))
        reason = HALTS["topic made anew"][1]
        if not wait_until(60, lambda: self.halted(since, reason)):
            raise Broken("nothing halted with " + reason)
        time.sleep(5)
        return self.accept({place: [] for place in self.halted(since, reason)})

    # ------------------------------------------------------------------------------- its parts

    def expect(self, since, reason, places):
        if not wait_until(60, lambda: places <= self.halted(since, reason)):
            raise Broken("%s did not halt with %s" % (
                sorted(places - self.halted(since, reason)), reason))

    def stand_still(self, places):
        """Halted partitions do not move, and the others go on beside them."""
        before = self.offsets()

        def others():
            return sum(n for place, n in self.offsets().items() if place not in places)
        begun = others()
        if not wait_until(60, lambda: others() > begun):
            raise Broken("the other partitions did not go on beside a halted one")
        now = self.offsets()
        if any(now.get(place) != before.get(place) for place in places):
            raise Broken("a halted partition moved")

    def accept(self, options):
        begun = time.monotonic()
        for (topic, partition), words in options.items():
            self.attemptd("accept-gap", topic, str(partition), "--reason", "chaos", "--yes", *words)
        return self.healed(begun)

    def healed(self, begun):
        ends = self.ends()
        if not wait_until(120, lambda: self.reached(ends)):
            raise Broken("it did not heal within 120 s")
        return time.monotonic() - begun

    def reached(self, ends):
        now = self.offsets()
        return all(now.get(place, -1) >= end for place, end in ends.items())

    # ----------------------------------------------------------------------------- all of it

    def play(self, each):
        rng = random.Random(self.chaos.options.seed)
        for group, proof in (({**LEDGER, **DATABASE}, self.prove_rows), (LOG, lambda: None)):
            turns = self.turns([name for name in group if name in self.names], each)
            rng.shuffle(turns)
            for names in turns:
                if not self.play_one(names, rng):
                    return
            if turns:
                proof()
        for surprise in (*self.crew.surprises, *self.exam.troubles):
            self.report.fail(surprise)

    @staticmethod
    def turns(names, each):
        """What strikes at once: one of each kind of the ledger, or some partitions of the log."""
        ledger = [name for name in names if name in LEDGER]
        turns = [ledger for _ in range(each)] if ledger else []
        for name in names:
            if name == "records removed before they were read":
                turns += [[name] * min(AT_ONCE, each - done) for done in range(0, each, AT_ONCE)]
            elif name not in LEDGER:
                turns += [[name] for _ in range(each)]
        return turns

    def play_one(self, names, rng):
        begun = time.monotonic()
        healed = None
        for _ in range(5):
            try:
                healed = self.strike(names, rng)
                break
            except Missed as missed:
                self.chaos.say("%-10s %-40s missed: %s" % ("halt", names[0], missed))
            except Exception as error:
                self.report.fail("%s: %s" % (", ".join(sorted(set(names))), error))
                return False
        if healed is None:
            self.report.fail("%s: did not strike" % names[0])
            return False
        took = time.monotonic() - begun - healed
        for name in names:
            row, reason = HALTS[name]
            self.report.struck(Kind(name, row, "halt", None), "halt", "halted with " + reason,
                               took, healed)
            self.chaos.say("%-10s %-40s halted with %s, %.1f s, healed %.1f s" % (
                "halt", name, reason, took, healed))
        return True

    # ----------------------------------------------------------------------------- the verdict

    def prove_rows(self):
        """No event was lost or applied twice by all of that."""
        self.exam.between_waves(self.compare)

    def compare(self):
        ends = self.ends()
        if not wait_until(90, lambda: self.reached(ends)):
            self.report.fail("after the halts of the ledger it is stuck")
            return
        time.sleep(3)
        model, compare = Model(), Comparison()
        for kind in ("writes", "activity"):
            for record in read_topic(self.servers.brokers, "%sattempt.%s" % (self.prefix, kind)):
                model.fold(kind, record)
        database = self.environment["DATABASE_URL"]
        compare_attempts(compare, model, database)
        compare_answers(compare, model, database)
        compare_submissions(compare, model, database)
        compare_activity(compare, model, database)
        self.report.proofs["rows after the halts"] = "%d comparisons, %d differences" % (
            sum(compare.checked.values()), compare.differences)
        if compare.differences:
            self.report.fail("rows differ after halts of the ledger")

    def judge(self):
        self.exam.stop()
        time.sleep(2)
        for bad in self.crew.stop():
            self.report.fail(bad)
        try:
            said = self.attemptd("audit", "--quiet")
            self.report.proofs["audit after the halts"] = said.strip().splitlines()[-1]
        except RuntimeError as error:
            self.report.fail("audit after the halts: %s" % error)

    def reap(self):
        if self.exam:
            self.exam.reap()
        if self.crew:
            self.crew.reap()
