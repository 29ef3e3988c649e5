"""The test stand: a private Kafka and a private PostgreSQL, durable, and what they cost."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ATTEMPTD_BUILD", os.path.join(ROOT, "build"))
ATTEMPTD = os.path.join(BUILD, "attemptd")
BENCHMARK = os.path.join(BUILD, "tests/benchmark")
HERE = os.path.join(ROOT, "tests/bench")
TICK_US = 1000000 / os.sysconf("SC_CLK_TCK")

# What matters for throughput. Nothing here makes PostgreSQL less durable than its defaults.
TUNING = {
    "shared_buffers": None,  # a quarter of the memory, at most 2 GB
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "wal_buffers": "16MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",  # switched on for the databases of attemptd alone
}
SHOWN = ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers",
         "max_wal_size", "checkpoint_timeout", "wal_buffers", "jit", "random_page_cost",
         "wal_compression", "autovacuum", "data_checksums"]


class Failure(Exception):
    """Something that must not go wrong did; the text is for people."""


def memory_mb():
    with open("/proc/meminfo", encoding="ascii") as info:
        return int(info.readline().split()[1]) // 1024


def run(command, **options):
    """Runs a command that has to succeed; its standard output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, **options)
    if done.returncode != 0:
        raise Failure("%s ended with %d\n%s" % (" ".join(command[:4]), done.returncode,
                                                done.stderr[-2000:] or done.stdout[-2000:]))
    return done.stdout


class Sql:
    """One psql that stays: a question costs a round trip, not a process."""

    def __init__(self, url):
        self.psql = subprocess.Popen(
            ["psql", url, "-XAtq", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, query):
        """The rows of the answer, each a list of texts."""
        self.psql.stdin.write(query + ";\n\\echo END-OF-ANSWER\n")
        rows = []
        for line in self.psql.stdout:
            if line == "END-OF-ANSWER\n":
                return rows
            rows.append(line.rstrip("\n").split("|"))
        raise Failure("PostgreSQL refused: %s" % query)

    def one(self, query):
        return self.ask(query)[0][0]

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


def processes():
    """pid -> (parent, ticks used by the children it has buried)"""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found[int(name)] = (int(fields[1]), int(fields[13]) + int(fields[14]))
    return found


def tree(root, found):
    """The processes below and including `root`."""
    members = [root]
    for pid in members:
        members += [child for child, (parent, _) in found.items() if parent == pid]
    return members


def threads_cpu_us(pid):
    """What the living threads of a process have used, to the nanosecond."""
    used = 0
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, thread), encoding="ascii") as stat:
                used += int(stat.read().split()[0])
    except OSError:
        pass
    return used / 1000


def tree_cpu_us(root, found):
    return sum(threads_cpu_us(pid) + found[pid][1] * TICK_US
               for pid in tree(root, found) if pid in found)


def peak_rss_kb(pid):
    try:
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def spin():
    """A fixed piece of work: when it takes longer, so does everything else. Milliseconds."""
    begun, number = time.perf_counter(), 1
    for i in range(1000000):
        number = (number * 1103515245 + i) & 0x7FFFFFFF
    return (time.perf_counter() - begun) * 1000


class Part:
    """One part of the benchmark program, waiting at its gate."""

    def __init__(self, name, options, env):
        self.name = name
        self.process = subprocess.Popen([BENCHMARK] + options + [name], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=env)

    def wait_ready(self):
        if self.process.stdout.readline() != "ready\n":
            self.fail()
        return self

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            self.fail()
        return line.rstrip("\n")

    def result(self):
        result = json.loads(self.line())
        if self.process.wait() != 0:
            self.fail()
        return result

    def fail(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        raise Failure("benchmark %s: %s" % (self.name, self.process.stderr.read()[-2000:]))


class Stand:
    def __init__(self, say):
        self.say = say
        self.base = tempfile.mkdtemp(prefix="attemptd-bench.", dir=os.environ.get(
            "ATTEMPTD_BENCH_DIR", "/var/tmp"))
        self.workers = []
        self.asked = {}
        self.templates = set()

    # ------------------------------------------------------------------------------ up and down

    def up(self, quickly=False):
        stack = os.path.join(ROOT, "compose/local-stack")
        # A broker that is measured compiles its code as one in production does.
        broker = dict(os.environ, KAFKA_JIT="1" if quickly else "4", KAFKA_HEAP_MB="1024")
        lines = run([stack, "up", self.base, "--owner", str(os.getpid())], env=broker)
        values = dict(line[len("export "):].split("=", 1) for line in lines.splitlines())
        self.brokers = values["KAFKA_BOOTSTRAP_SERVERS"].strip("'")
        self.postgres = os.path.join(self.base, "postgres")
        tuning = dict(TUNING)
        tuning["shared_buffers"] = "%dMB" % min(2048, memory_mb() // 4)
        self.tune(tuning)
        self.user_url = run([os.path.join(ROOT, "compose/postgres"), "url",
                             self.postgres]).strip()
        self.admin = self.sql("postgres", admin=True)
        self.postmaster = int(self.admin.one("SELECT pg_read_file('postmaster.pid')").split()[0])
        with open(os.path.join(self.base, "kafka/pid"), encoding="ascii") as pid:
            self.broker = int(pid.read())
        return self

    def tune(self, tuning):
        postgres = os.path.join(ROOT, "compose/postgres")
        self.admin_url = run([postgres, "url", self.postgres, "postgres"]).strip()
        psql = ["psql", self.url("postgres", admin=True), "-XAtq", "-v", "ON_ERROR_STOP=1"]
        self.counts_statements = run(psql, input="SELECT count(*) FROM pg_available_extensions"
                                     " WHERE name = 'pg_stat_statements'").strip() == "1"
        if not self.counts_statements:
            tuning = {name: value for name, value in tuning.items()
                      if "pg_stat_statements" not in name + value}
        run(psql, input="".join("ALTER SYSTEM SET %s = '%s';\n" % pair
                                for pair in tuning.items() if "." not in pair[0]))
        run([postgres, "restart", self.postgres])
        if self.counts_statements:
            run(psql, input="CREATE EXTENSION pg_stat_statements;\n"
                "ALTER SYSTEM SET pg_stat_statements.track = 'none';\n"
                "SELECT pg_reload_conf();\n")

    def settings(self):
        return {name: self.admin.one("SHOW %s" % name) for name in SHOWN}

    def down(self):
        for worker in list(self.workers):
            worker.kill()
        for sql in self.asked.values():
            sql.psql.kill()
            sql.psql.wait()
        subprocess.run([os.path.join(ROOT, "compose/local-stack"), "down", self.base],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.base, ignore_errors=True)

    # -------------------------------------------------------------------------------- databases

    def url(self, database, admin=False):
        url = self.admin_url if admin else self.user_url
        return url.rsplit("/", 1)[0] + "/" + database

    def sql(self, database, admin=False):
        key = (database, admin)
        if key not in self.asked:
            self.asked[key] = Sql(self.url(database, admin))
        return self.asked[key]

    def create(self, database, template=None):
        if template is None:
            self.admin.ask("CREATE DATABASE %s OWNER attemptd" % database)
        else:
            for key in [key for key in self.asked if key[0] == template]:
                self.asked.pop(key).close()
            self.admin.ask("CREATE DATABASE %s OWNER attemptd TEMPLATE %s STRATEGY file_copy"
                           % (database, template))

    def load_rows(self, database, flood, statements):
        """COPY of the attempts into a table of passage, and what is to be made of it."""
        rows = subprocess.Popen([BENCHMARK] + flood + ["rows"], stdout=subprocess.PIPE)
        psql = ["psql", self.url(database), "-XAtq", "-v", "ON_ERROR_STOP=1"]
        run(psql, input="CREATE UNLOGGED TABLE passage (id uuid, exam_id uuid, student_id uuid,"
            " answers jsonb)")
        done = subprocess.run(psql + ["-c", "COPY passage FROM STDIN"], stdin=rows.stdout,
                              check=False)
        if rows.wait() != 0 or done.returncode != 0:
            raise Failure("the rows could not be loaded into %s" % database)
        run(psql, input=";\n".join(statements + ["DROP TABLE passage"]) + ";\n")

    # ---------------------------------------------------------------------------------- programs

    def env(self, database, prefix):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("ATTEMPTD_", "PG", "KAFKA_"))}
        env.update(DATABASE_URL=self.url(database), KAFKA_BOOTSTRAP_SERVERS=self.brokers,
                   ATTEMPTD_TOPIC_PREFIX=prefix, ATTEMPTD_GROUP="bench-" + database)
        return env

    def part(self, name, options, database="postgres", prefix=""):
        return Part(name, ["--prefix", prefix, "--sql", HERE] + options,
                    self.env(database, prefix)).wait_ready()

    def part_at_once(self, name, options, database="postgres", prefix=""):
        """A part without a gate: its result."""
        return Part(name, ["--prefix", prefix] + options, self.env(database, prefix)).result()

    def snapshot(self, database, worker=None):
        """What everything has used so far."""
        found = processes()
        used = {"at": time.monotonic(),
                "postgres": tree_cpu_us(self.postmaster, found),
                "broker": tree_cpu_us(self.broker, found)}
        if worker is not None:
            used["client"] = tree_cpu_us(worker.process.pid, found)
        used["wal"] = int(self.admin.one(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"))
        used["statements"] = self.statements(database)
        return used

    def statements(self, database):
        """Carried out in a database of attemptd; None where nobody can count them."""
        if not self.counts_statements:
            return None
        return int(self.admin.one(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s"
            " JOIN pg_database d ON d.oid = s.dbid WHERE datname = '%s'"
            " AND query NOT LIKE '%%sum(published_offset)%%'" % database))  # that is watch.c


class Worker:
    """`attemptd run`, as anybody would start it; it can be stopped for a moment."""

    def __init__(self, stand, name, workers, options=()):
        self.stand = stand
        self.name = name
        self.count = workers
        self.log = os.path.join(stand.base, name + ".log")
        self.prefix = name + "."
        command = [ATTEMPTD, "run", "--workers", str(workers), "--http", "off"] + list(options)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL,
                                            env=stand.env(name, self.prefix))
        stand.workers.append(self)

    def wait_idle(self, partitions, seconds=60):
        """All partitions are claimed, by all workers, and the group has come to rest."""
        sql = self.stand.sql(self.name)
        deadline, before, since = time.monotonic() + seconds, None, 0.0
        while True:
            now = sql.ask("SELECT count(*), sum(epoch), count(DISTINCT owner),"
                          " sum(next_offset - published_offset) FROM ingest_progress")[0]
            if now != before:
                before, since = now, time.monotonic()
            settled = now[0] == str(partitions) and now[2] == str(self.count) and now[3] == "0"
            if settled and time.monotonic() - since > 1.0:
                return
            if time.monotonic() > deadline or self.process.poll() is not None:
                with open(self.log, encoding="utf-8", errors="replace") as log:
                    raise Failure("attemptd run does not come to rest: %s\n%s"
                                  % (now, log.read()[-2000:]))
            time.sleep(0.05)

    def pids(self):
        return tree(self.process.pid, processes())

    def freeze(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in reversed(self.pids()):
            os.kill(pid, signal.SIGCONT)

    def peak_rss_kb(self):
        """Of the largest worker process."""
        return max(peak_rss_kb(pid) for pid in self.pids())

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=30)
        self.stand.workers.remove(self)
        return code

    def kill(self):
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()
        self.stand.workers.remove(self)
