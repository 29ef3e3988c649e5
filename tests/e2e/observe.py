"""What is there to see from outside: records by kcat, rows by psql. Nothing of attemptd's own."""

import re
import subprocess

from events import strict_json

END = b"\n\x1e\n"
HEADERS = re.compile(r",(?=(?:ce_[a-z]+|content-type|traceparent)=)")


class Record:
    __slots__ = ("topic", "partition", "offset", "key", "value", "headers")


def read_topic(brokers, topic):
    """Every record of a topic with its exact bytes, in offset order per partition."""
    dump = subprocess.run(
        ["kcat", "-b", brokers, "-C", "-q", "-e", "-t", topic, "-o", "beginning",
         "-X", "check.crcs=true", "-f", "%p %o %K %S\n%k%s%h\n\\x1e\n"],
        check=True, stdout=subprocess.PIPE, timeout=300).stdout
    records, at = [], 0
    while at < len(dump):
        line = dump.index(b"\n", at)
        record = Record()
        record.topic = topic
        record.partition, record.offset, key_len, value_len = (
            int(n) for n in dump[at:line].split())
        key_at = line + 1
        value_at = key_at + max(key_len, 0)
        headers_at = value_at + max(value_len, 0)
        end = dump.index(END, headers_at)
        record.key = dump[key_at:value_at] if key_len >= 0 else None
        record.value = dump[value_at:headers_at] if value_len >= 0 else None
        text = dump[headers_at:end].decode("utf-8", "surrogateescape")
        record.headers = [tuple(h.split("=", 1)) for h in HEADERS.split(text)] if text else []
        records.append(record)
        at = end + len(END)
    records.sort(key=lambda r: (r.partition, r.offset))
    return records


def rows(database, query):
    """The rows of a query, each a dict; numbers as they were written."""
    text = subprocess.run(
        ["psql", database, "-X", "-At", "-v", "ON_ERROR_STOP=1", "-c",
         "SELECT to_json(q) FROM (%s) q" % query],
        check=True, stdout=subprocess.PIPE, timeout=300).stdout
    return [strict_json(line) for line in text.splitlines()]
