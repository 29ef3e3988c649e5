"""A topic as it grows: kcat in the background, every record once, in its partition's order."""

import subprocess
import threading
import time

from observe import END, HEADERS, Record


def read_record(stream, topic):
    """One record in the form that observe.py asks of kcat; None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    record = Record()
    record.topic = topic
    record.partition, record.offset, key_len, value_len = (int(n) for n in line.split())
    key = stream.read(max(key_len, 0))
    value = stream.read(max(value_len, 0))
    tail = b""
    while not tail.endswith(END):
        line = stream.readline()
        if not line:
            return None
        tail += line
    record.key = key if key_len >= 0 else None
    record.value = value if value_len >= 0 else None
    text = tail[:-len(END)].decode("utf-8", "surrogateescape")
    record.headers = [tuple(h.split("=", 1)) for h in HEADERS.split(text)] if text else []
    return record


class Follower:
    """`ends` are the offsets after the last record that was read; take() gives what is new."""

    def __init__(self, brokers, topic):
        self.brokers, self.topic = brokers, topic
        self.ends = {}
        self.records = []
        self.lock = threading.Lock()
        self.ending = False
        self.kcat = None
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        while not self.ending:
            self.kcat = subprocess.Popen(
                ["kcat", "-b", self.brokers, "-C", "-q", "-u", "-E", "-t", self.topic,
                 "-o", "beginning", "-X", "reconnect.backoff.max.ms=1000",
                 "-X", "fetch.wait.max.ms=100", "-f", "%p %o %K %S\n%k%s%h\n\\x1e\n"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                while (record := read_record(self.kcat.stdout, self.topic)) is not None:
                    self.take_in(record)
            except (ValueError, OSError):
                pass  # cut off in the middle
            self.kcat.kill()
            self.kcat.wait()
            time.sleep(0.3)

    def take_in(self, record):
        with self.lock:
            end = self.ends.get(record.partition, 0)
            if record.offset < end:
                return  # kcat was started again
            self.ends[record.partition] = record.offset + 1
            self.records.append(record)

    def again(self):
        """Reads from the beginning: the topic has got new partitions."""
        self.kcat.terminate()

    def take(self):
        with self.lock:
            records, self.records = self.records, []
            return records

    def stop(self):
        self.ending = True
        if self.kcat:
            self.kcat.terminate()
