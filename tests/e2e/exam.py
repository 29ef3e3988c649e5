#!/usr/bin/env python3
"""An exam played by an outsider: bare JSON events through kcat, none of attemptd's own code.

    exam.py [--prefix P] [--students N] [--saves N] [--seconds S] [--seed N] [--clean]

Spread over S seconds, students start, save, report activity and submit. Unless --clean, some
events come twice, too late, out of order, with a version that another writer took, without a start
or as rubbish. A kcat that dies with its broker is started again; what it held may be lost, which
does no harm: the log alone says what happened. Prints how many events it sent.
"""

import argparse
import json
import os
import random
import subprocess
import time
import uuid

ANSWERS = ["A", "B", "C", 7, -0.5, 1.50, 1e3, True, ["x", None, {"y": "ü\n\"\\"}], {"text": "öß€😀\t/"},
           {"b": 1, "a": {"é": [], "e": {}}}, ""]
RUBBISH = [
    b"this is no JSON", b"{\"type\":\"attempt.saved.v1\"", b"\xff\xfe\x00", b"[]", b"{}",
    b"{\"type\":\"attempt.renamed.v1\",\"id\":\"%(id)s\",\"data\":{\"attempt_id\":\"%(key)s\"}}",
    b"{\"type\":\"attempt.saved.v1\",\"id\":\"%(id)s\",\"data\":{\"attempt_id\":\"%(key)s\","
    b"\"expected_version\":1,\"expected_version\":1,\"saved_at\":\"2026-05-01T10:00:00Z\"}}",
    b"{\"type\":\"attempt.saved.v1\",\"id\":\"%(id)s\",\"data\":{\"attempt_id\":\"%(key)s\","
    b"\"expected_version\":900719925474,\"saved_at\":\"2026-05-01T10:00:00Z\"}}",
    b"{\"type\":\"attempt.saved.v1\",\"id\":\"%(id)s\",\"data\":{\"attempt_id\":\"%(key)s\","
    b"\"expected_version\":1.0,\"saved_at\":\"2026-05-01T10:00:00Z\"}}",
    b"{\"type\":\"attempt.saved.v1\",\"id\":\"%(id)s\",\"data\":{\"attempt_id\":\"%(key)s\","
    b"\"expected_version\":1,\"saved_at\":\"2026-05-01 10:00:00Z\"}}",
    b"{\"type\":\"attempt.saved.v1\",\"id\":\"%(id)s\",\"data\":{\"attempt_id\":\"%(other)s\","
    b"\"expected_version\":1,\"saved_at\":\"2026-05-01T10:00:00Z\"}}",
]


class Producer:
    def __init__(self, topic):
        self.command = ["kcat", "-P", "-q", "-b", os.environ["KAFKA_BOOTSTRAP_SERVERS"],
                        "-t", topic, "-K", "\t", "-X", "partitioner=murmur2_random",
                        "-X", "acks=all", "-X", "enable.idempotence=true", "-X", "linger.ms=20"]
        self.process = None
        self.sent = 0

    def send(self, key, value):
        while True:
            if self.process is None:
                self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                                stderr=subprocess.DEVNULL)
            try:
                self.process.stdin.write(key.encode() + b"\t" + value + b"\n")
                self.process.stdin.flush()
                self.sent += 1
                return
            except BrokenPipeError:
                self.process.wait()
                self.process = None
                time.sleep(0.5)

    def close(self):
        if self.process is None:
            return
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait(timeout=120)


class Student:
    def __init__(self, rng, exams, options):
        self.rng = rng
        self.clean = options.clean
        self.attempt = self.uuid()
        self.exam, self.student = rng.choice(exams), self.uuid()
        self.version = 1
        self.saves = rng.randint(1, options.saves)
        self.started = self.submitted = False
        self.late = 0
        self.history = []
        self.forgets_start = not self.clean and rng.random() < 0.1

    def uuid(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def event(self, kind, data):
        value = {"type": "attempt.%s.v1" % kind, "id": self.uuid(),
                 "data": {"attempt_id": self.attempt, **data}}
        raw = json.dumps(value, ensure_ascii=self.rng.random() < 0.5).encode()
        if kind != "activity":
            self.history.append(raw)
        return raw

    def now(self):
        return time.strftime("2026-05-01T%H:%M:%S", time.gmtime()) + self.rng.choice(
            ("Z", ".123Z", ".123456789+02:00", "-00:00"))

    def start(self):
        self.started = True
        data = {"exam_id": self.exam, "student_id": self.student, "started_at": self.now()}
        if self.rng.random() < 0.7:
            data["deadline_at"] = self.rng.choice(("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z"))
        return self.event("started", data)

    def write(self, kind, version):
        answers = {"q%d" % self.rng.randint(1, 40): self.rng.choice(ANSWERS + [None])
                   for _ in range(self.rng.randint(0, 4))}
        data = {"expected_version": version, "answers": answers,
                ("saved_at" if kind == "saved" else "submitted_at"): self.now()}
        if self.rng.random() < 0.3:
            data["auto_save_data"] = {"progress": self.rng.randint(0, 100), "cursor": [1, 2.50]}
        self.version = max(self.version, version + 1)
        return self.event(kind, data)

    def activity(self):
        events = [{"event_id": self.uuid(), "event_type": "answer_changed",
                   "payload": self.rng.choice(ANSWERS), "occurred_at": self.now()}
                  for _ in range(self.rng.randint(1, 3))]
        return self.event("activity", {"events": events})

    def done(self):
        return self.submitted and self.late == 0

    def step(self):
        """The next thing this student's browser sends: topic and bytes."""
        rng = self.rng
        if not self.started and not (self.forgets_start and rng.random() < 0.9):
            return "writes", self.start()
        if not self.clean and rng.random() < 0.15:
            return "writes", self.disorder()
        if rng.random() < 0.2:
            return "activity", self.activity()
        if self.submitted:
            self.late -= 1
            return "writes", self.write(rng.choice(("saved", "submitted")), self.version)
        if self.saves > 0:
            self.saves -= 1
            return "writes", self.write("saved", self.version)
        self.submitted = True
        if self.clean or rng.random() < 0.5:
            return "writes", self.write("submitted", self.version)
        # The submit overtakes the last saves, which then come too late.
        self.late = rng.choice((1, 2))
        self.version -= rng.choice((0, self.late))
        skipped = self.version
        self.version += self.late
        raw = self.write("submitted", self.version)
        self.version = skipped
        return "writes", raw

    def disorder(self):
        kind = self.rng.randrange(5)
        if kind == 0 and self.history:
            return self.rng.choice(self.history)
        if kind == 1:
            return self.write("saved", max(1, self.version - self.rng.randint(1, 3)))
        if kind == 2:
            return self.write("saved", self.version + self.rng.randint(1, 3))
        if kind == 3 and self.started:
            other = dict(exam_id=self.exam, student_id=self.uuid(), started_at=self.now())
            return self.event("started", other)
        raw = self.rng.choice(RUBBISH)
        for name, text in (("id", self.uuid()), ("key", self.attempt), ("other", self.uuid())):
            raw = raw.replace(b"%%(%s)s" % name.encode(), text.encode())
        return raw


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", default="")
    parser.add_argument("--students", type=int, default=100)
    parser.add_argument("--saves", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clean", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    exams = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(3)]
    students = [Student(rng, exams, options) for _ in range(options.students)]
    producers = {name: Producer(options.prefix + "attempt." + name)
                 for name in ("writes", "activity")}
    total = options.students * (options.saves / 2 + 4)
    begun, sent = time.monotonic(), 0
    while students:
        student = rng.choice(students)
        topic, raw = student.step()
        producers[topic].send(student.attempt, raw)
        sent += 1
        if student.done():
            students.remove(student)
        ahead = begun + options.seconds * min(1, sent / total) - time.monotonic()
        if ahead > 0.02:
            time.sleep(ahead)
    for producer in producers.values():
        producer.close()
    print("sent %d events" % sum(p.sent for p in producers.values()))


if __name__ == "__main__":
    main()
