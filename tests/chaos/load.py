"""The exam under way: tests/e2e/exam.py played in waves, each with students of its own."""

import os
import subprocess
import sys
import threading

from servers import ROOT

WAVE_S = 12


class Exam:
    """`sent` counts what the finished waves have sent; duplicates, disorder and rubbish included."""

    def __init__(self, environment, prefix, seed, students):
        self.environment, self.prefix = environment, prefix
        self.seed, self.students = seed, students
        self.waves, self.sent = 1, 0
        self.troubles = []
        self.between = []  # what is waiting for the end of a wave: (function, its Event, results)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.play, daemon=True)
        self.process = None

    def start(self):
        self.thread.start()

    def play(self):
        while not self.ending.is_set():
            if not self.play_once(WAVE_S):
                return
            while self.between:
                function, done, results = self.between.pop()
                try:
                    results.append(function())
                except Exception as error:
                    results.append(error)
                done.set()

    def play_once(self, seconds):
        """One wave; False when it failed."""
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.join(ROOT, "tests", "e2e", "exam.py"),
             "--prefix", self.prefix, "--students", str(self.students),
             "--seconds", str(seconds), "--seed", str(self.seed * 10000 + self.waves)],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        said, _ = self.process.communicate()
        if self.process.returncode:
            self.troubles.append("wave %d of the exam failed: %s" % (self.waves, said[-500:]))
            return False
        self.sent += int(said.split()[1])
        self.waves += 1
        return True

    def between_waves(self, function):
        """Runs it when no producer does. An attempt's events are then all in one partition, even
        when the partitions change."""
        done, results = threading.Event(), []
        self.between.append((function, done, results))
        if not done.wait(120):
            raise RuntimeError("the exam does not come to the end of a wave")
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def stop(self):
        self.ending.set()
        self.thread.join(180)

    def reap(self):
        self.ending.set()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
