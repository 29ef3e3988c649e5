#!/usr/bin/env python3
"""Sends the table of bad_inputs.py, and says whether everything became of it that had to.

    bad_input_play.py lines FILE      the records as lines for `attemptd produce --raw`
    bad_input_play.py check           the database of DATABASE_URL against the table
    bad_input_play.py table           the table, for reading

With --prefix P for the topics' names. Before and behind each case a witness saves in the same
partition: what comes beside rubbish is not harmed.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import sys
import uuid
from collections import Counter, defaultdict

from bad_inputs import CASES, Record, activity, applied, event
from observe import rows

PARTITIONS = 3
OUTPUTS = ("cache.invalidations", "attempt.outcomes")
PLACE = re.compile(rb"@([A-Z]\d*)@")
SPACE = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def identity(*name):
    return str(uuid.uuid5(SPACE, "/".join(map(str, name))))


def expand(template, number, serial):
    """@A@ and its like become ids, @PAD@ and @TOn@ a value of n bytes."""
    if template is None:
        return None

    def one(found):
        name = found.group(1).decode()
        fresh = name.startswith("E")
        return identity(number, name, serial if fresh else "").encode()

    text = PLACE.sub(one, template)
    length = re.search(rb"@TO(\d+)@", text)
    if length:
        text = text.replace(length.group(0), b"")
        room = int(length.group(1)) - len(text) + len(b"@PAD@")
        text = text.replace(b"@PAD@", b"x" * room)
    return text


class Sent:
    """A record as it stands in the log."""

    def __init__(self, number, record, topic, partition, offset, serial):
        self.number, self.record = number, record
        self.place = topic, partition, offset
        self.key = expand(record.key, number, serial)
        self.value = expand(record.value, number, serial)
        self.headers = [(name, expand(text, number, serial)) for name, text in record.headers]


class Plan:
    def __init__(self, prefix):
        self.prefix = prefix
        self.sent = []
        self.offsets = Counter()
        self.saves = Counter()  # of each partition's witness
        self.events = Counter()
        for case in CASES:
            partition = case.number % PARTITIONS
            records = [r for r in case.records if r.topic not in OUTPUTS]
            for topic in sorted({record.topic for record in records}):
                self.witness(topic, partition)
            for record in records:
                self.add(case.number, record, partition)
            for topic in sorted({record.topic for record in records}):
                self.witness(topic, partition)

    def add(self, number, record, partition):
        topic = self.prefix + record.topic
        offset = self.offsets[topic, partition]
        self.offsets[topic, partition] += 1
        self.sent.append(Sent(number, record, topic, partition, offset, len(self.sent)))

    def witness(self, topic, partition):
        """Its number is that of no case: witness 100 of partition 0, and so on."""
        if topic == "attempt.activity":
            self.events[partition] += 1
            self.add(100 + partition, applied(activity()), partition)
            return
        self.saves[partition] += 1
        version = self.saves[partition]
        self.add(100 + partition, Record("applied", "", event(
            version=str(version), answers='{"w%d":%d}' % (version, version)).encode()), partition)


def text_or_base64(name, raw):
    if raw is None:
        return {name: None}
    try:
        text = raw.decode("utf-8")
        if "\0" not in text:
            return {name: text}
    except UnicodeDecodeError:
        pass
    return {name + "_base64": base64.b64encode(raw).decode()}


def write_lines(plan, path):
    with open(path, "w") as file:
        for sent in plan.sent:
            topic, partition, _ = sent.place
            line = {"topic": topic, "partition": partition, **text_or_base64("key", sent.key),
                    **text_or_base64("value", sent.value)}
            if sent.headers:
                line["headers"] = [[name, text.decode()] for name, text in sent.headers]
            file.write(json.dumps(line) + "\n")


class Check:
    def __init__(self):
        self.wrong = 0

    def equal(self, sent, what, want, have):
        if want == have:
            return
        self.wrong += 1
        if self.wrong <= 30:
            where = "case %d %s[%d]@%d" % (sent.number, *sent.place) if sent else "all"
            print("WRONG %s: %s should be %r, is %r" % (where, what, want, have))


def digest(raw):
    return None if raw is None else hashlib.sha256(raw).hexdigest()


def by_place(database, columns, table):
    found = rows(database, "SELECT topic, partition, record_offset, %s FROM %s" % (columns, table))
    return {(r["topic"], int(r["partition"]), int(r["record_offset"])): r for r in found}


def check_records(check, plan, database):
    letters = by_place(database, "reason, detail, headers,"
                       " encode(sha256(record_key), 'hex') AS key,"
                       " encode(sha256(record_value), 'hex') AS value", "dead_letters")
    rejected = by_place(database, "outcome, reason", "rejected_writes")
    for sent in plan.sent:
        letter, write = letters.pop(sent.place, None), rejected.pop(sent.place, None)
        want = sent.record
        check.equal(sent, "a dead letter", want.reason if want.outcome == "dead" else None,
                    letter and letter["reason"])
        check.equal(sent, "a rejected write",
                    (want.outcome, want.reason or None) if want.outcome in ("stale", "late")
                    else None, write and (write["outcome"], write["reason"] or None))
        if not letter:
            continue
        headers = [[name, base64.b64encode(text).decode()] for name, text in sent.headers]
        check.equal(sent, "its key", digest(sent.key), letter["key"])
        check.equal(sent, "its value", digest(sent.value), letter["value"])
        check.equal(sent, "its headers", headers, letter["headers"] or [])
        check.equal(sent, "a sentence", True, bool(letter["detail"]))
    check.equal(None, "other dead letters", {}, letters)
    check.equal(None, "other rejected writes", {}, rejected)


def check_counters(check, plan, database):
    want = defaultdict(Counter)
    for sent in plan.sent:
        count = want[sent.place[:2]]
        count["records"] += 1
        count[sent.record.outcome] += 1
        count["gaps"] += sent.record.gap
    names = ("records", "applied", "duplicate", "stale", "late", "dead", "gaps")
    have = {(r["topic"], int(r["partition"])): [int(r[n]) for n in names]
            for r in rows(database, "SELECT * FROM ingest_progress WHERE records > 0")}
    check.equal(None, "the counters %s" % (names,),
                {place: [count[n] for n in names] for place, count in want.items()}, have)


def check_witnesses(check, plan, database):
    for partition in range(PARTITIONS):
        saves = plan.saves[partition]
        attempt = identity(100 + partition, "A", "")
        found = rows(database, "SELECT version, (SELECT count(*) FROM jsonb_each(answers) AS e"
                     " WHERE e.key = 'w' || e.value::text) AS answers FROM attempts WHERE id = '%s'"
                     % attempt)
        check.equal(None, "the witness of partition %d" % partition,
                    [(saves + 1, saves)],
                    [(int(r["version"]), int(r["answers"])) for r in found])
        events = rows(database, "SELECT count(*) AS n FROM activity_events WHERE attempt_id = '%s'"
                      % attempt)
        check.equal(None, "the activity of the witness of partition %d" % partition,
                    plan.events[partition], int(events[0]["n"]))


def print_table():
    for case in CASES:
        outcomes = Counter((r.outcome, r.reason) for r in case.records)
        became = ", ".join("%s%s%s" % (o, "(%s)" % r if r else "", " x%d" % n if n > 1 else "")
                           for (o, r), n in outcomes.items())
        print("%2d  %s: %s\n    %s" % (case.number, case.what, became or "tested elsewhere",
                                       case.says or case.where))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", default="")
    parser.add_argument("action", choices=("lines", "check", "table"))
    parser.add_argument("file", nargs="?")
    options = parser.parse_args()
    if options.action == "table":
        return print_table()
    plan = Plan(options.prefix)
    if options.action == "lines":
        return write_lines(plan, options.file)
    check = Check()
    database = os.environ["DATABASE_URL"]
    check_records(check, plan, database)
    check_counters(check, plan, database)
    check_witnesses(check, plan, database)
    played = [case for case in CASES if case.records]
    print("%d cases by %d records, %d elsewhere; %d wrong" % (
        len(played), len(plan.sent), len(CASES) - len(played), check.wrong))
    return 1 if check.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
