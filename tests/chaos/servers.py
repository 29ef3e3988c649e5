"""The real servers under the exam, and what the harness asks of them past every proxy."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))


def run(*command, env=None, timeout=120):
    """The standard output of a command that has to succeed."""
    done = subprocess.run(command, env=env, timeout=timeout, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise RuntimeError("%s ended with %d: %s" % (" ".join(command), done.returncode,
                                                     (done.stderr or done.stdout)[-2000:]))
    return done.stdout


GIVEN = set()  # ports that were given out, whether somebody listens there yet or not


def free_port():
    while True:
        port = random.SystemRandom().randrange(10240, 32240)
        with socket.socket() as probe:
            if port not in GIVEN and probe.connect_ex(("127.0.0.1", port)):
                GIVEN.add(port)
                return port


def wait_until(seconds, true):
    """Waits until true() is; False when it was not within that time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class Gone(Exception):
    """The database does not answer, or refused a statement."""


class Database:
    """A psql that stays, so that a question costs no process. Lost connections are opened anew."""

    END = "--end of answer--"

    def __init__(self, url, patience_s=60):
        self.url, self.patience_s = url, patience_s
        self.psql = None
        self.lock = threading.Lock()

    def open(self):
        self.psql = subprocess.Popen(
            ["psql", self.url, "-XAtq", "-v", "ON_ERROR_STOP=1"], text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PGOPTIONS": "-c client_min_messages=warning"})

    def close(self):
        if self.psql is not None:
            self.psql.kill()
            self.psql.communicate()
            self.psql = None

    def once(self, text):
        """The lines of one answer; Gone when there is none."""
        if self.psql is None:
            self.open()
        try:
            self.psql.stdin.write("%s\n;\\echo '%s'\n" % (text.rstrip().rstrip(";"), self.END))
            self.psql.stdin.flush()
        except (OSError, ValueError):
            pass
        lines = []
        for line in self.psql.stdout:
            line = line.rstrip("\n")
            if line == self.END:
                return lines
            lines.append(line)
        said = self.psql.stderr.read()
        self.close()
        raise Gone(said.strip() or "the connection was lost")

    def ask(self, text):
        """The same, again and again while the server is away. Only for what may be repeated."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                with self.lock:
                    return self.once(text)
            except Gone as gone:
                if "ERROR:" in str(gone) or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def value(self, text):
        lines = self.ask(text)
        return lines[0] if lines else ""

    def rows(self, text):
        return [json.loads(line) for line in
                self.ask("SELECT to_json(q) FROM (%s) q" % text.rstrip().rstrip(";"))]


class Servers:
    """PostgreSQL and Kafka in a folder of their own; the workers' way to Kafka is a listener whose
    advertised address is a proxy's."""

    def __init__(self, folder):
        self.folder = folder
        self.postgres_dir, self.kafka_dir = (os.path.join(folder, n) for n in ("postgres", "kafka"))
        self.kafka_proxy_port, self.kafka_inner_port = free_port(), free_port()

    def tool(self, name, *args):
        return run(os.path.join(ROOT, "compose", name), *args, timeout=180)

    def tool_fails(self, name, *args):
        return subprocess.run([os.path.join(ROOT, "compose", name), *args], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def start(self):
        os.makedirs(self.kafka_dir)
        port, controller = free_port(), free_port()
        for name, number in (("port", port), ("controller_port", controller)):
            with open(os.path.join(self.kafka_dir, name), "w", encoding="ascii") as file:
                file.write("%d\n" % number)
        os.environ["KAFKA_PROPS"] = "\n".join((
            "listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d,PROXIED://127.0.0.1:%d"
            % (port, controller, self.kafka_inner_port),
            "advertised.listeners=PLAINTEXT://127.0.0.1:%d,PROXIED://127.0.0.1:%d"
            % (port, self.kafka_proxy_port),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "PROXIED:PLAINTEXT",
            "inter.broker.listener.name=PLAINTEXT"))
        self.tool("local-stack", "up", self.folder, "--fast", "--owner", str(os.getpid()))
        self.brokers = self.tool("kafka", "address", self.kafka_dir).strip()
        self.postgres_port = int(self.url("attemptd").rsplit(":", 1)[1].split("/")[0])

    def url(self, database, role="attemptd", port=None):
        url = self.tool("postgres", "url", self.postgres_dir, role).strip().rsplit("/", 1)[0]
        if port is not None:
            url = "%s:%d" % (url.rsplit(":", 1)[0], port)
        return "%s/%s" % (url, database)

    def stop(self):
        self.tool("local-stack", "down", self.folder)

    def restart_postgres(self, mode):
        self.tool("postgres", "restart", self.postgres_dir, mode)

    def restart_kafka(self, how):
        self.tool("kafka", "restart", self.kafka_dir, how)

    def kafka_admin(self, tool, *args):
        return self.tool("kafka", "tool", "org.apache.kafka.tools." + tool, "--bootstrap-server",
                         self.brokers, *args)


def signal_process(pid, number):
    """Sends a signal; False when the process is gone."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


SIGNALS = {name: getattr(signal, "SIG" + name)
           for name in ("KILL", "TERM", "STOP", "CONT", "HUP", "USR1", "PIPE", "CHLD", "WINCH")}
