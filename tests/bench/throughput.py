"""Events a second: attemptd beside its own limits, the plain merge and a naive worker.

Each variant has a database of its own that goes on from round to round, as a real one does: full
page images, hint bits and the first growth of the rows are behind it when the first round begins.
In a round every variant gets the same events. Those of attemptd run are frozen while its log is
filled, so that a round begins with idle workers and a backlog that appears at once.
"""

import os
import statistics
import time

from stand import ATTEMPTD, HERE, Failure, Worker, run, spin

PARTITIONS = 12
VARIANTS = {
    "a": "librdkafka alone: consume, nothing else",
    "b": "consume, decode, fold, plan; no database",
    "c": "the worker's own SQL alone, batches prepared beforehand",
    "m": "plain jsonb merge, best single statement, same batches, one backend",
    "d": "naive worker in C: one transaction an event, idempotent by event id",
    "e1": "attemptd run, 1 worker, every guarantee on",
    "e2": "attemptd run, 2 workers, every guarantee on",
}
# Records of a round at scale 1, so that each variant but the naive one works for some seconds.
LOADS = {"1": ("f1", 150000), "5": ("f5", 300000), "20": ("f20", 600000), "exam": ("exam", 200000)}
WARM = 400000


class Plan:
    """Which segments there are, in the order in which they lie in the log."""

    def __init__(self, loads, rounds, scale, attempts):
        self.loads, self.rounds = loads, rounds
        self.segments = ["warm:%d" % max(100, int(WARM * scale))]
        self.at = {}
        for number in range(rounds):
            for load in loads:
                kind, events = LOADS[load]
                self.at[load, number] = len(self.segments)
                self.segments.append("%s:%d" % (kind, max(100, int(events * scale))))
        self.attempts = attempts

    def options(self, at=None, begin=None):
        options = ["--partitions", str(PARTITIONS), "--attempts", str(self.attempts),
                   "--begin", str(self.begin)]
        if at is not None:
            for segment in self.segments:
                options += ["--segment", segment]
            options += ["--at", str(at)]
        return options


class Throughput:
    def __init__(self, stand, say, settings):
        self.stand, self.say, self.settings = stand, say, settings
        self.variants = [v for v in settings["variants"]]
        self.plan = Plan(settings["loads"], settings["rounds"], settings["scale"],
                         settings["attempts"])
        self.plan.begin = settings["begin"]
        self.workers = {}
        self.runs = []  # (load, variant, round, result)
        self.spins = []

    # ------------------------------------------------------------------------------- the tables

    def prepare(self):
        plan, stand = self.plan, self.stand
        self.say("tables: %d attempts of 40 answers" % plan.attempts)
        if {"c", "e1", "e2"} & set(self.variants):
            template = attemptd_template(stand, plan.options(), plan.attempts)
        if {"m", "d"} & set(self.variants):
            plain_template(stand, plan.options())
        for variant in self.variants:
            if variant in ("c", "e1", "e2"):
                stand.create(variant, template)
                stand.admin.ask("ALTER DATABASE %s SET pg_stat_statements.track = 'top'" % variant
                                if stand.counts_statements else "SELECT 1")
            elif variant in ("m", "d"):
                stand.create(variant, "made_plain")
        for variant in ("e1", "e2"):
            if variant in self.variants or variant == self.reads():
                make_topics(stand, variant)
        for variant in ("e1", "e2"):
            if variant in self.variants:
                self.workers[variant] = Worker(stand, variant, int(variant[1]),
                                               self.settings["worker_options"])
        self.warm()

    def source(self):
        """Whose log the variants without a log of their own read."""
        return "e1" if "e1" in self.variants or "e2" not in self.variants else "e2"

    def reads(self):
        """The same, or None when nobody reads it."""
        return self.source() if {"a", "b", "d"} & set(self.variants) else None

    def warm(self):
        for variant in self.variants:
            if variant in ("e1", "e2", "c", "m"):
                self.say("warming up %s" % variant)
            if variant in self.workers:
                self.workers[variant].wait_idle(2 * PARTITIONS)
                self.measure_run(variant, 0)
            elif variant in ("c", "m"):
                self.measure_part(variant, 0, {})
        if self.reads() is not None and self.source() not in self.workers:
            self.load(self.source(), 0)
        if "d" in self.variants:
            self.say("warming up d")
            if not self.settings["naive_seconds"]:
                self.measure_part("d", 0, {})
            self.stand.sql("d").ask("UPDATE plain_attempts SET updated_at = now()")
            self.stand.sql("d").ask("VACUUM plain_attempts")
        self.stand.sql("postgres", admin=True).ask("SELECT pg_stat_reset()")

    # -------------------------------------------------------------------------------- measuring

    def load(self, name, at):
        """The segment goes into the log of `name`."""
        part = self.stand.part_at_once("load", self.plan.options(at), prefix=name + ".")
        return part

    def measure_run(self, variant, at):
        worker, stand = self.workers[variant], self.stand
        worker.freeze()
        self.load(variant, at)
        watch = stand.part("watch", self.plan.options(at), database=variant,
                           prefix=worker.prefix)
        before = stand.snapshot(variant, worker)
        watch.go()
        worker.thaw()
        while watch.line() != "published":
            pass
        after = stand.snapshot(variant, worker)
        result = watch.result()
        result["client_cpu_us"] = after["client"] - before["client"]
        result["peak_rss_kb"] = worker.peak_rss_kb()
        return complete(result, before, after)

    def measure_part(self, variant, at, limits):
        name = {"a": "consume", "b": "fold", "c": "store", "m": "merge", "d": "naive"}[variant]
        options = self.plan.options(at) + ["--batch", str(self.settings["batch"])]
        for limit, value in limits.items():
            options += ["--" + limit, str(value)]
        database = variant if variant in "cmd" else "postgres"
        part = self.stand.part(name, options, database=database, prefix=self.source() + ".")
        before = self.stand.snapshot(database)
        part.go()
        result = part.result()
        return complete(result, before, self.stand.snapshot(database))

    def measure(self, load, variant, number):
        at = self.plan.at[load, number]
        if variant in self.workers:
            result = self.measure_run(variant, at)
            if result["applied"] != result["events"]:
                raise Failure("%s applied %d of %d events" % (variant, result["applied"],
                                                              result["events"]))
        else:
            limits = {"seconds": self.settings["naive_seconds"]} if variant == "d" else {}
            result = self.measure_part(variant, at, limits)
        self.runs.append((load, variant, number, result))
        self.say("round %d of %d, %s, %s: %s events/s" % (
            number + 1, self.plan.rounds, load_name(load), variant,
            format(round(result["rate"]), ",")))

    def run(self):
        self.prepare()
        order = [v for v in ("e1", "a", "b", "c", "m", "d", "e2") if v in self.variants]
        for number in range(self.plan.rounds):
            for load in self.plan.loads:
                self.spins.append(spin())
                if self.reads() is not None and self.source() not in self.workers:
                    self.load(self.source(), self.plan.at[load, number])
                for variant in order:
                    if variant != "m" or load != "exam":  # it has no statement for starts
                        self.measure(load, variant, number)
        result = self.summary()
        self.finish(result)
        return result

    def finish(self, result):
        """The workers end in order, and what they wrote is compared with what others wrote."""
        for variant, worker in self.workers.items():
            if worker.stop() != 0:
                raise Failure("attemptd run of %s did not end with 0" % variant)
        result["ledger"] = {variant: ledger(self.stand, variant)
                            for variant in self.variants if variant in ("c", "e1", "e2")}
        whole = ["c", "e1", "e2", "m"] + ([] if self.settings["naive_seconds"] else ["d"])
        result["documents"] = {variant: documents(self.stand, variant)
                               for variant in self.variants if variant in whole}

    # --------------------------------------------------------------------------------- summary

    def summary(self):
        loads = {}
        for load in self.plan.loads:
            loads[load] = {"events": int(self.plan.segments[self.plan.at[load, 0]].split(":")[1])}
            for variant in self.variants:
                results = [r for (l, v, _, r) in self.runs if (l, v) == (load, variant)]
                if results:
                    loads[load][variant] = summarize(results)
        return {"loads": loads, "rounds": self.plan.rounds, "segments": self.plan.segments,
                "spin_ms": summary_of(self.spins)}


def complete(result, before, after):
    """Rates and costs of one event."""
    events = max(1, result["events"])
    result["rate"] = result["events"] / result["seconds"] if result["seconds"] > 0 else 0
    result["client_us"] = result["client_cpu_us"] / events
    for server in ("postgres", "broker"):
        result[server + "_us"] = (after[server] - before[server]) / events
    result["wal_bytes"] = (after["wal"] - before["wal"]) / events
    if "statements" in result:
        result["statements"] /= events
    elif before["statements"] is not None and after["statements"] is not None:
        result["statements"] = (after["statements"] - before["statements"]) / events
    return result


MEASURES = ["rate", "client_us", "postgres_us", "broker_us", "wal_bytes", "statements",
            "peak_rss_kb"]


def summary_of(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": values}


def summarize(results):
    summary = {name: summary_of([r[name] for r in results]) for name in MEASURES
               if all(name in r for r in results)}
    for name in ("events", "row_writes"):
        if name in results[0]:
            summary[name] = sum(r[name] for r in results)
    return summary


def load_name(load):
    return "F=" + load if load.isdigit() else load


# ---------------------------------------------------------------------------------- the databases

def attemptd_template(stand, flood, attempts):
    """A migrated database with so many attempts, to be copied; made once."""
    database = "made_%d" % attempts
    if database in stand.templates:
        return database
    stand.templates.add(database)
    stand.create(database)
    run([ATTEMPTD, "migrate", "up"], env=stand.env(database, ""))
    # A writer that sets the revision says that it tells the world by itself: no foreign changes.
    stand.load_rows(database, flood, [
        "INSERT INTO exams (id) SELECT DISTINCT exam_id FROM passage",
        "INSERT INTO attempts (id, exam_id, student_id, status, version, revision, answers,"
        " started_at) SELECT id, exam_id, student_id, 'in_progress', 1, 1, answers, now()"
        " FROM passage",
        "CREATE TABLE first_attempts AS SELECT id FROM passage",
        "DELETE FROM foreign_changes",
        "UPDATE view_schedules SET enabled = false",
        "VACUUM FREEZE ANALYZE"])
    return database


def plain_template(stand, flood, database="made_plain"):
    stand.create(database)
    with open(os.path.join(HERE, "plain_schema.sql"), encoding="utf-8") as schema:
        run(["psql", stand.url(database), "-XAtq", "-v", "ON_ERROR_STOP=1"], input=schema.read())
    stand.load_rows(database, flood, [
        "INSERT INTO plain_attempts (id, exam_id, student_id, answers)"
        " SELECT id, exam_id, student_id, answers FROM passage",
        "CREATE TABLE first_attempts AS SELECT id FROM passage",
        "VACUUM FREEZE ANALYZE"])
    return database


def make_topics(stand, name):
    stand.part_at_once("topics", ["--partitions", str(PARTITIONS)], prefix=name + ".")


def ledger(stand, database):
    names = ["records", "applied", "duplicate", "stale", "late", "dead", "gaps"]
    row = stand.sql(database).ask("SELECT %s FROM ingest_progress" % ", ".join(
        "coalesce(sum(%s), 0)" % name for name in names))[0]
    return dict(zip(names, (int(n) for n in row)))


def documents(stand, database):
    """Digests of id, version, status and answers: of the first attempts, and of the exams'."""
    table = "plain_attempts" if database in ("m", "d") else "attempts"
    query = ("SELECT count(*), md5(coalesce(string_agg(md5(concat(id, version, status, answers)),"
             " '' ORDER BY id), '')) FROM %s WHERE id %s (SELECT id FROM first_attempts)")
    return {"first": stand.sql(database).ask(query % (table, "IN"))[0],
            "exams": stand.sql(database).ask(query % (table, "NOT IN"))[0]}
