"""The fault matrix, and where each row of it is tried. What nobody tries is said as loudly."""

ROWS = (
    ("F1-F15", "kill -9 at each failpoint", "here; the simulator crashes at each step of a flush"),
    ("F16", "kill -9 at random", "here; e2e killed_worker, chaos"),
    ("F17", "SIGTERM, twice", "here once; twice in e2e signals"),
    ("F18", "zombie", "here; e2e zombie; simulator"),
    ("F19", "two members with one group.instance.id", None),
    ("F20", "rebalance storm", "here; e2e membership; simulator"),
    ("F21-F23", "PostgreSQL stopped, killed, crash restart", "here; e2e postgres_down, chaos"),
    ("F24-F26", "COMMIT without an answer", "here; simulator; pg test_store_ledger"),
    ("F27-F28", "links cut and black-holed", "here, by proxies; not by a network interface down"),
    ("F29", "slow PostgreSQL, locked rows", "here"),
    ("F30", "deadlock with another writer", "here; pg test_concurrency"),
    ("F31", "disk full", "here for a tablespace, as root; not for WAL"),
    ("F32", "too many connections", "here, by the limit of the role (the same SQLSTATE)"),
    ("F33", "failover that loses transactions", "simulator (database set back), e2e gap; no replica"),
    ("F34", "commit not replicated (01000)", "pg test_store_ledger"),
    ("F35", "connected to a standby (25006)", "unit test_sqlstate; no real standby"),
    ("F36", "database restored to an older state", "here (ledger and rows); e2e gap; simulator"),
    ("F37", "ledger row deleted, set ahead, set back", "here"),
    ("F38", "topic made anew", "here; e2e gap; simulator"),
    ("F39", "retention gap", "here; e2e halts, gap; simulator"),
    ("F40", "error codes of the broker", "kafka test_mock, some of them"),
    ("F41", "broker down and up", "here; no leader change: one broker"),
    ("F42", "offset commits fail", "not by itself; the ledger never reads them but at a first start"),
    ("F43", "produce fails", "kafka test_publisher, test_mock; simulator"),
    ("F44", "corrupt batch", "kafka test_source; e2e gap"),
    ("F45-F46", "duplicates, disorder", "here, in the exam all the time; simulator"),
    ("F47", "one attempt in two partitions", "simulator; here not: the result would not be one"),
    ("F48", "partitions added", "here; e2e growth"),
    ("F49", "bad input in the load", "here, in the exam all the time; unit test_decode"),
    ("F50", "bad schema: the brake", "e2e constraint, schema_error; simulator"),
    ("F51", "dead letters refused", "simulator; e2e schema_error"),
    ("F52", "malloc fails", "simulate --torture, for our own code"),
    ("F53", "little memory", None),
    ("F54", "signal storm", "here"),
    ("F55", "wall clock jumps", "here, with libfaketime; simulator"),
    ("F56", "no file descriptors", "here"),
    ("F57", "each system call fails once", None),
    ("F58", "the log's reader is gone or stuck", None),
    ("F59-F60", "settings reloaded, keys rotated", "there is no reload, and there are no keys yet"),
    ("F61", "refresh behind a long reader", "here; pg test_housekeeper"),
    ("F62", "Redis", "there is no Redis sink yet"),
    ("F63", "HTTP under attack", None),
    ("F64", "soak", "make chaos SECONDS=3600; not by make test"),
)


def show():
    print("\nrows of the fault matrix, and where they are tried")
    for rows, what, where in ROWS:
        print("%-8s %-42s %s" % (rows, what, where or "NOT TRIED ANYWHERE"))
