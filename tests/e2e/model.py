"""What the log makes of the tables: DESIGN 1.4 and 1.6, one record at a time, in Python.

Written from the contract alone, so that it shares no mistake with the worker. Model.fold() takes
the records of a partition in offset order; the attributes then hold what the database must hold.
"""

import hashlib
from collections import OrderedDict, defaultdict

from events import Dead, canonical, decode, micros

OUTCOMES = ("applied", "duplicate", "stale", "late", "dead")
VERSION_JUMP_MAX = 1000000
REMEMBERED = 16


class Attempt:
    def __init__(self):
        self.version = 1
        self.exam_id = self.student_id = None
        self.started_at = self.deadline_at = self.submitted_at = None
        self.status = "in_progress"
        self.answers = {}
        self.auto_save_data = None
        self.remembered = OrderedDict()  # the last applied saves and submits
        self.submit_event = None
        self.skipped = range(0)  # versions that the submit stepped over
        self.versions = {1}  # all that ever were

    def remembers(self, event_id):
        return event_id in self.remembered or event_id == self.submit_event

    def merge(self, event):
        for name, answer in (event.data.get("answers") or {}).items():
            if answer is None:
                self.answers.pop(name, None)
            else:
                self.answers[name] = answer
        if event.data.get("auto_save_data") is not None:
            self.auto_save_data = event.data["auto_save_data"]


class Model:
    def __init__(self, refused=()):
        self.refused = set(refused)  # ids of events that a constraint of the test's own refuses
        self.attempts = {}
        self.exams = set()
        self.activity = {}  # (event_id, occurred_at) -> (attempt_id, type, payload)
        self.submissions = {}  # attempt_id -> dict
        self.rejected = {}  # (topic, partition, offset) -> dict
        self.dead = {}  # (topic, partition, offset) -> dict
        self.outcomes = {}  # (topic, partition, offset) -> dict, for what must be published
        self.progress = defaultdict(lambda: dict.fromkeys((*OUTCOMES, "records", "gaps"), 0))

    def fold(self, topic, record):
        place = (record.topic, record.partition, record.offset)
        progress = self.progress[place[:2]]
        progress.setdefault("first_offset", record.offset)
        progress["next_offset"] = record.offset + 1
        progress["records"] += 1
        event = None
        try:
            event = decode(topic, record)
            if event.id in self.refused:
                raise Dead("constraint", event.id, event.attempt_id)
            judge = {"attempt.started.v1": self.start, "attempt.activity.v1": self.log}
            outcome = judge.get(event.type, self.write)(event, place, progress)
        except Dead as dead:
            outcome = "dead"
            self.dead[place] = {"reasons": dead.reasons, "record": record}
            self.outcomes[place] = {"outcome": "dead", "version": None, "record": record,
                                    "attempt_id": dead.attempt_id, "event_id": dead.event_id}
        progress[outcome] += 1

    def start(self, event, place, progress):
        data = event.data
        row = self.attempts.get(event.attempt_id)
        if row and row.exam_id is not None:
            if (row.exam_id, row.student_id) != (data["exam_id"], data["student_id"]):
                raise Dead("start_conflict", event.id, event.attempt_id)
            return "duplicate"
        row = self.attempts.setdefault(event.attempt_id, Attempt())
        row.exam_id, row.student_id = data["exam_id"], data["student_id"]
        row.started_at = micros(data["started_at"])
        if data.get("deadline_at") is not None:
            row.deadline_at = micros(data["deadline_at"])
        self.exams.add(row.exam_id)
        return "applied"

    def write(self, event, place, progress):
        row = self.attempts.get(event.attempt_id) or Attempt()
        expected = int(event.data["expected_version"])
        if expected - row.version > VERSION_JUMP_MAX:
            raise Dead("version_jump", event.id, event.attempt_id)
        if row.remembers(event.id):
            outcome = "duplicate"
        elif row.status == "submitted":
            outcome = "late"
        elif expected < row.version:
            outcome = "stale"
        else:
            outcome = "applied"
        if outcome in ("stale", "late"):
            reason = None
            if outcome == "late":
                reason = "overtaken" if expected in row.skipped else "after_submit"
            self.rejected[place] = {
                "event_id": event.id, "attempt_id": event.attempt_id, "outcome": outcome,
                "reason": reason, "expected_version": expected, "row_version": row.version,
                "event": canonical(event.data)}
        if outcome == "applied":
            self.apply(row, event, expected, place, progress)
        if event.type == "attempt.submitted.v1" or outcome in ("stale", "late"):
            self.outcomes[place] = {"outcome": outcome, "version": row.version,
                                    "attempt_id": event.attempt_id, "event_id": event.id}
        return outcome

    def apply(self, row, event, expected, place, progress):
        self.attempts[event.attempt_id] = row
        progress["gaps"] += expected > row.version
        row.merge(event)
        if event.type == "attempt.submitted.v1":
            row.status = "submitted"
            row.submitted_at = micros(event.data["submitted_at"])
            row.skipped = range(row.version, expected)
            row.submit_event = event.id
            digest = hashlib.blake2b(canonical(row.answers).encode(), digest_size=32)
            self.submissions[event.attempt_id] = {
                "event_id": event.id, "version": expected + 1, "missing": expected - row.version,
                "submitted_at": row.submitted_at, "answers_digest": digest.hexdigest(),
                "place": place}
        row.version = expected + 1
        row.versions.add(row.version)
        row.remembered[event.id] = True
        if len(row.remembered) > REMEMBERED:
            row.remembered.popitem(last=False)

    def log(self, event, place, progress):
        new = 0
        for item in event.data["events"]:
            key = (item["event_id"], micros(item["occurred_at"]))
            if key not in self.activity:
                new += 1
                payload = item.get("payload")
                self.activity[key] = {
                    "attempt_id": event.attempt_id, "event_type": item["event_type"],
                    "payload": None if payload is None else canonical(payload)}
        return "applied" if new else "duplicate"
