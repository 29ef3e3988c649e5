#!/usr/bin/env python3
"""Compares everything attemptd left behind with what the log says it must be.

    verify.py [--prefix TOPIC_PREFIX] [--refused EVENT_ID]...

Reads KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL. Prints a line for each difference (at most 20) and
a summary; exit 0 when there is none. --refused names events that a constraint of the test refuses.
"""

import argparse
import os
import sys
from collections import Counter, defaultdict

from events import canonical, strict_json
from model import OUTCOMES, Model
from observe import read_topic, rows

EPOCH = "(extract(epoch from %s) * 1000000)::bigint AS %s"


class Comparison:
    def __init__(self):
        self.differences = 0
        self.checked = Counter()

    def equal(self, what, key, want, have):
        self.checked[what] += 1
        if want != have:
            self.differences += 1
            if self.differences <= 20:
                print("DIFFERENT %s %s: the log says %r, found %r" % (what, key, want, have))

    def tables(self, what, want, have):
        for key in sorted(set(want) | set(have), key=repr):
            self.equal(what, key, want.get(key), have.get(key))


def number(value):
    return None if value is None else int(value)


def time(column):
    return EPOCH % (column, column)


def place_of(row):
    return row["topic"], int(row["partition"]), int(row["record_offset"])


def compare_attempts(compare, model, database):
    have = {}
    revisions = {}
    for row in rows(database, "SELECT id, exam_id, student_id, status, version, revision, answers,"
                    " auto_save_data, updated_at, %s, %s, %s FROM attempts"
                    % tuple(time(c) for c in ("started_at", "deadline_at", "submitted_at"))):
        have[row["id"]] = {
            "exam_id": row["exam_id"], "student_id": row["student_id"], "status": row["status"],
            "version": number(row["version"]), "answers": canonical(row["answers"]),
            "auto_save_data": canonical(row["auto_save_data"]),
            "started_at": number(row["started_at"]), "deadline_at": number(row["deadline_at"]),
            "submitted_at": number(row["submitted_at"])}
        revisions[row["id"]] = number(row["revision"])
        compare.equal("attempts.updated_at", row["id"], True, row["updated_at"] is not None)
    want = {
        key: {"exam_id": a.exam_id, "student_id": a.student_id, "status": a.status,
              "version": a.version, "answers": canonical(a.answers),
              "auto_save_data": canonical(a.auto_save_data), "started_at": a.started_at,
              "deadline_at": a.deadline_at, "submitted_at": a.submitted_at}
        for key, a in model.attempts.items()}
    compare.tables("attempts", want, have)
    compare.tables("exams", dict.fromkeys(model.exams, True), {
        row["id"]: True for row in rows(database, "SELECT id FROM exams")})
    return revisions


def compare_answers(compare, model, database):
    want = {(key, name): canonical(answer) for key, a in model.attempts.items()
            if a.status == "submitted" for name, answer in a.answers.items()}
    have = {(row["attempt_id"], row["question_id"]): canonical(row["answer"])
            for row in rows(database, "SELECT attempt_id, question_id, answer FROM attempt_answers")}
    compare.tables("attempt_answers", want, have)
    documents = rows(database, "SELECT id FROM attempts WHERE status = 'submitted'"
                     " AND attempt_document(id) IS DISTINCT FROM answers")
    compare.equal("attempt_document", "unequal", [], documents)


def compare_submissions(compare, model, database):
    want, have = {}, {}
    for key, submission in model.submissions.items():
        attempt = model.attempts[key]
        after = None
        if attempt.deadline_at is not None:
            after = submission["submitted_at"] > attempt.deadline_at
        want[key] = {**submission, "after_deadline": after}
    for row in rows(database, "SELECT attempt_id, event_id, version, missing, after_deadline,"
                    " encode(answers_digest, 'hex') AS digest, topic, partition, record_offset, %s"
                    " FROM submissions" % time("submitted_at")):
        key = row["attempt_id"]
        after = row["after_deadline"]
        attempt = model.attempts.get(key)
        if after is False and attempt and attempt.exam_id and attempt.deadline_at is None:
            after = None  # a start without a deadline: never after it, however that is written
        have[key] = {"event_id": row["event_id"], "version": number(row["version"]),
                     "missing": number(row["missing"]), "submitted_at": number(row["submitted_at"]),
                     "answers_digest": row["digest"], "place": place_of(row),
                     "after_deadline": after}
    compare.tables("submissions", want, have)


def compare_rejected(compare, model, database):
    have = {}
    for row in rows(database, "SELECT event_id, attempt_id, outcome, reason, expected_version,"
                    " row_version, event, topic, partition, record_offset FROM rejected_writes"):
        have[place_of(row)] = {
            "event_id": row["event_id"], "attempt_id": row["attempt_id"],
            "outcome": row["outcome"], "reason": row["reason"] if row["outcome"] == "late" else None,
            "expected_version": number(row["expected_version"]),
            "row_version": number(row["row_version"]), "event": canonical(row["event"])}
    compare.tables("rejected_writes", model.rejected, have)


def compare_dead(compare, model, database, topics):
    have = {}
    for row in rows(database, "SELECT topic, partition, record_offset, reason, headers,"
                    " encode(record_key, 'hex') AS key, encode(record_value, 'hex') AS value"
                    " FROM dead_letters"):
        if row["topic"] in topics:
            have[place_of(row)] = row
    for place in sorted(set(model.dead) | set(have)):
        dead, row = model.dead.get(place), have.get(place)
        if not dead or not row:
            compare.equal("dead_letters", place, dead and sorted(dead["reasons"]),
                          row and row["reason"])
            continue
        record = dead["record"]
        if row["reason"] in dead["reasons"]:
            dead = {"reasons": {row["reason"]}}
        compare.equal("dead_letters.reason", place, dead["reasons"], {row["reason"]})
        for name, raw in (("key", record.key), ("value", record.value)):
            compare.equal("dead_letters." + name, place, None if raw is None else raw.hex(),
                          row[name])
        compare.equal("dead_letters.headers", place, [name for name, _ in record.headers],
                      [header[0] for header in row["headers"] or []])


def compare_activity(compare, model, database):
    have = {}
    for row in rows(database, "SELECT event_id, attempt_id, event_type, payload IS NULL AS absent,"
                    " payload, %s FROM activity_events" % time("occurred_at")):
        have[row["event_id"], number(row["occurred_at"])] = {
            "attempt_id": row["attempt_id"], "event_type": row["event_type"],
            "payload": None if row["absent"] else canonical(row["payload"])}
    compare.tables("activity_events", model.activity, have)


def compare_progress(compare, model, database):
    have = {}
    for row in rows(database, "SELECT * FROM ingest_progress"):
        if int(row["records"]) == 0 and row["next_offset"] == row["first_offset"]:
            continue
        key = row["topic"], int(row["partition"])
        have[key] = {name: int(row[name]) for name in
                     (*OUTCOMES, "records", "gaps", "first_offset", "next_offset")}
        compare.equal("published_offset", key, number(row["next_offset"]),
                      number(row["published_offset"]))
    compare.tables("ingest_progress", dict(model.progress), have)


def compare_invalidations(compare, model, revisions, records):
    newest = {}
    by_id = {}
    for record in records:
        data = message(compare, "cache.invalidated.v1", record, by_id)
        key = data["key"]
        compare.equal("invalidations.key", record.offset, record.key, key.encode())
        compare.equal("invalidations.committed_at", key, True, bool(data.get("committed_at")))
        scope, _, rest = key.partition(":")
        if scope != "attempt":
            continue
        version, revision = number(data["version"]), number(data["revision"])
        known = model.attempts.get(rest)
        compare.equal("invalidations of what never was", (rest, version), True,
                      bool(known) and version in known.versions and revision >= 1)
        newest[rest] = max(newest.get(rest, (0, 0)), (revision, version))
    want = {key: (revisions.get(key), attempt.version) for key, attempt in model.attempts.items()}
    compare.tables("invalidations", want, newest)
    dropped = {record.key.decode() for record in records if record.key.startswith(b"exam:")}
    exams = {a.exam_id for a in model.attempts.values() if a.exam_id}
    for exam in exams:
        compare.equal("invalidations of exams", exam, True, "exam:%s:stats" % exam in dropped)


def message(compare, kind, record, by_id):
    """The data of a message of ours; the same ce_id must always be the same message."""
    headers = dict(record.headers)
    compare.equal("ce_type", record.offset, kind, headers.get("ce_type"))
    compare.equal("ce_specversion", record.offset, "1.0", headers.get("ce_specversion"))
    identity = headers.get("ce_id")
    compare.equal("ce_id", record.offset, True, bool(identity))
    first = by_id.setdefault(identity, record)
    compare.equal("ce_id of one key", identity, first.key, record.key)
    return strict_json(record.value)


def compare_outcomes(compare, model, records):
    said = defaultdict(list)
    ids = {}
    by_id = {}
    for record in records:
        data = message(compare, "attempt.outcome.v1", record, by_id)
        place = place_of(data)
        said[place].append((record, data))
        identity = dict(record.headers).get("ce_id")
        compare.equal("outcomes: one ce_id", place, ids.setdefault(place, identity), identity)
    for place in sorted(set(said) | set(model.outcomes)):
        want = model.outcomes.get(place)
        if want is None or place not in said:
            compare.equal("outcomes", place, want and want["outcome"],
                          [data["outcome"] for _, data in said.get(place, [])] or None)
            continue
        for record, data in said[place]:
            compare.equal("outcomes.outcome", place, want["outcome"], data["outcome"])
            for name in ("attempt_id", "event_id"):
                if want["outcome"] == "dead" and data[name] != want[name]:
                    # Given where it could be read, which in rubbish is the reader's affair.
                    compare.equal("outcomes.%s of rubbish" % name, place, True,
                                  data[name] is None or in_record(want["record"], data[name]))
                    continue
                compare.equal("outcomes." + name, place, want[name], data[name])
            version = number(data["version"])
            if want["outcome"] == "dead":
                key = want["record"].key
                compare.equal("outcomes.key", place, key or b"", record.key or b"")
                compare.equal("outcomes.version", place, None, version)
            else:
                row = model.attempts[want["attempt_id"]]
                compare.equal("outcomes.key", place, want["attempt_id"].encode(), record.key)
                # A message that is published again carries the row's version of that moment.
                compare.equal("outcomes.version", place, True,
                              version == want["version"]
                              or (version in row.versions and version >= want["version"]))


def in_record(record, text):
    return text.encode() in (record.value or b"") or text in (t for _, t in record.headers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", default="")
    parser.add_argument("--refused", action="append", default=[])
    options = parser.parse_args()
    brokers, database = os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["DATABASE_URL"]
    writes, activity = options.prefix + "attempt.writes", options.prefix + "attempt.activity"

    model = Model(options.refused)
    for kind, topic in (("writes", writes), ("activity", activity)):
        for record in read_topic(brokers, topic):
            model.fold(kind, record)
    compare = Comparison()
    revisions = compare_attempts(compare, model, database)
    compare_answers(compare, model, database)
    compare_submissions(compare, model, database)
    compare_rejected(compare, model, database)
    compare_dead(compare, model, database, (writes, activity))
    compare_activity(compare, model, database)
    compare_progress(compare, model, database)
    invalidations = read_topic(brokers, options.prefix + "cache.invalidations")
    compare_invalidations(compare, model, revisions, invalidations)
    compare_outcomes(compare, model, read_topic(brokers, options.prefix + "attempt.outcomes"))

    total = Counter()
    for progress in model.progress.values():
        total.update({name: progress[name] for name in ("records", "gaps", *OUTCOMES)})
    print("%d comparisons, %d differences; %s" % (
        sum(compare.checked.values()), compare.differences,
        ", ".join("%s %d" % item for item in total.items())))
    return 1 if compare.differences else 0


if __name__ == "__main__":
    sys.exit(main())
