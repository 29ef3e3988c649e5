"""Where one tortured run at a time takes place: databases and topics on the shared servers.

Each place plays the same small exam into topics of its own once, and keeps databases as they are
before and after it, from which the one database of a run is copied.
"""

import os
import subprocess
import time

from cases import TOPICS

PARTITIONS = 2


class Run:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds


class Failure(Exception):
    pass


class Place:
    def __init__(self, number, clean, folder, admin_url, database_url, brokers):
        self.number, self.clean_binary, self.folder = number, clean, folder
        self.server, self.brokers = admin_url.rsplit("/", 1)[0], brokers
        self.url = database_url.rsplit("/", 1)[0]
        self.own = self.prefix = "place%d." % number
        self.said, self.schemas = {}, {}
        self.groups = self.fresh_topics = 0
        self.database = None
        self.file = os.path.join(folder, "torture.%d" % number)

    # ------------------------------------------------------------------------- the servers

    def sql(self, database, statement):
        return subprocess.run(["psql", "%s/%s" % (self.server, database), "-XAtq", "-v",
                               "ON_ERROR_STOP=1", "-c", statement], check=True, timeout=60,
                              stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}).stdout.strip()

    def value(self, query):
        return self.sql(self.database, query)

    def name(self, what):
        return "%s_%d" % (what, self.number)

    def copy(self, template, name):
        """A new database, and the one of the next runs; `nothing` is an empty one."""
        self.sql("postgres", 'DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % self.name(name))
        self.sql("postgres", 'CREATE DATABASE "%s" OWNER attemptd TEMPLATE "%s"' % (
            self.name(name), "template1" if template == "nothing" else self.name(template)))
        self.database = self.name(name)

    def records(self, *topics):
        """How many records there are, by the ends of the partitions."""
        words = ["kcat", "-b", self.brokers, "-Q"]
        for topic in topics:
            for partition in range(PARTITIONS):
                words += ["-t", "%s%s:%d:-1" % (self.prefix, topic, partition)]
        for patience in range(19, -1, -1):  # a busy machine's broker may be away for a moment
            run = subprocess.run(words, check=patience == 0, timeout=60, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if run.returncode == 0:
                break
            time.sleep(1)
        return sum(int(line.split()[-1]) for line in run.stdout.splitlines())

    def topics(self):
        out = subprocess.run(["kcat", "-b", self.brokers, "-L"], check=True, timeout=60,
                             stdout=subprocess.PIPE, text=True).stdout
        return {line.split('"')[1] for line in out.splitlines() if line.startswith("  topic ")}

    def new_topics(self):
        """Topics that are not there yet."""
        self.fresh_topics += 1
        self.prefix = "new%d.%s" % (self.fresh_topics, self.own)

    def schema(self):
        """What migrations have made; the oid's are not the same twice, the names are."""
        tables = self.value("SELECT to_regclass('schema_migrations') IS NOT NULL")
        applied = "" if tables == "f" else self.value(
            "SELECT string_agg(m::text, ' ') FROM (SELECT to_jsonb(m) - 'applied_at' -"
            " 'duration_ms' - 'applied_by' AS m FROM schema_migrations m ORDER BY 1) m")
        things = self.value(
            "SELECT string_agg(thing, ' ' ORDER BY thing) FROM ("
            "SELECT relkind::text || relname AS thing FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
            " UNION ALL SELECT 'p' || proname FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace) t")
        # The table of migrations itself stays when all are taken back.
        return applied, things

    # ---------------------------------------------------------------------------- processes

    def environment(self, case):
        self.groups += 1
        keep = {name: value for name, value in os.environ.items()
                if not name.startswith(("ATTEMPTD_", "PG", "KAFKA_", "DATABASE_"))}
        return {**keep, "DATABASE_URL": "%s/%s" % (self.url, self.database),
                "KAFKA_BOOTSTRAP_SERVERS": self.brokers, "ATTEMPTD_TOPIC_PREFIX": self.prefix,
                "ATTEMPTD_GROUP": "group%d.%d" % (self.number, self.groups),
                "ATTEMPTD_LOG": "human",
                "ASAN_OPTIONS": "exitcode=99:abort_on_error=0:allocator_may_return_null=1",
                "UBSAN_OPTIONS": "print_stacktrace=1"}

    def execute(self, words, env, timeout, stdin=None, while_running=None):
        """Ends with a code; -N for a signal, None when it had to be killed."""
        begun = time.monotonic()
        with open(self.file + ".out", "w+") as out, open(self.file + ".err", "w+") as err:
            process = subprocess.Popen(
                words, env=env, stdout=out, stderr=err, text=True, start_new_session=True,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
            try:
                if while_running is not None:
                    while_running(process)
                process.communicate(stdin, timeout=timeout)
                code = process.returncode
            except subprocess.TimeoutExpired:
                code = None
            finally:
                try:
                    os.killpg(process.pid, 9)
                except ProcessLookupError:
                    pass
                process.wait()
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read())
        return Run(code, *texts, time.monotonic() - begun)

    def clean(self, words, stdin=None):
        """The program as it is built for use, undisturbed."""
        words = [word.replace("NEWEST - 1", str(int(self.newest) - 1)) for word in words]
        return self.execute([self.clean_binary, *words], self.environment(None), 90, stdin)

    def must(self, *words, stdin=None):
        run = self.clean(words, stdin)
        if run.code != 0:
            raise Failure("'%s' ends with %s: %s" % (" ".join(words), run.code, run.err[-500:]))
        return run

    # -------------------------------------------------------------------------- preparation

    def set_up(self, events):
        self.newest = "1"
        self.copy("nothing", "empty")
        self.schemas["nothing"] = None
        self.must("migrate", "up")
        self.schemas["empty"] = self.schema()
        self.newest = self.value("SELECT max(version) FROM schema_migrations"
                                 " WHERE version ~ '^[0-9]+$'")
        for prefix in ("produced.", "letters.", ""):
            self.prefix = prefix + self.own
            self.must("doctor", "--fix", "--partitions", str(PARTITIONS))
        self.must("produce", "--quiet", "--raw", "-", stdin=events)
        self.log_records = self.records("attempt.writes", "attempt.activity")
        self.copy("empty", "full")
        self.must("run", "--drain", "--http", "off")
        self.outcomes = self.records("attempt.outcomes")
        self.copy("full", "letters")
        self.value("UPDATE dead_letters SET topic = 'letters.' || topic")
        self.copy("full", "gap")
        self.value("UPDATE ingest_progress SET next_offset = next_offset + 10,"
                   " records = records + 10, applied = applied + 10,"
                   " published_offset = published_offset + 10 WHERE partition = 0")
        self.copy("empty", "one_less")
        self.must("migrate", "down")
        self.schemas["one_less"] = self.schema()
        self.copy("empty", "down")
        self.must("migrate", "down", "--to", "0")
        self.schemas["nothing"] = self.schema()

        # The row with the most to tell.
        self.ids = dict(zip(("ATTEMPT", "EXAM"), self.sql(self.name("full"), "SELECT id || ' ' || exam_id"
            " FROM attempts WHERE exam_id IS NOT NULL ORDER BY version DESC, id LIMIT 1").split()))

    def named(self, words):
        return [self.ids.get(word, word).replace("PREFIX", self.prefix) for word in words]

    def prepare(self, case):
        self.prefix = case.topics + self.own
        if case.template is None:
            self.database = self.name("full")
        else:
            self.copy(case.template, "run")
