"""The workers under test: each a process in a slot that is always filled again."""

import os
import shutil
import subprocess
import threading
import time

from proxy import Link
from servers import SIGNALS, free_port, signal_process, wait_until

SESSION_MS = 3000
FAILPOINTS = (
    "after_poll", "after_decode", "before_begin", "after_cas", "after_write",
    "before_commit_sent", "after_commit_sent", "after_commit_ok", "before_publish",
    "after_publish_before_ack", "after_ack_before_mark", "in_assign", "in_revoke", "in_claim",
    "in_recall", "in_dead_letter", "in_shutdown")


class Worker:
    """One slot. `expected` says that the end of its process is our doing."""

    def __init__(self, crew, name, link):
        self.crew, self.name, self.link = crew, name, link
        self.folder = crew.folder
        self.fail_file = os.path.join(self.folder, name + ".failpoint")
        self.process = self.http_port = None
        self.starts = 0
        self.expected = False

    @property
    def log(self):
        return os.path.join(self.folder, "%s.%03d.log" % (self.name, self.starts))

    @property
    def pid(self):
        return self.process.pid

    def start(self, log=None, options=(), **env):
        """`log` is a descriptor instead of a file of its own."""
        if self.crew.closed.is_set():
            raise RuntimeError("the run is over")
        if self.alive():
            raise RuntimeError("%s runs already, see %s" % (self.name, self.log))
        self.starts += 1
        self.http_port = free_port()
        environment = {**os.environ, **self.crew.env, **env,
                       "DATABASE_URL": self.crew.url(self.link),
                       "ATTEMPTD_FAILPOINT_FILE": self.fail_file,
                       "ATTEMPTD_HTTP": "127.0.0.1:%d" % self.http_port}
        with open(self.log, "wb") as file:
            sink = file if log is None else log
            self.process = subprocess.Popen(
                ["prlimit", "--nofile=1024:", self.crew.binary, "run", "--log", "human",
                 "-X", "session.timeout.ms=%d" % SESSION_MS, "-X", "heartbeat.interval.ms=500",
                 "-X", "topic.metadata.refresh.interval.ms=5000",
                 "-X", "reconnect.backoff.max.ms=1000", *options],
                env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                start_new_session=True)
        self.expected = False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def send(self, name):
        return signal_process(self.pid, SIGNALS[name])

    def kill(self):
        self.expected = True
        self.send("KILL")
        self.process.wait()

    def terminate(self, seconds=12):
        """SIGTERM; returns what it took and the exit code, None when it did not end."""
        self.expected = True
        self.send("TERM")
        return self.ended(seconds)

    def ended(self, seconds=12):
        begun = time.monotonic()
        ended = wait_until(seconds, lambda: not self.alive())
        if not ended:
            self.keep_stacks()
        return time.monotonic() - begun, self.process.returncode if ended else None

    def keep_stacks(self):
        """Where it hangs, for whoever reads the logs, if this machine has gdb."""
        if shutil.which("gdb"):
            with open(self.log + ".stacks", "w", encoding="utf-8") as file:
                subprocess.run(["gdb", "-p", str(self.pid), "-batch", "-ex",
                                "thread apply all backtrace"], stdout=file, check=False,
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=60)

    def arm(self, spec):
        self.disarm()
        with open(self.fail_file + ".new", "w", encoding="ascii") as file:
            file.write(spec)
        os.rename(self.fail_file + ".new", self.fail_file)

    def disarm(self):
        for name in (self.fail_file, self.fail_file + ".struck"):
            if os.path.exists(name):
                os.unlink(name)

    def struck(self):
        return os.path.exists(self.fail_file + ".struck")


class Crew:
    """All slots, and a watch that fills those that fell empty."""

    def __init__(self, loop, servers, binary, folder, database, env, size, kafka=None):
        self.servers, self.binary, self.folder = servers, binary, folder
        self.database, self.env = database, env
        self.kafka = kafka or Link(loop, servers.kafka_inner_port, servers.kafka_proxy_port)
        self.env["KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:%d" % servers.kafka_proxy_port
        self.slots = [self.slot(loop, "worker%d" % n) for n in range(1, size + 1)]
        self.guests = [self.slot(loop, "guest%d" % n) for n in range(1, 4)]
        self.twins = [self.slot(loop, "twin%d" % n) for n in range(1, 3)]
        self.silence = threading.Lock()  # for who stalls the link to Kafka, which all share
        self.surprises = []  # ends that nobody wanted
        self.resting = threading.Event()
        self.closed = threading.Event()
        self.watch = threading.Thread(target=self.keep, daemon=True)

    def slot(self, loop, name):
        return Worker(self, name, Link(loop, self.servers.postgres_port, free_port(), True))

    def url(self, link):
        return self.servers.url(self.database, port=link.port)

    def start(self):
        for worker in self.slots:
            worker.start()
        self.watch.start()

    def keep(self):
        while not self.resting.wait(0.1):
            for worker in self.slots:
                if not worker.alive() and not worker.expected:
                    self.surprises.append("%s ended by itself with %s, see %s" % (
                        worker.name, worker.process.returncode, os.path.basename(worker.log)))
                    worker.start()

    def stop(self):
        """SIGTERM to all. Returns those that did not end with 0."""
        self.resting.set()
        self.watch.join()
        bad = []
        for worker in self.slots:
            worker.expected = True
            worker.send("TERM")
        for worker in self.slots:
            took, code = worker.ended()
            if code != 0:
                bad.append("%s ended with %s after %.1f s, see %s" % (
                    worker.name, code, took, os.path.basename(worker.log)))
        return bad

    def reap(self):
        """Whatever still runs, and nobody starts anything any more."""
        self.resting.set()
        self.closed.set()
        if self.watch.is_alive():
            self.watch.join()
        time.sleep(0.2)
        for worker in (*self.slots, *self.guests, *self.twins):
            if worker.alive():
                worker.kill()
