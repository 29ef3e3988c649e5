"""What is tortured: runs of the program, and by what each is judged.

A case has a name, the words of a command, the database that it begins with (None: it changes
nothing, and all share one) and three questions, asked of a Place:

    before(place)         what must be known before the run
    done(place, before)   is everything done that the command was for? "" or what is missing
    after(place, before)  a clean run later: is everything as it should be? "" or what is not
"""

import re
import signal
import socket
import subprocess
import time


TOPICS = ("attempt.writes", "attempt.activity", "view.refresh", "cache.invalidations",
          "attempt.outcomes")


class Case:
    name = ""
    words = ()
    template = None
    topics = ""          # a prefix of its own in front of the place's
    timeout = 30
    slow = False
    codes = (0, 64, 65, 66, 69, 70, 71, 74, 75, 78)
    stdin = None
    clean_words = None   # of the clean run, where they are others

    def before(self, place):
        return None

    def play(self, place, binary, words, env):
        return place.execute([binary, *words], env, self.timeout, self.stdin)

    def done(self, place, before, run):
        return ""

    def after(self, place, before):
        run = place.clean(self.clean_words or self.words, self.stdin)
        if run.code != 0:
            return "a clean run ends with %s: %s" % (run.code, run.err[-300:])
        return self.done(place, before, run)


def shape(text):
    """Without what differs from run to run."""
    text = re.sub(r"\d+(\.\d+)?", "N", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"(?<=N) ?(ms|s|us|B|kB|MB)\b", "", text))


class Looks(Case):
    """Changes nothing: what it says is what it is for."""
    template = None

    def __init__(self, *words, codes=Case.codes):
        self.words = words
        self.name = " ".join(words)
        self.codes = codes

    def before(self, place):
        if self not in place.said:
            place.said[self] = shape(place.clean(self.words).out)
        return place.said[self]

    def done(self, place, before, run):
        if shape(run.out) == before or re.search(r"\b(warn|fail)\b", run.out):
            return ""
        return "it says something else:\n" + run.out[-600:] + run.err[-300:]


class Migrate(Case):
    def __init__(self, name, words, template, want, clean_words=None):
        self.name, self.words, self.template, self.want = name, words, template, want
        self.clean_words = clean_words

    def done(self, place, before, run):
        have = place.schema()
        return "" if have == place.schemas[self.want] else "the schema is another: %s" % have


class Replay(Case):
    name = "dlq replay"
    words = ("dlq", "replay", "--all", "--yes")
    template = "letters"
    topics = "letters."

    def before(self, place):
        return place.records("attempt.writes", "attempt.activity")

    def done(self, place, before, run):
        left = place.value("SELECT count(*) FROM dead_letters WHERE replayed_at IS NULL")
        letters = int(place.value("SELECT count(*) FROM dead_letters"))
        sent = place.records("attempt.writes", "attempt.activity") - before
        if sent < letters:
            return "%d of %d letters were sent" % (sent, letters)
        return "" if left == "0" else "%s letters are not noted as replayed" % left


class Discard(Case):
    name = "dlq discard"
    words = ("dlq", "discard", "1", "2", "--reason", "torture")
    template = "full"

    def done(self, place, before, run):
        have = place.value("SELECT count(*) FROM dead_letters WHERE discarded_at IS NOT NULL")
        noted = place.value("SELECT count(*) FROM audit_log WHERE action LIKE '%discard%'")
        return "" if have == "2" and noted != "0" else "%s discarded, %s noted" % (have, noted)


class Refresh(Case):
    name = "refresh"
    words = ("refresh",)
    template = "full"

    def done(self, place, before, run):
        have = place.value("SELECT count(*) FROM view_freshness WHERE as_of IS NOT NULL")
        return "" if have == "3" else "%s views of 3 were refreshed" % have


class Shows(Looks):
    """Of an attempt, or of its exam: ATTEMPT and EXAM stand for those of the place."""

    def play(self, place, binary, words, env):
        return super().play(place, binary, place.named(words), env)

    def before(self, place):
        if self not in place.said:
            place.said[self] = shape(place.clean(place.named(self.words)).out)
        return place.said[self]


class Simulate(Case):
    name = "simulate"
    words = ("simulate", "--students", "2", "--questions", "3", "--rate", "0", "--seed", "3",
             "--json")
    topics = "produced."

    def before(self, place):
        return place.records("attempt.writes", "attempt.activity")

    def done(self, place, before, run):
        sent = place.records("attempt.writes", "attempt.activity") - before
        said = re.search(r'"acknowledged":(\d+)', run.out)
        return "" if said and sent >= int(said.group(1)) else "%d records are in the log: %s" % (
            sent, run.out[:300])


class AcceptLetters(Case):
    """The operator's word for a partition that halts; it is known when it is in the ledger."""
    name = "dlq accept"
    words = ("dlq", "accept", "PREFIXattempt.writes", "0", "1000000", "--reason", "torture")
    template = "full"

    def play(self, place, binary, words, env):
        return super().play(place, binary, place.named(words), env)

    def done(self, place, before, run):
        noted = place.value("SELECT count(*) FROM audit_log WHERE action = 'dlq-accept'")
        return "" if noted != "0" else "nothing is noted in audit_log"

    def after(self, place, before):
        run = place.clean(place.named(self.words))
        if run.code != 0:
            return "a clean run ends with %s: %s" % (run.code, run.err[-300:])
        return self.done(place, before, run)


class Produce(Case):
    name = "produce"
    words = ("produce", "--quiet", "-")
    topics = "produced."

    def __init__(self, stdin):
        self.stdin = stdin
        self.lines = stdin.count("\n")

    def before(self, place):
        return place.records("attempt.writes", "attempt.activity")

    def done(self, place, before, run):
        sent = place.records("attempt.writes", "attempt.activity") - before
        return "" if sent >= self.lines else "%d of %d records are in the log" % (sent, self.lines)


class AcceptGap(Case):
    name = "accept-gap"
    words = ("accept-gap", "attempt.writes", "0", "--reason", "torture", "--yes")
    template = "gap"

    def done(self, place, before, run):
        have = place.value("SELECT generation FROM ingest_progress"
                           " WHERE topic = '%sattempt.writes' AND partition = 0" % place.prefix)
        return "" if have == "2" else "generation %s" % have

    def after(self, place, before):
        run = place.clean(self.words)
        if run.code not in (0, 65):  # 65: it was done before
            return "a clean run ends with %s: %s" % (run.code, run.err[-300:])
        return self.done(place, before, run)


class Topics(Case):
    """doctor --fix makes what is missing."""
    name = "doctor --fix"
    words = ("doctor", "--fix", "--partitions", "1")
    template = "nothing"

    def before(self, place):
        place.new_topics()

    def done(self, place, before, run):
        have = place.topics()
        missing = [t for t in TOPICS if place.prefix + t not in have]
        if place.schema() != place.schemas["empty"]:
            missing.append("the schema")
        return "missing: %s" % ", ".join(missing) if missing else ""


class Drain(Case):
    """The whole way of the log into the tables and out again."""
    timeout = 40
    slow = True
    template = "empty"

    def __init__(self, name, *more):
        self.name = name
        self.words = ("run", "--drain", "--http", "off", *more)
        self.clean_words = ("run", "--drain", "--http", "off")

    def before(self, place):
        return place.records("attempt.outcomes")

    def done(self, place, before, run):
        settled = place.value("SELECT coalesce(sum(next_offset), 0)::text || ' ' ||"
                              " coalesce(sum(published_offset), 0) FROM ingest_progress")
        if settled != "%d %d" % (place.log_records, place.log_records):
            return "settled and published: %s of %d" % (settled, place.log_records)
        audit = place.clean(("audit", "--replay"))
        if audit.code != 0:
            return "audit: " + (audit.out + audit.err)[-600:]
        told = place.records("attempt.outcomes") - before
        if told < place.outcomes:
            return "%d of %d outcomes were published" % (told, place.outcomes)
        return ""


class Serve(Drain):
    """A worker with pages, which SIGTERM ends."""
    pages = ("/metrics", "/status.json", "/readyz", "/livez", "/", "/nowhere")

    def __init__(self, name, *more):
        super().__init__(name, *more)
        self.words = ("run", *more)

    def play(self, place, binary, words, env):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        def while_running(process):
            deadline = time.monotonic() + 20
            while process.poll() is None and time.monotonic() < deadline:
                settled = place.value("SELECT coalesce(sum(published_offset), 0)"
                                      " FROM ingest_progress")
                if settled == str(place.log_records):
                    break
                time.sleep(0.2)
            answers = [self.get(port, page) for _ in range(2) for page in self.pages
                       if process.poll() is None]
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            self.answers = answers
        return place.execute([binary, *words], {**env, "ATTEMPTD_HTTP": "127.0.0.1:%d" % port},
                             self.timeout, None, while_running)

    @staticmethod
    def get(port, page):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=3) as s:
                s.sendall(b"GET %s HTTP/1.0\r\n\r\n" % page.encode())
                return s.recv(64)[:12]
        except OSError as error:
            return str(error)


def all_cases(events):
    return [
        Looks("status"), Looks("status", "--json"), Looks("doctor"), Looks("doctor", "--json"),
        Looks("audit"), Looks("audit", "--replay"),
        Looks("audit", "--replay", "--json"),
        Looks("dlq", "list"), Looks("dlq", "list", "--json"), Looks("dlq", "show", "1"),
        Looks("rejected", "list"), Looks("rejected", "show", "1"),
        Shows("show", "ATTEMPT"), Shows("show", "ATTEMPT", "--json"),
        Shows("stats", "EXAM"), Shows("stats", "EXAM", "--live", "--json"),
        Looks("run", "--print-config"), Looks("help", "run"),
        Looks("migrate", "status"), Looks("migrate", "status", "--json"),
        Looks("migrate", "validate"),
        Migrate("migrate up", ("migrate", "up"), "nothing", "empty"),
        Migrate("migrate down", ("migrate", "down"), "empty", "one_less",
                ("migrate", "down", "--to", "NEWEST - 1")),
        Migrate("migrate down --to 0", ("migrate", "down", "--to", "0"), "empty", "nothing"),
        Topics(), Replay(), Discard(), AcceptLetters(), Refresh(), Produce(events), Simulate(),
        AcceptGap(),
        Drain("run --drain"), Drain("run --drain, two workers", "--workers", "2"),
        Serve("run"), Serve("run, two workers", "--workers", "2"),
    ]
