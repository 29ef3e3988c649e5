"""What throughput does not show: latency, a backlog beside an idle partition, flatness, memory, an
outage, activity, a refresh of the views. Each has a database, topics and workers of its own."""

import json
import os
import statistics
import subprocess
import time

from stand import ATTEMPTD, BUILD, Failure, Worker, run
from throughput import PARTITIONS, attemptd_template, complete, make_topics, summary_of

WARM_S = 40


class Scene:
    """One database with one `attemptd run`, and the segments that it will see."""

    def __init__(self, stand, settings, name, segments, attempts=None, workers=1, options=()):
        self.stand, self.settings, self.name, self.segments = stand, settings, name, segments
        self.attempts = attempts or settings["attempts"]
        stand.create(name, attemptd_template(stand, self.options(), self.attempts))
        make_topics(stand, name)
        self.worker = Worker(stand, name, workers, list(options) + settings["worker_options"])
        self.worker.wait_idle(2 * PARTITIONS)

    def options(self, at=None):
        options = ["--partitions", str(PARTITIONS), "--attempts", str(self.attempts),
                   "--begin", str(self.settings["begin"])]
        if at is not None:
            for segment in self.segments:
                options += ["--segment", segment]
            options += ["--at", str(at)]
        return options

    def fill(self, at):
        """The segment is in the log, and the workers do not know it yet."""
        self.worker.freeze()
        self.stand.part_at_once("load", self.options(at), prefix=self.name + ".")

    def drain(self, at, meanwhile=None):
        """From the moment at which the workers see the backlog until all of it is published."""
        watch = self.stand.part("watch", self.options(at), self.name, self.name + ".")
        before = self.stand.snapshot(self.name, self.worker)
        watch.go()
        self.worker.thaw()
        if meanwhile is not None:
            meanwhile()
        while watch.line() != "published":
            pass
        after = self.stand.snapshot(self.name, self.worker)
        result = watch.result()
        result["client_cpu_us"] = after["client"] - before["client"]
        result["peak_rss_kb"] = self.worker.peak_rss_kb()
        if result["applied"] != result["events"]:
            raise Failure("%s applied %d of %d" % (self.name, result["applied"],
                                                   result["events"]))
        return complete(result, before, after)

    def play(self, at, meanwhile=None):
        self.fill(at)
        return self.drain(at, meanwhile)

    def latency(self, at, rate, hgrm=None):
        options = self.options(at) + ["--rate", str(rate)]
        if hgrm is not None:
            os.makedirs(os.path.dirname(hgrm), exist_ok=True)
            options += ["--hgrm", hgrm]
        part = self.stand.part("latency", options, self.name, self.name + ".")
        part.go()
        return part.result()

    def close(self):
        code = self.worker.stop()
        if code != 0:
            raise Failure("attemptd run of %s ended with %d" % (self.name, code))
        sql = self.stand.asked.pop((self.name, False), None)
        if sql is not None:
            sql.close()
        self.stand.admin.ask("DROP DATABASE %s WITH (FORCE)" % self.name)


def half_rate(result):
    """Half of what one worker reaches with random saves, measured now or by the throughput."""
    loads = result.get("throughput", {}).get("loads", {})
    if "1" in loads and "e1" in loads["1"]:
        return loads["1"]["e1"]["rate"]["median"] / 2
    return None


def latency(stand, settings, say, result):
    """Open loop at three rates, with a linger of 5 ms and with the default."""
    small = settings["smoke"]
    seconds = 2 if small else settings["latency_seconds"]
    rates = [200] if small else [1000, 10000, 0]
    found = []
    for linger in (5,) if small else (5, None):
        options = [] if linger is None else ["--linger-ms", str(linger)]
        segments = ["warm:%d" % (500 if small else 200000), "f1:%d" % (300 if small else 100000)]
        name = "linger%s" % (linger or "default")
        half = half_rate(result)
        if not small:
            rates[2] = int(half or 10000)
        # Two that are not recorded: small requests are new to the broker, which for most of a
        # minute stands still now and then while it compiles what they need.
        warm = [3 * rates[0] * (1 if small else WARM_S), rates[0] * seconds]
        segments += ["mix:%d" % count for count in warm + [rate * seconds for rate in rates]]
        scene = Scene(stand, settings, name, segments, options=options)
        scene.play(0)
        scene.play(1)
        scene.latency(2, 3 * rates[0])
        scene.latency(3, rates[0])
        for at, rate in enumerate(rates):
            say("latency, linger %s, %d/s" % (linger or "default", rate))
            one = scene.latency(4 + at, rate, os.path.join(
                BUILD, "bench/%s-%d" % (name, rate)))
            one.update(linger_ms=linger or settings["defaults"]["linger_ms"], rate=rate, half=at == 2)
            found.append(one)
        scene.close()
    return found


def idle(stand, settings, say, result):
    """Submits to an idle partition while another one holds a backlog."""
    del result
    backlog = 2000 if settings["smoke"] else int(1000000 * settings["scale"])
    submits = 20 if settings["smoke"] else 250
    say("submits beside a backlog of %d saves" % backlog)
    scene = Scene(stand, settings, "idle", ["part0:%d" % backlog, "sub7:%d" % submits])
    scene.fill(0)
    sql = stand.sql("idle")
    options = scene.options(1) + ["--rate", "50"]
    part = stand.part("latency", options, "idle", "idle.")
    part.go()
    scene.worker.thaw()
    one = part.result()
    done = int(sql.one("SELECT sum(next_offset) FROM ingest_progress WHERE partition = 0"))
    one["backlog"], one["backlog_left"] = backlog, backlog - done
    while int(sql.one("SELECT sum(published_offset) FROM ingest_progress")) < backlog + submits:
        time.sleep(0.1)
    scene.close()
    return one


def flat(stand, settings, say, result):
    """CPU of one event, whatever their number and whatever the number of attempts."""
    del result
    if settings["smoke"]:
        events, attempts, usual = [300, 600], [100, 1000], 300
    else:
        full = settings["scale"] > 1
        events = [10**4, 10**5, 10**6] + ([10**7] if full else [])
        attempts = [10**3, 10**4, 10**5] + ([10**6] if full else [])
        usual = 10**5
    found = {"by_events": [], "by_attempts": [], "batch_events": 1000}
    # Batches of a thousand, so that a table of a thousand attempts folds no more than a large one.
    options = ["--batch-events", "1000"]
    scene = Scene(stand, settings, "flat", ["warm:%d" % (2 * usual)] +
                  ["f1:%d" % n for n in events], options=options)
    scene.play(0)
    for at, count in enumerate(events):
        say("flatness: %d events" % count)
        found["by_events"].append(cost(scene.play(1 + at), events=count))
    scene.close()
    for count in attempts:
        say("flatness: %d attempts" % count)
        scene = Scene(stand, settings, "flat%d" % count,
                      ["warm:%d" % (2 * min(usual, 4 * count))] + ["f1:%d" % usual] * 3,
                      attempts=count, options=options)
        scene.play(0)
        costs = [cost(scene.play(at), attempts=count) for at in (1, 2, 3)]
        middle = sorted(costs, key=lambda c: c["client_us"] + c["postgres_us"])[1]
        found["by_attempts"].append(middle)
        scene.close()
    return found


def cost(played, **what):
    return {**what, **{name: played[name] for name in ("client_us", "postgres_us", "broker_us",
                                                    "rate", "peak_rss_kb")}}


def memory(stand, settings, say, result):
    """The peak of a worker process with a backlog that is larger than it by far."""
    del result
    backlog = 2000 if settings["smoke"] else int(1000000 * max(1, settings["scale"]))
    found = []
    for megabytes in (None, 256):
        options = [] if megabytes is None else ["--memory-mb", str(megabytes)]
        say("memory: a backlog of %d, MEMORY_MB %s" % (backlog, megabytes or "default"))
        try:
            scene = Scene(stand, settings, "memory%s" % (megabytes or ""), ["mix:%d" % backlog],
                          options=options)
        except Failure as failure:
            # A budget too small for the partitions is refused at once, which is an answer.
            if "is too small" not in str(failure):
                raise
            found.append({"memory_mb": megabytes, "backlog": backlog,
                          "refused": str(failure).split('"message":"')[-1].split('"')[0]})
            continue
        done = scene.play(0)
        found.append({"memory_mb": megabytes or settings["defaults"]["memory_mb"], "backlog": backlog,
                      "peak_rss_mb": done["peak_rss_kb"] / 1024, "rate": done["rate"]})
        scene.close()
    return found


def outage(stand, settings, say, result):
    """Ten thousand students save every five seconds; nobody writes them down for ten minutes."""
    del result
    students = 100 if settings["smoke"] else 10000
    saves = students * 120
    say("outage: %d saves of %d students" % (saves, students))
    scene = Scene(stand, settings, "outage", ["mix:%d" % saves], attempts=students)
    done = scene.play(0)
    scene.close()
    return {"students": students, "saves": saves, "seconds": done["seconds"],
            "rate": done["rate"]}


def activity(stand, settings, say, result):
    """Activity alone, in records of ten, on one worker."""
    del result
    records = 100 if settings["smoke"] else int(20000 * settings["scale"])
    say("activity: %d records of ten" % records)
    rounds = settings["rounds"]
    scene = Scene(stand, settings, "activity", ["act:%d" % records] * (rounds + 1))
    runs = [scene.play(at) for at in range(rounds + 1)][1:]
    rows = int(stand.sql("activity").one("SELECT count(*) FROM activity_events"))
    scene.close()
    if rows != records * 10 * (rounds + 1):
        raise Failure("activity: %d rows of %d" % (rows, records * 10 * (rounds + 1)))
    return {"records": records, "events_in_record": 10,
            "rate": summary_of([one["rate"] * 10 for one in runs]),
            "client_us": statistics.median(one["client_us"] / 10 for one in runs),
            "postgres_us": statistics.median(one["postgres_us"] / 10 for one in runs),
            "wal_bytes": statistics.median(one["wal_bytes"] / 10 for one in runs)}


class Refreshing:
    """`attemptd refresh`, again and again, while this is entered."""

    def __init__(self, stand, name):
        self.env = stand.env(name, name + ".")
        self.count = 0

    def begin(self):
        self.loop = subprocess.Popen(
            ["sh", "-c", 'while :; do "$0" refresh >/dev/null 2>&1 || exit; echo; done', ATTEMPTD],
            env=self.env, stdout=subprocess.PIPE, start_new_session=True)

    def end(self):
        os.killpg(self.loop.pid, 15)
        self.count = self.loop.stdout.read().count(b"\n")
        self.loop.wait()


def refresh(stand, settings, say, result):
    """All views are refreshed: what is left of the rate, and what becomes of latency at half load."""
    del result
    small = settings["smoke"]
    events = 600 if small else int(150000 * min(1, settings["scale"]))
    rounds = settings["rounds"]
    scene = Scene(stand, settings, "refresh", ["warm:%d" % (2 * events)] +
                  ["f1:%d" % events] * (2 * rounds),
                  attempts=10**6 if settings["scale"] > 1 else None)
    scene.play(0)
    rates, refreshes = {True: [], False: []}, []
    for at in range(2 * rounds):
        with_refresh = at % 2 == 1
        say("refresh: %s" % ("with" if with_refresh else "without"))
        refreshing = Refreshing(stand, "refresh")
        played = scene.play(1 + at, refreshing.begin if with_refresh else None)
        if with_refresh:
            refreshing.end()
            refreshes.append(refreshing.count)
        rates[with_refresh].append(played["rate"])
    half = max(100, int(statistics.median(rates[False]) / 2))
    delays = {}
    for with_refresh in (False, True):
        say("refresh: %s, at half load" % ("with" if with_refresh else "without"))
        scene.segments.append("mix:%d" % (half * (2 if small else settings["latency_seconds"])))
        if with_refresh:
            refreshing.begin()
        delays[with_refresh] = scene.latency(len(scene.segments) - 1, half)["visible_ms"]
    refreshing.end()
    scene.close()
    return {"attempts": scene.attempts, "without": summary_of(rates[False]),
            "with": summary_of(rates[True]), "refreshes": refreshes,
            "share": statistics.median(rates[True]) / statistics.median(rates[False]),
            "half": {"rate": half, "without": delays[False], "with": delays[True],
                     "refreshes": refreshing.count}}


def command(stand, settings, say, result):
    """`attemptd bench` itself: what an operator sees, start-up of the worker included."""
    del result
    events, attempts = (600, 200) if settings["smoke"] else (200000, 20000)
    say("attemptd bench")
    stand.create("command")
    out = run([ATTEMPTD, "bench", "--json", "--events", str(events), "--attempts", str(attempts),
               "--rounds", str(settings["rounds"])], env=stand.env("command", "command."))
    left = stand.sql("command").one("SELECT count(*) FROM pg_namespace"
                                    " WHERE nspname = 'attemptd_bench'")
    if left != "0":
        raise Failure("attemptd bench left its schema behind")
    return json.loads(out)


SECTIONS = {"latency": latency, "idle": idle, "flat": flat, "memory": memory, "outage": outage,
            "activity": activity, "refresh": refresh, "command": command}
