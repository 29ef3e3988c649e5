"""How the halts of halts.py are brought about: each function breaks something for some partitions
of the writes, and returns what heals it."""

import json
import os
import time

from kinds import Broken, Missed
from servers import Database, Gone, run, wait_until


def where(topic, partition):
    return "WHERE topic = '%s' AND partition = %d" % (topic, partition)


# -------------------------------------------------------------------------------- the ledger's rows

# One statement each, so that the true offset is that of the moment before.
EDITS = {
    "ledger row deleted": "DELETE FROM ingest_progress %s RETURNING next_offset",
    "ledger row put back": "UPDATE ingest_progress SET next_offset = next_offset - 10,"
                           " published_offset = next_offset - 10 %s RETURNING next_offset + 10",
    "ledger row put ahead of the log": "UPDATE ingest_progress SET next_offset = next_offset"
                                       " + 1000000 %s RETURNING next_offset - 1000000",
}


def edit(halts, name, partition):
    """Options for accept-gap: back to the offset that was true."""
    if name in EDITS:
        true = int(halts.db.value(EDITS[name] % where(halts.topic, partition)))
    else:
        true = put_ahead_within(halts, partition)
    return ["--skip-to", str(true)]


def put_ahead_within(halts, partition):
    """The workers are held for a moment, so that there is something to be put ahead of."""
    for worker in halts.crew.slots:
        worker.send("STOP")
    try:
        time.sleep(3)
        # A frozen worker may be in the middle of a transaction that holds the row.
        halts.db.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state <> 'idle'"
                     " AND application_name LIKE 'attemptd%' AND datname = current_database()")
        end = halts.end(partition)
        true = halts.row(partition)["next_offset"]
        if end <= true:
            raise Missed("nothing came that could be skipped")
        halts.db.ask("UPDATE ingest_progress SET next_offset = %d, published_offset = %d %s"
                     % (end, end, where(halts.topic, partition)))
    finally:
        for worker in halts.crew.slots:
            worker.send("CONT")
    return true


# ------------------------------------------------------------------------------ the whole database

def put_back_database(halts):
    """Another database, a copy of some seconds ago, takes the name: a backup restored. Returns the
    offsets that are lost with it."""
    dump = os.path.join(halts.folder, "older.dump")
    run("pg_dump", "-Fc", "-f", dump, halts.servers.url(halts.database, "postgres"))
    admin = Database(halts.servers.url("postgres", "postgres"))
    admin.ask("CREATE DATABASE older OWNER attemptd")
    run("pg_restore", "-d", halts.servers.url("older", "postgres"), dump)
    before = halts.offsets()
    if not wait_until(60, lambda: all(mark > before[place] + 5 for place, mark in
                                      halts.offsets().items() if place[0] == halts.topic)):
        raise Broken("nothing moves")
    lost = halts.offsets()
    halts.db.close()
    admin.ask("ALTER DATABASE %s ALLOW_CONNECTIONS false" % halts.database)
    if not wait_until(20, lambda: renamed(admin, halts.database)):
        raise Broken("the database is in use")
    admin.ask("ALTER DATABASE older RENAME TO %s" % halts.database)
    admin.ask("DROP DATABASE lost")
    admin.close()
    return lost


def renamed(admin, name):
    admin.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'" % name)
    try:
        admin.ask("ALTER DATABASE %s RENAME TO lost" % name)
        return True
    except Gone:
        return False  # somebody is not gone yet


# ------------------------------------------------------------------------------------ the schema

SCHEMA = {
    "a column is gone": (
        "ALTER TABLE attempt_rows RENAME COLUMN auto_save_data TO renamed",
        "ALTER TABLE attempt_rows RENAME COLUMN renamed TO auto_save_data"),
    "dead letters refused": (
        "REVOKE INSERT ON dead_letters FROM attemptd", "GRANT INSERT ON dead_letters TO attemptd"),
}


def mend_schema(halts, name):
    """Who connects looks at once; else it would take a minute."""
    halts.db.ask(SCHEMA[name][1])
    halts.db.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name"
                 " LIKE 'attemptd%' AND datname = current_database()")


# --------------------------------------------------------------------------------------- the log

def remove_unread(halts, partitions):
    """Records that nobody has read go, as when retention is shorter than an outage."""
    for worker in halts.crew.slots:
        took, code = worker.terminate()
        if code != 0:
            raise Broken("SIGTERM ended with %s after %.1f s, see %s" % (code, took, worker.log))
    halts.exam.play_once(1)
    cuts = []
    for partition in partitions:
        end, mark = halts.end(partition), halts.row(partition)["next_offset"]
        if end <= mark + 1:
            raise Broken("too few records in partition %d" % partition)
        cuts.append({"topic": halts.topic, "partition": partition, "offset": (mark + end + 1) // 2})
    path = os.path.join(halts.folder, "remove.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "partitions": cuts}, file)
    halts.servers.kafka_admin("DeleteRecordsCommand", "--offset-json-file", path)
    for worker in halts.crew.slots:
        worker.start()


def make_anew(halts):
    halts.servers.kafka_admin("TopicCommand", "--delete", "--topic", halts.topic)
    time.sleep(1)

    def made():
        try:
            halts.attemptd("doctor", "--fix", "--partitions", str(halts.partitions))
            return True
        except RuntimeError:
            return False
    if not wait_until(30, made):
        raise Broken("the topic could not be made anew")
