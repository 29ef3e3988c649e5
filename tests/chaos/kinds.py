"""What a fault is: fault(chaos, rng) does its worst to the exam and undoes it.

It returns what was seen, as a short text, when it is over and healing may begin; it raises Missed
when it did not strike (the place was not passed, the row was not there), which counts as nothing.
Anything else that it raises is a failure of the run.
"""

STRIKE_S = 40
KINDS = {}  # name -> Kind


class Missed(Exception):
    pass


class Broken(Exception):
    """attemptd did not do what the contract says."""


class Kind:
    """`row` names the row of the fault matrix. Lanes go on side by side: faults of single workers,
    of PostgreSQL, and of Kafka and the links."""

    def __init__(self, name, row, lane, function):
        self.name, self.row, self.lane, self.function = name, row, lane, function


def kind(name, row, lane):
    def enter(function):
        KINDS[name] = Kind(name, row, lane, function)
        return function
    return enter
