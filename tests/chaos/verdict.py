"""The verdict, when all is quiet: nothing is left to do, and all of it is right."""

import os
import subprocess
import sys
import time

from servers import ROOT, run, wait_until

END_S = 180


def judge(chaos):
    chaos.exam.stop()
    for trouble in (*chaos.exam.troubles, *chaos.crew.surprises):
        chaos.report.fail(trouble)
    chaos.witness.stop()
    time.sleep(1)
    ends = true_ends(chaos)
    if not wait_until(END_S, lambda: chaos.settled(ends) and chaos.settled(ends, True)):
        chaos.report.fail("I10: at the end the ledger does not come to the end of the log")
    for bad in chaos.crew.stop():
        chaos.report.fail(bad)
    try:
        chaos.witness.look()
    except Exception as error:
        chaos.report.fail("the last look failed: %r" % error)
    for violation in chaos.witness.violations:
        chaos.report.fail(violation)
    chaos.report.looks = chaos.witness.looks
    chaos.report.compared = chaos.witness.compared
    judge_group(chaos)
    count(chaos)
    prove(chaos, "model", sys.executable, "-B", os.path.join(ROOT, "tests/e2e/verify.py"),
          "--prefix", chaos.prefix)
    prove(chaos, "audit", chaos.binary, "audit", "--quiet")
    prove(chaos, "replay", chaos.binary, "audit", "--replay", "--quiet")


def true_ends(chaos):
    """The ends of the log as the broker says."""
    queries = [word for topic in ("writes", "activity") for partition in range(chaos.partitions)
               for word in ("-t", "%sattempt.%s:%d:-1" % (chaos.prefix, topic, partition))]
    ends = {}
    for line in run("kcat", "-b", chaos.servers.brokers, "-Q", *queries).splitlines():
        topic, partition, _, offset = line.replace("[", " ").replace("]", " ").split()
        ends[topic, int(partition)] = int(offset)
    return ends


def judge_group(chaos):
    """I8: what the group believes is never ahead of what was published."""
    lines = chaos.servers.kafka_admin("consumer.group.ConsumerGroupCommand", "--describe",
                                      "--offsets", "--group", "chaos").splitlines()
    marks = {(row["topic"], row["partition"]): row["published_offset"] for row in
             chaos.db.rows("SELECT topic, partition, published_offset FROM ingest_progress")}
    for line in lines:
        words = line.split()
        if len(words) > 4 and words[0] == "chaos" and words[3].isdigit():
            key = words[1], int(words[2])
            if key in marks and int(words[3]) > marks[key]:
                chaos.report.fail("I8: the group is at %s of %s, published was %d" % (
                    words[3], key, marks[key]))


def count(chaos):
    """Lost and doubled, from the log's own ends and the tables' own keys."""
    in_log = sum(true_ends(chaos).values())
    row = chaos.db.rows("SELECT coalesce(sum(records), 0) AS records,"
                         " coalesce(sum(applied), 0) AS applied,"
                        " coalesce(sum(duplicate), 0) AS duplicate,"
                        " coalesce(sum(stale), 0) AS stale, coalesce(sum(late), 0) AS late,"
                        " coalesce(sum(dead), 0) AS dead FROM ingest_progress")[0]
    model = chaos.witness.model
    have = {name: {tuple(line.split("|")) for line in chaos.db.ask(query)} for name, query in (
        ("rejected", "SELECT topic, partition, record_offset FROM rejected_writes"),
        ("dead", "SELECT topic, partition, record_offset FROM dead_letters"
                 " WHERE topic <> '%sview.refresh'" % chaos.prefix),
        ("submissions", "SELECT attempt_id FROM submissions"))}
    want = {"rejected": {tuple(map(str, p)) for p in model.rejected},
            "dead": {tuple(map(str, p)) for p in model.dead},
            "submissions": {(key,) for key in model.submissions}}
    missing = sum(len(want[name] - have[name]) for name in want)
    extra = sum(len(have[name] - want[name]) for name in want)
    chaos.report.sums = {"in_log": in_log, **row, "attempts": len(model.attempts),
                         "lost": max(0, in_log - row["records"]) + missing,
                         "doubled": max(0, row["records"] - in_log) + extra}
    if chaos.report.sums["lost"] or chaos.report.sums["doubled"]:
        chaos.report.fail("lost or doubled")


def prove(chaos, name, *command):
    done = subprocess.run(command, env=chaos.environment, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=1200)
    with open(os.path.join(chaos.logs, name + ".txt"), "w", encoding="utf-8") as file:
        file.write(done.stdout)
    lines = done.stdout.strip().splitlines()
    chaos.report.proofs[name] = lines[-1] if lines else "said nothing"
    if done.returncode:
        chaos.report.fail("%s ended with %d: %s" % (name, done.returncode,
                                                    " / ".join(lines[:5])[:1000]))
