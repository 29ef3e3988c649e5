"""The fault matrix: how often each row of it struck in this run, which other tests try it, and what
of it nobody tries, which is said as loudly."""

import re

# (row, what, the other tests that try it, what nobody tries). How often a row struck follows from
# the kinds that name it.
ROWS = (
    ("F1-F15", "kill -9 at each failpoint", "simulator: a crash at each step of a flush", None),
    ("F16", "kill -9 at random", "e2e killed_worker", None),
    ("F17", "SIGTERM, twice", "the second: e2e signals", None),
    ("F18", "zombie", "e2e zombie; simulator", None),
    ("F19", "two members of one name", None, None),
    ("F20", "rebalance storm", "e2e membership; simulator", None),
    ("F21", "PostgreSQL stopped", "e2e postgres_down", None),
    ("F22", "PostgreSQL killed", "e2e postgres_down", None),
    ("F23", "crash restart of PostgreSQL", None, None),
    ("F24", "backend ended during COMMIT", "pg test_store_ledger; simulator", None),
    ("F25", "cut before COMMIT", "simulator", None),
    ("F26", "cut after COMMIT", "simulator", None),
    ("F27", "PostgreSQL cut, black-holed", "pg test_session", "a network interface down"),
    ("F28", "Kafka cut, black-holed", "kafka test_source (a survey)", "a network interface down"),
    ("F29", "slow PostgreSQL, locked rows", "e2e signals (locked tables)", None),
    ("F30", "deadlock with another writer", "simulator; that we make none among ourselves:"
     " pg test_concurrency", None),
    ("F31", "disk full", None, "anything of it without root"),
    ("F32", "too many connections", "that it is recognised: unit test_sqlstate", None),
    ("F33", "failover that loses commits", "e2e failover (a real standby), gap; simulator", None),
    ("F34", "commit not replicated (01000)", "pg test_store_ledger", "with a real replica"),
    ("F35", "connected to a standby (25006)", "e2e failover: libpq turns it away; the code itself:"
     " unit test_sqlstate", None),
    ("F36", "database restored to an older state", "e2e gap; simulator", None),
    ("F37", "ledger row deleted, ahead, back", "e2e gap (by --force), halts", None),
    ("F38", "topic made anew", "e2e gap; kafka test_source; simulator", None),
    ("F39", "retention gap", "e2e halts, gap; simulator", None),
    ("F40", "error codes of the broker",
     "kafka test_mock: two of a fetch, two of a produce, one of a commit",
     "leader and coordinator codes"),
    ("F41", "broker down and up", "e2e broker_down", "leader change: there is one broker"),
    ("F42", "offset commits fail", "kafka test_mock", None),
    ("F43", "produce fails", "kafka test_mock, test_publisher; simulator", None),
    ("F44", "corrupt batch", "kafka test_source; e2e gap", None),
    ("F45", "duplicates", "in the exam of every round; simulator", None),
    ("F46", "disorder", "in the exam of every round; simulator", None),
    ("F47", "one attempt in two partitions", "simulator", "in the exam here: its result would not be one"),
    ("F48", "partitions added", "e2e growth", None),
    ("F49", "bad input in the load", "in the exam of every round; e2e bad_inputs, rubbish",
     None),
    ("F50", "bad schema", "e2e schema_error, constraint; simulator", None),
    ("F51", "dead letters refused", None, None),
    ("F52", "malloc fails", "torture, for our own code", "inside the libraries"),
    ("F53", "little memory", "a decompression bomb: kafka test_source, e2e bad_inputs", None),
    ("F54", "signal storm", "e2e hardships", None),
    ("F55", "wall clock jumps", "pg test_housekeeper (views)", None),
    ("F56", "no file descriptors", "e2e hardships", None),
    ("F57", "each system call fails once", "torture, those of our own code",
     "inside the libraries"),
    ("F58", "the log's reader is gone or stuck", "e2e hardships; unit test_log",
     "a full disk of logs"),
    ("F59", "settings reloaded", None, "there is no reload"),
    ("F60", "keys rotated", None, "there are no keys yet"),
    ("F61", "refresh behind a long reader", "pg test_housekeeper (two workers)", None),
    ("F62", "Redis", None, "there is no Redis sink yet"),
    ("F63", "HTTP under attack", "e2e hardships", None),
    ("F64", "soak", None, "make chaos SECONDS=3600 is none: it does not judge memory"),
)


def numbers(label):
    """{24, 25, 26, 28} of "F24-F26, F28"."""
    found = set()
    for first, last in re.findall(r"F(\d+)(?:-F(\d+))?", label):
        found.update(range(int(first), int(last or first) + 1))
    return found


def lines(struck, kinds):
    """`struck` has the row of a kind and how often it struck, `kinds` the rows of all kinds."""
    for row, what, elsewhere, nobody in ROWS:
        here = sum(count for label, count in struck if numbers(label) & numbers(row))
        known = any(numbers(label) & numbers(row) for label in kinds)
        words = ["struck %d times" % here] if here else ["not struck in this run"] if known else []
        if elsewhere:
            words.append(elsewhere)
        if nobody or not (known or elsewhere):
            words.append("NOT TRIED: " + (nobody or "anywhere"))
        yield row, what, "; ".join(words)


def show(struck, kinds):
    print("\nrows of the fault matrix, and where they are tried")
    for line in lines(struck, kinds):
        print("%-7s %-36s %s" % line)
