"""What struck, what was seen, and what it adds up to: a table for people, JSON for programs."""

import json
import os
import statistics
import threading
import time

import matrix


class Row:
    def __init__(self, kind):
        self.kind = kind
        self.heals = []
        self.count = self.missed = 0
        self.seen = ""
        self.skipped = None


class Report:
    def __init__(self, seed, kinds):
        self.seed = seed
        self.kinds = kinds  # the rows of the matrix that all kinds name
        self.begun = time.monotonic()
        self.rows = {}
        self.strikes = []
        self.failures = []
        self.most = {}
        self.proofs = {}
        self.sums = {}
        self.looks = self.compared = 0
        self.lock = threading.Lock()

    def row(self, kind):
        return self.rows.setdefault(kind.name, Row(kind))

    def struck(self, kind, lane, seen, took, healed):
        with self.lock:
            self.strikes.append({
                "at_s": round(time.monotonic() - self.begun, 1), "lane": lane, "fault": kind.name,
                "seen": seen, "took_s": round(took, 1),
                "healed_s": None if healed is None else round(healed, 1)})
            row = self.row(kind)
            row.count += 1
            row.seen = seen
            if healed is not None:
                row.heals.append(healed)

    def missed(self, kind):
        with self.lock:
            self.row(kind).missed += 1

    def skip(self, kind, why):
        self.row(kind).skipped = why

    def fail(self, text):
        with self.lock:
            if text not in self.failures:
                self.failures.append(text)

    def note_most(self, what, seconds):
        with self.lock:
            self.most[what] = max(self.most.get(what, 0), seconds)

    def matrix(self):
        return [(row.kind.row, row.count) for row in self.rows.values()], self.kinds

    def show(self, short):
        order = sorted(self.rows.values(), key=lambda row: (row.kind.lane, row.kind.name))
        print("\n%-42s %-9s %6s %8s %8s  %s" % ("fault", "matrix", "struck", "healed", "at most",
                                               "what was seen"))
        for row in order:
            if row.skipped:
                print("%-42s %-9s SKIPPED: %s" % (row.kind.name, row.kind.row, row.skipped))
                continue
            heal = "%6.1f s %6.1f s" % (statistics.median(row.heals), max(row.heals)) \
                if row.heals else "%17s" % "-"
            print("%-42s %-9s %6d %s  %s%s" % (
                row.kind.name, row.kind.row, row.count, heal, row.seen,
                " (%d not in time)" % row.missed if row.missed else ""))
        total = sum(row.count for row in order)
        print("\n%d faults of %d kinds in %d s, seed %d" % (
            total, sum(1 for row in order if row.count), time.monotonic() - self.begun, self.seed))
        for what, seconds in self.most.items():
            print("%s: %.1f s at most" % (what, seconds))
        print("%d looks while it ran, %d comparisons" % (self.looks, self.compared))
        if self.sums:
            print(", ".join("%s %d" % item for item in self.sums.items()))
        for name, line in self.proofs.items():
            print("%s: %s" % (name, line))
        if not short:
            matrix.show(*self.matrix())
        for failure in self.failures:
            print("FAILED: %s" % failure)
        print("chaos: %s" % ("FAILED, seed %d" % self.seed if self.failures
                             else "nothing lost, nothing doubled, nothing stuck"))

    def save(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({
                "seed": self.seed, "seconds": round(time.monotonic() - self.begun, 1),
                "faults": [{"fault": row.kind.name, "matrix": row.kind.row, "struck": row.count,
                            "missed": row.missed, "skipped": row.skipped, "seen": row.seen,
                            "healed_s": [round(s, 2) for s in row.heals]}
                           for row in self.rows.values()],
                "strikes": self.strikes,
                "matrix": list(matrix.lines(*self.matrix())),
                "looks": self.looks, "comparisons": self.compared, "sums": self.sums,
                "proofs": self.proofs, "failures": self.failures}, file, indent=1)
            file.write("\n")
