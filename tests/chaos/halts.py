"""Faults that end a partition's run: the ledger and the log no longer agree.

They are played after the others, with a database and topics of their own, because what they leave
is no longer the fold of one log. Each must halt its partition alone, with its reason and its row
unmoved, while the others go on; and accept-gap must heal it. Those of the ledger are healed with the
offset that was true, so that at the end every row is still what the model makes of the log.
"""

import glob
import json
import os
import random
import re
import time

from faults import Broken, Kind
from load import Exam
from servers import Database, run, wait_until
from verify import Comparison, compare_activity, compare_answers, compare_attempts, \
    compare_submissions
from model import Model
from observe import read_topic
from workers import Crew

PARTITIONS = 6
PREFIX = "halts."
TOPIC = PREFIX + "attempt.writes"

LEDGER = {
    "ledger row deleted": ("F37", "ledger_missing"),
    "ledger row put back": ("F37", "ledger_behind"),
    "ledger row put ahead, within the log": ("F37", "anchor"),
    "ledger row put ahead of the log": ("F37", "log_end"),
}
LOG = {
    "records removed before they were read": ("F39", "log_start"),
    "topic made anew": ("F38", "log_end|anchor"),
}


class Halts:
    def __init__(self, chaos):
        self.chaos, self.servers, self.report = chaos, chaos.servers, chaos.report
        self.folder = os.path.join(chaos.logs, "halts")
        os.makedirs(self.folder)
        self.crew = self.exam = None

    def start(self):
        admin = Database(self.servers.url("postgres", "postgres"))
        admin.ask("CREATE DATABASE halts OWNER attemptd")
        admin.close()
        self.db = Database(self.servers.url("halts", "postgres"))
        names = {"ATTEMPTD_TOPIC_PREFIX": PREFIX, "ATTEMPTD_GROUP": "halts"}
        self.environment = {**self.chaos.environment, **names,
                            "DATABASE_URL": self.servers.url("halts")}
        self.attemptd("migrate", "up")
        self.attemptd("doctor", "--fix", "--partitions", str(PARTITIONS))
        self.crew = Crew(self.chaos.loop, self.servers, self.chaos.binary, self.folder, "halts",
                         names, 2, self.chaos.crew.kafka)
        self.exam = Exam(self.environment, PREFIX, self.chaos.options.seed + 1, 60)
        self.crew.start()
        self.exam.start()

    def attemptd(self, *args):
        return run(self.chaos.binary, *args, env=self.environment)

    # ------------------------------------------------------------------------- what is seen

    def row(self, partition):
        rows = self.db.rows("SELECT next_offset, generation FROM ingest_progress"
                            " WHERE topic = '%s' AND partition = %d" % (TOPIC, partition))
        return rows[0] if rows else None

    def end(self, partition):
        line = run("kcat", "-b", self.servers.brokers, "-Q", "-t",
                   "%s:%d:-1" % (TOPIC, partition))
        return int(line.split()[-1])

    def halted(self, since, partition, reason):
        """Whether a worker has said so since that moment."""
        line = re.compile(r"halt topic=%s partition=%d reason=(%s)\b"
                          % (re.escape(TOPIC), partition, reason))
        for name in glob.glob(os.path.join(self.folder, "*.log")):
            with open(name, encoding="utf-8", errors="replace") as log:
                log.seek(since.get(name, 0))
                if line.search(log.read()):
                    return True
        return False

    def logs_now(self):
        return {name: os.path.getsize(name)
                for name in glob.glob(os.path.join(self.folder, "*.log"))}

    def others(self, partition):
        return int(self.db.value("SELECT sum(next_offset) FROM ingest_progress WHERE NOT"
                                 " (topic = '%s' AND partition = %d)" % (TOPIC, partition)))

    # ---------------------------------------------------------------------------- one strike

    def strike(self, name, rng):
        partition = rng.randrange(PARTITIONS)
        if not wait_until(60, lambda: (self.row(partition) or {"next_offset": 0})["next_offset"]
                          > 30):
            raise Broken("partition %d does not move" % partition)
        since = self.logs_now()
        reason = {**LEDGER, **LOG}[name][1]
        accept = self.do(name, partition)
        if not wait_until(60, lambda: self.halted(since, partition, reason)):
            raise Broken("partition %d did not halt with %s" % (partition, reason))
        before = self.others(partition)
        mark = self.row(partition)
        if name != "topic made anew" and not wait_until(
                60, lambda: self.others(partition) > before):
            raise Broken("the other partitions did not go on beside a halted one")
        if self.row(partition) != mark:
            raise Broken("a halted partition moved")
        self.accept(name, partition, accept, since)
        begun = time.monotonic()
        ends = [self.end(p) for p in range(PARTITIONS)]
        if not wait_until(90, lambda: all(
                (self.row(p) or {"next_offset": -1})["next_offset"] >= ends[p]
                for p in range(PARTITIONS))):
            return None
        return time.monotonic() - begun

    def do(self, name, partition):
        """Breaks it. Returns the options for accept-gap."""
        where = "WHERE topic = '%s' AND partition = %d" % (TOPIC, partition)
        if name in LEDGER:
            return self.edit(name, where)
        if name == "topic made anew":
            self.exam.between_waves(self.make_anew)
            return []
        self.exam.between_waves(lambda: self.remove(partition))
        return []

    def edit(self, name, where):
        """One statement, so that the true offset is that of the moment before."""
        change = {
            "ledger row deleted": "DELETE FROM ingest_progress %s RETURNING next_offset",
            "ledger row put back": "UPDATE ingest_progress SET next_offset = next_offset - 10,"
                                   " published_offset = next_offset - 10 %s"
                                   " RETURNING next_offset + 10",
            "ledger row put ahead of the log": "UPDATE ingest_progress SET next_offset ="
                                               " next_offset + 1000000 %s"
                                               " RETURNING next_offset - 1000000",
        }
        if name in change:
            true = int(self.db.value(change[name] % where))
        else:
            # The workers are held for a moment, so that there is something to be put ahead of.
            for worker in self.crew.slots:
                worker.send("STOP")
            time.sleep(3)
            partition = int(where.split()[-1])
            end = self.end(partition)
            true = int(self.db.value("SELECT next_offset FROM ingest_progress " + where))
            if end <= true:
                end = true  # nothing came: the strike is void, and says so by not halting
            self.db.ask("UPDATE ingest_progress SET next_offset = %d, published_offset = %d %s"
                        % (end, end, where))
            for worker in self.crew.slots:
                worker.send("CONT")
        return ["--skip-to", str(true)]

    def remove(self, partition):
        """Records that nobody has read go, as when retention is shorter than an outage."""
        for worker in self.crew.slots:
            worker.terminate()
        self.exam.play_once(1)
        target = self.end(partition)
        mark = self.row(partition)["next_offset"]
        if target <= mark:
            raise Broken("the test lost nothing")
        path = os.path.join(self.folder, "remove.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"version": 1, "partitions": [
                {"topic": TOPIC, "partition": partition, "offset": (mark + target + 1) // 2}]}, file)
        self.servers.kafka_admin("DeleteRecordsCommand", "--offset-json-file", path)
        for worker in self.crew.slots:
            worker.start()

    def make_anew(self):
        self.servers.kafka_admin("TopicCommand", "--delete", "--topic", TOPIC)
        time.sleep(1)
        if not wait_until(30, self.made):
            raise Broken("the topic could not be made anew")

    def made(self):
        try:
            self.attemptd("doctor", "--fix", "--partitions", str(PARTITIONS))
            return True
        except RuntimeError:
            return False

    def accept(self, name, partition, options, since):
        partitions = [partition]
        if name == "topic made anew":
            time.sleep(5)
            partitions = [p for p in range(PARTITIONS) if self.halted(since, p, LOG[name][1])]
        for one in partitions:
            self.attemptd("accept-gap", TOPIC, str(one), "--reason", "chaos", "--yes", *options)

    # ----------------------------------------------------------------------------- all of it

    def play(self, each):
        rng = random.Random(self.chaos.options.seed)
        for group, proof in ((LEDGER, self.prove_rows), (LOG, lambda: None)):
            names = [name for name in group for _ in range(each)]
            rng.shuffle(names)
            for name in names:
                kind = Kind(name, group[name][0], "halt", None)
                try:
                    healed = self.strike(name, rng)
                except Exception as error:
                    self.report.fail("%s: %s" % (name, error))
                    return
                self.report.struck(kind, "halted with " + group[name][1], healed)
                self.chaos.say("%-40s halted with %s, healed %s" % (name, group[name][1], healed))
                if healed is None:
                    self.report.fail("%s: accept-gap did not heal it" % name)
                    return
            if names:
                proof()
        for surprise in (*self.crew.surprises, *self.exam.troubles):
            self.report.fail(surprise)

    def prove_rows(self):
        """No event was lost or applied twice by all of that."""
        self.exam.between_waves(self.compare)

    def compare(self):
        ends = {p: self.end(p) for p in range(PARTITIONS)}
        if not wait_until(90, lambda: all(self.row(p)["next_offset"] >= end
                                          for p, end in ends.items())):
            self.report.fail("after the halts of the ledger it is stuck")
            return
        time.sleep(3)
        model, compare = Model(), Comparison()
        for kind in ("writes", "activity"):
            for record in read_topic(self.servers.brokers, "%sattempt.%s" % (PREFIX, kind)):
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
