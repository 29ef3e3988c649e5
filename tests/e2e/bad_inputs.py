"""Bad input, case by case: what arrives, what becomes of it, and the sentence of the contract that
says so. scenarios/bad_inputs.sh sends all of it through Kafka, a worker and PostgreSQL, between
good saves of a witness in the same partition.

A row is case(NUMBER, WHAT, SAYS, records...), or elsewhere(NUMBER, WHAT, WHERE) for what is not a
record that a producer can send. Records of a case go to one partition in this order. In a record's
bytes @A@ and @B@ are two attempts of the case, @E@ is a new id for each record, @F@ one id for the
whole case, @S@ a student, @X@ an exam. The key is @A@ unless another is given.
"""

import json
from dataclasses import dataclass, field

AT = "2026-05-01T10:00:00Z"


@dataclass
class Record:
    outcome: str  # applied, duplicate, stale, late, dead
    reason: str  # of a dead or late one
    value: bytes
    key: bytes = b"@A@"
    headers: tuple = ()
    topic: str = "attempt.writes"
    gap: bool = False


@dataclass
class Case:
    number: int
    what: str
    says: str
    records: list = field(default_factory=list)
    where: str = ""


CASES = []


def case(number, what, says, *records):
    CASES.append(Case(number, what, says, list(records)))


def elsewhere(number, what, where):
    CASES.append(Case(number, what, "", where=where))


def raw(value):
    return value.encode() if isinstance(value, str) else value


def event(kind="attempt.saved.v1", data="", version="1", id='"@E@"', attempt='"@A@"', more="",
          at='"%s"' % AT, answers='{"q":"A"}', around=""):
    """A bare event, of pieces of JSON text; a piece that is None is left out."""
    time = {"attempt.started.v1": "started_at", "attempt.submitted.v1": "submitted_at"}
    members = [] if data else [
        pair for pair in (("attempt_id", attempt), ("expected_version", version),
                          (time.get(kind, "saved_at"), at), ("answers", answers)) if pair[1]]
    data = data or "{%s%s}" % (",".join('"%s":%s' % pair for pair in members), more)
    head = '"type":%s' % json.dumps(kind) + (',"id":%s' % id if id else "")
    return '{%s,"data":%s%s}' % (head, data, around)


def submit(**pieces):
    return event("attempt.submitted.v1", **pieces)


def started(**pieces):
    return event("attempt.started.v1", version=None, answers=None,
                 more=',"exam_id":"@X@","student_id":"@S@"', **pieces)


def activity(more="", count=1, name='"answer_changed"', key=b"@A@"):
    items = ",".join('{"event_id":"@E%d@","event_type":%s,"occurred_at":"%s"%s}' % (n, name, AT, more)
                     for n in range(count))
    text = '{"type":"attempt.activity.v1","id":"@E@","data":{"attempt_id":"@A@","events":[%s]}}'
    return dict(value=raw(text % items), topic="attempt.activity", key=key)


def dead(reason, value, **rest):
    return Record("dead", reason, **{"value": raw(value), **rest}) if not isinstance(
        value, dict) else Record("dead", reason, **value, **rest)


def good(outcome, value, reason="", **rest):
    if isinstance(value, dict):
        return Record(outcome, reason, **value, **rest)
    return Record(outcome, reason, raw(value), **rest)


def applied(value, **rest):
    return good("applied", value, **rest)


def binary(**over):
    """Headers of a save as a binary CloudEvent; a header given as a list comes so often."""
    headers = {"specversion": "1.0", "id": "@E@", "source": "/test", "type": "attempt.saved.v1",
               **over}
    return tuple(("ce_" + name, raw(text)) for name, texts in headers.items()
                 for text in (texts if isinstance(texts, list) else [texts]))


DATA = '{"attempt_id":"@A@","expected_version":1,"answers":{"q":"A"},"saved_at":"%s"}' % AT


def answer(text):
    """A save with one answer of that JSON text."""
    return event(answers='{"q":%s}' % text)


def nested(depth):
    """A save whose data is nested so deep: data and answers are two of the levels."""
    return answer("[" * (depth - 2) + "]" * (depth - 2))


REFUSED = "1.3: Refused at any depth: "
LIMITS = "1.3: Limits, settable: "
REQUIRED = "1.3: Required members must be there and not null"
UUIDS = "1.3: UUIDs in canonical lower-case form everywhere, the nil UUID refused"
VERSIONS = "1.3: expected_version is an integer without fraction or exponent, 1 <= e <= 2^63 - 2"
TIMES = "1.3: Times are RFC 3339 ... written year 2000-2099. No date words"
KEYS = "1.6: a record that carries ... another key than its attempt id ... is dead too"
UNKNOWN_TYPE = "1.6: an unknown type is dead too"
SIGNATURES = "2.6: Off, permissive or strict by setting: what is off is not looked at"

case(1, "no value (a tombstone)", "1.6: A record that carries no value is dead too",
     dead("tombstone", None), dead("tombstone", None, key=None),
     dead("tombstone", None, topic="attempt.activity"))
case(2, "an empty value", "1.3: reason codes: empty", dead("empty", b""),
     dead("empty", b"", topic="attempt.activity", headers=binary()))
case(3, "nothing but white space", "1.3: reason codes: empty", dead("empty", b" \t\r\n "))
case(4, "JSON, but no object", "1.3: Accepted forms: all three are objects",
     dead("json", "[]"), dead("json", '"x"'), dead("json", "1"), dead("json", "null"),
     dead("json", "[]", headers=binary()))
case(5, "cut off", REFUSED + "literals that are not JSON", dead("json", event()[:-1]),
     dead("json", event()[:40]), dead("json", "{"), dead("json", answer('"\\u12')))
case(6, "something behind the object", REFUSED + "bytes after the end", dead("json", event() + "x"),
     dead("json", event() + "\0"), dead("json", event() + ","))
case(7, "two objects", REFUSED + "bytes after the end", dead("json", event() * 2),
     dead("json", event() + "\n" + event()))
case(8, "a byte order mark in front", REFUSED + "literals that are not JSON",
     dead("json", b"\xef\xbb\xbf" + event().encode()))
case(9, "invalid UTF-8", REFUSED + "invalid UTF-8",
     dead("utf8", event().encode().replace(b'"A"', b'"\xff"')),
     dead("utf8", event().encode().replace(b'"A"', b'"\x80"')),
     dead("utf8", event().encode().replace(b'"q"', b'"\xc3"')))
case(10, "an overlong encoding", REFUSED + "invalid UTF-8",
     dead("utf8", event().encode().replace(b'"A"', b'"\xc0\x80"')))
case(11, "a surrogate in UTF-8", REFUSED + "invalid UTF-8",
     dead("utf8", event().encode().replace(b'"A"', b'"\xed\xa0\x80"')))
case(12, "another encoding", REFUSED + "invalid UTF-8, literals that are not JSON",
     dead("utf8", event().encode("utf-16")), dead("json", event().encode("utf-16-le")),
     dead("utf8", answer('"\u00e9"').encode("latin-1")))
case(13, "a NUL byte in a string", REFUSED + "literals that are not JSON", dead("json", answer('"a\0b"')))
case(14, "\\u0000", REFUSED + "\\u0000", dead("json", answer('"\\u0000"')),
     dead("json", event(answers='{"\\u0000":1}')),
     dead("json", event(more=',"unknown":{"deep":["\\u0000"]}')))
case(15, "half a surrogate pair", REFUSED + "lone surrogates", dead("json", answer('"\\ud800"')),
     dead("json", answer('"\\udc00"')), dead("json", answer('"\\ud800\\u0041"')))
case(16, "a control character in a string", REFUSED + "literals that are not JSON",
     dead("json", answer('"\x01"')), dead("json", answer('"\n"')))
case(17, "nested too deep", LIMITS + "depth of data <= 32, its outermost object counting 1; value <= 1 MiB",
     dead("depth", nested(33)), dead("depth", nested(1000)), dead("depth", nested(20000)),
     dead("depth", "[" * 500000), dead("limits", "[" * 5000000), applied(nested(32)))
case(18, "too many keys", LIMITS + "<= 5,000 answer keys; value <= 1 MiB",
     dead("limits", event(answers="{%s}" % ",".join('"k%d":1' % n for n in range(5001)))),
     dead("limits", event(answers="{%s}" % ",".join('"%x":1' % n for n in range(100000)))),
     dead("limits", event(answers="{%s}" % ",".join('"%x":1' % n for n in range(300000)))),
     applied(event(answers="{%s}" % ",".join('"k%d":1' % n for n in range(5000)))))
case(19, "a key twice", REFUSED + "duplicate keys (compared after unescaping)",
     dead("duplicate_key", event(more=',"expected_version":2')),
     dead("duplicate_key", event(answers='{"q":1,"\\u0071":1}')),
     dead("duplicate_key", event(more=',"unknown":[{"a":1,"a":1}]')),
     dead("duplicate_key", event(around=',"id":"@E@"')))
case(20, "a key in another case", REQUIRED,
     dead("missing", event(version=None, more=',"Expected_Version":1')))
case(21, "unknown members", "1.3: Unknown members are ignored, in data and envelope",
     applied(event(more=',"later":{"a":[1]}', around=',"later":"x"')))
case(22, "an unknown type", UNKNOWN_TYPE, dead("type", event("attempt.renamed.v1")),
     dead("type", event("attempt.activity.v1")), dead("type", event(), topic="attempt.activity"),
     dead("type", DATA, headers=binary(type="")))
case(23, "a type that is not quite one", UNKNOWN_TYPE, dead("type", event("attempt.submitted.v1 ")),
     dead("type", event("ATTEMPT.SUBMITTED.V1")), dead("type", event("attempt.saved.v1\n")))
case(24, "another version of the schema", UNKNOWN_TYPE + "; 1.3: CloudEvents need specversion 1.0",
     dead("type", event("attempt.saved.v0")), dead("type", event("attempt.saved.v99")),
     dead("type", event("attempt.saved")), dead("envelope", DATA, headers=binary(specversion="1")),
     dead("envelope", DATA, headers=binary(specversion="99")))
case(25, "no attempt id", REQUIRED, dead("missing", event(attempt=None)),
     dead("missing", event(attempt="null")))
case(26, "an attempt id that is no UUID", UUIDS, dead("uuid", event(attempt='"7"'), key=b"7"),
     dead("uuid", event(attempt="7"), key=b"7"), dead("uuid", event(attempt='""'), key=b""))
case(27, "a UUID in another spelling", UUIDS,
     dead("uuid", event(attempt='"0AA8F6A4-6B4E-4B7E-9B1C-1D2F3A4B5C6D"'),
          key=b"0AA8F6A4-6B4E-4B7E-9B1C-1D2F3A4B5C6D"),
     dead("uuid", event(attempt='"{@A@}"'), key=b"{@A@}"),
     dead("uuid", event(attempt='"0aa8f6a46b4e4b7e9b1c1d2f3a4b5c6d"'),
          key=b"0aa8f6a46b4e4b7e9b1c1d2f3a4b5c6d"))
case(28, "the UUIDs of zeros and of ones", UUIDS + " (and no other)",
     dead("uuid", event(attempt='"00000000-0000-0000-0000-000000000000"'),
          key=b"00000000-0000-0000-0000-000000000000"),
     applied(event(attempt='"ffffffff-ffff-ffff-ffff-ffffffffffff"'),
             key=b"ffffffff-ffff-ffff-ffff-ffffffffffff"))
case(29, "an attempt id of a megabyte", UUIDS, dead("uuid", event(attempt='"%s"' % ("a" * 1000000))))
case(30, "no key", KEYS, dead("key", event(), key=None), dead("key", event(), key=b""))
case(31, "another key", KEYS, dead("key", event(), key=b"@B@"), dead("key", event(), key=b"@A@ "),
     dead("key", activity(key=b"@B@")))
case(32, "a key with a NUL, or of 64 KB", KEYS, dead("key", event(), key=b"@A@\0"),
     dead("key", event(), key=b"\0" * 36), dead("key", event(), key=b"k" * 65536))
case(33, "no version, null, or in quotes", REQUIRED + "; " + VERSIONS,
     dead("missing", event(version=None)), dead("missing", event(version="null")),
     dead("version", event(version='"5"')), dead("version", event(version="[1]")))
case(34, "a version below 1", VERSIONS, dead("version", event(version="0")),
     dead("version", event(version="-1")), dead("version", event(version="-0")),
     dead("version", event(version="-9223372036854775808")))
case(35, "a version that is no plain integer, or too large", VERSIONS,
     dead("version", event(version="9223372036854775808")),
     dead("version", event(version="18446744073709551616")),
     dead("version", event(version="18446744073709551617")), dead("version", event(version="1e3")),
     dead("version", event(version="1.0")), dead("version", event(version="9" * 20)))
case(36, "a version far ahead", VERSIONS + ", and not more than 1,000,000 ahead of the row",
     dead("version", event(version="9223372036854775807")),
     dead("version_jump", event(version="9223372036854775806")),
     dead("version_jump", event(version="1000002")), applied(event(version="1000001"), gap=True),
     dead("version_jump", event(version="2000003")))
case(37, "the same event again", "1.4: duplicate: an event id that this attempt has already applied",
     applied(event(id='"@F@"')), good("duplicate", event(id='"@F@"')),
     applied(event(version="2")), good("duplicate", event(id='"@F@"')))
case(38, "the same version by another event", "1.4: stale: e < v and not a duplicate",
     applied(event()), good("stale", event(answers='{"q":"B"}')))
case(39, "a lower version", "1.4: stale: e < v and not a duplicate", applied(event()),
     applied(event(version="2")), applied(event(version="3")), good("stale", event(version="2")),
     good("stale", event(version="1")))
case(40, "a gap", "1.4: e > v is a gap: it is applied and counted", applied(event(version="5"), gap=True),
     applied(event(version="9"), gap=True), good("stale", event(version="7")))
case(41, "no event id, or a wrong one", "1.3: a bare event needs type, id and data alone; " + UUIDS,
     dead("missing", event(id=None)), dead("missing", event(id="null")),
     dead("uuid", event(id='"7"')), dead("uuid", event(id="7")),
     dead("uuid", event(id='"00000000-0000-0000-0000-000000000000"')),
     dead("uuid", DATA, headers=binary(id="7")))
case(42, "an event id on two attempts", "1.4: Event ids are remembered per attempt",
     applied(event(id='"@F@"')), applied(event(id='"@F@"', attempt='"@B@"'), key=b"@B@"))
case(43, "a save behind the submit", "1.4: late: the attempt is already submitted",
     applied(event()), applied(submit(version="2")), good("late", event(version="3"), "after_submit"),
     good("late", event(version="1"), "after_submit"))
case(44, "a submit twice", "1.4: remembered ... the submit's for ever",
     applied(submit(id='"@F@"')), *[good("late", event(version="2"), "after_submit")] * 17,
     good("duplicate", submit(id='"@F@"')))
case(45, "a second submit with other answers", "1.4: Two submits: the first stands",
     applied(submit(id='"@F@"')), good("late", submit(version="2", answers='{"q":"B"}'), "after_submit"),
     good("late", submit(answers='{"q":"B"}'), "after_submit"),
     good("duplicate", submit(id='"@F@"', answers='{"q":"C"}')))
case(46, "a submit that skips versions", "1.4: submissions.missing say how many versions it skipped",
     applied(submit(version="4"), gap=True), good("late", event(version="2"), "overtaken"),
     good("late", event(version="5"), "after_submit"))
case(47, "a submit of an attempt that nobody knows", "1.4: a save or submit for an attempt that the table "
     "does not know makes its row", applied(submit()), applied(started()), good("duplicate", started()),
     dead("start_conflict", started().replace("@S@", "@B@")))
case(48, "answers that are no object, or too long", "1.3: answers and auto_save_data are objects; value <= 1 MiB",
     dead("json", event(answers="[]")), dead("json", event(answers='"x"')),
     dead("json", event(more=',"auto_save_data":[]')),
     dead("limits", answer('"%s"' % ("x" * 2000000))))
case(49, "1e400000", LIMITS + "numbers as written: exponent within +-1000", dead("number", answer("1e400000")),
     dead("number", answer("-1e-400000")))
case(50, "1e100000", LIMITS + "numbers as written: exponent within +-1000", dead("number", answer("1e100000")),
     dead("number", answer("1e1001")), dead("number", answer("1E-1001")), applied(answer("1e1000")),
     applied(event(version="2", answers='{"q":1e-1000,"z":-0,"d":12.50}')))
case(51, "numbers that JSON does not know", REFUSED + "numbers and literals that are not JSON",
     *(dead("json", answer(text)) for text in
       ("NaN", "Infinity", "-Infinity", "+1", ".5", "5.", "0x10", "01", "1e", "-", "tru", "nul", "True")))
case(52, "an integer of 10,000 digits", LIMITS + "numbers as written: <= 1,000 digits",
     dead("number", answer("9" * 10000)), dead("number", answer("9" * 1001)),
     dead("number", answer("9" * 500 + "." + "9" * 501)), applied(answer("9" * 1000)),
     applied(event(version="2", answers='{"q":%s.%se-1000}' % ("9" * 500, "9" * 500))))
case(53, "date words", TIMES, *(dead("time", event(at='"%s"' % word)) for word in
                                ("now", "infinity", "-infinity", "epoch", "today", "allballs", "")))
case(54, "no time that ever was", TIMES, *(dead("time", event(at='"%s"' % text)) for text in (
    "2026-02-30T00:00:00Z", "2026-05-01T24:00:00Z", "2026-05-01T23:59:60Z", "0000-01-01T00:00:00Z",
    "300000-01-01T00:00:00Z", "2026-05-01T10:00:00", "2026-05-01T10:00:00 Europe/Berlin",
    "2026-05-01 10:00:00Z", "2026-05-01t10:00:00z", "2026-05-01T10:00:00.Z",
    "2026-05-01T10:00:00.1234567890Z", "2026-05-01T10:00:00+24:00", "2100-01-01T00:00:00Z")),
     dead("time", event(at="1777629600")))
case(55, "a clock that is wrong by years", TIMES + "; 1.7: no order between times",
     applied(event(at='"2036-05-01T10:00:00Z"')), applied(event(version="2", at='"2099-12-31T23:59:59Z"')),
     dead("time", event(version="3", at='"1970-01-01T00:00:00Z"')))
elsewhere(56, "a record's own timestamp, absent or in the future",
          "the decoder is not given it; tests/kafka/test_source.c reads records of any timestamp")
case(57, "text that means something to somebody else", "1.4: Answers merge: as they are",
     applied(event(answers=json.dumps({"'; DROP TABLE attempts;--": "$1", "\\": "%n%s", "{{x}}": "${HOME}",
                                       "q": "CANARY-7261", "<b>": "`id`", "--": "/*", "$$": "\\x00"}))))
case(58, "escape sequences in ids and headers", UUIDS,
     dead("uuid", event(attempt='"\\u001b[2J"'), key=b"\x1b[2J"), dead("uuid", DATA, headers=binary(id="\x1b[2J\n")),
     dead("type", DATA, headers=binary(type="\u202eattempt.saved.v1")))
case(59, "a header twice", "1.3: CloudEvents need specversion, id, source, type: of two neither is the one",
     dead("envelope", DATA, headers=binary(id=["@E@", "@F@"])),
     dead("envelope", DATA, headers=binary(type=["attempt.saved.v1"] * 2)),
     dead("envelope", event(), headers=(("content-type", b"application/json"),) * 2),
     dead("envelope", event(), headers=(("ce_extension", b"a"),)),
     applied(DATA, headers=binary(extension=["a", "b"])))
case(60, "10,000 headers, or one of a megabyte", "1.3: Unknown members are ignored, in data and envelope",
     applied(DATA, headers=binary(x=["y"] * 10000)),
     applied(DATA.replace(':1,', ':2,'), headers=binary(x="y" * 900000)),
     dead("json", "x", headers=binary(x=["y"] * 10000)))
case(61, "no signature", SIGNATURES, applied(submit()))
case(62, "a signature of rubbish", SIGNATURES,
     applied(DATA, headers=binary(signature="!!", keyid="k")),
     applied(DATA.replace(':1,', ':2,'), headers=binary(signature="A" * 88, keyid="k")))
for number, what in ((63, "a signature of other bytes"), (64, "a signature of another topic, key or type"),
                     (65, "a key id that nobody knows"), (66, "a key that has expired"),
                     (67, "200 key ids")):
    elsewhere(number, what, "signatures are not built yet: their headers are ignored (case 62)")
case(68, "as long as a value may be, and one byte longer", LIMITS + "value <= 1 MiB",
     applied(event(answers='{"q":"@PAD@"}') + "@TO1048576@"),
     dead("limits", event(version="2", answers='{"q":"@PAD@"}') + "@TO1048577@"))
case(69, "a few kilobytes on the wire that become 24 MB", LIMITS + "value <= 1 MiB",
     dead("limits", "[" * (24 << 20)))
elsewhere(70, "a snappy header that claims 4 GB", "no producer can send it (the broker refuses the batch); a "
          "broker that does is memory's and the supervisor's affair: tests/unit/test_supervise.c")
elsewhere(71, "a batch with a wrong checksum", "tests/kafka/test_source.c: the partition halts (corrupt)")
elsewhere(72, "a batch of another format", "tests/kafka/test_source.c: the partition halts (corrupt)")
elsewhere(73, "records of an aborted transaction", "tests/kafka/test_source.c: they are not read")
elsewhere(74, "a gap of offsets within the log", "tests/kafka/test_source.c: control records; tests/sim")
elsewhere(75, "an offset lower than expected", "tests/sim: a source that reads again after each assignment")
case(76, "10,000 saves of one attempt in a row", "2.2: The flush writes one row per attempt",
     *(applied(event(version=str(n), answers='{"q%d":%d}' % (n % 50, n))) for n in range(1, 10001)))
case(77, "3,000 attempts with one save each", "2.3: Back-pressure is not draining the queues",
     *(applied(event(attempt='"@A%d@"' % n), key=b"@A%d@" % n) for n in range(3000)))
case(78, "characters of all kinds", "1.4: Answers merge: as they are",
     applied(event(answers=json.dumps({"q": "\U0001f600 e\u0301 \uffff \u202e \x7f \u2028", "\U0001f600": ""},
                                      ensure_ascii=False))))
case(79, "6,000 levels, which PostgreSQL would take", LIMITS + "depth of data <= 32", dead("depth", nested(6000)),
     dead("depth", event(more=',"auto_save_data":%s1%s' % ('{"a":' * 40, "}" * 40))))
case(80, "text too long for an index", LIMITS + "answer keys, each 1-256 bytes of UTF-8 after unescaping; 1.3: "
     "event_type has 1-256 bytes", dead("limits", event(answers='{"%s":1}' % ("k" * 9000))),
     dead("limits", activity(name='"%s"' % ("t" * 9000))),
     applied(submit(answers='{"%s":"x"}' % ("\u00e9" * 128))))
case(81, "names that mean something to somebody else, and long ones", LIMITS + "answer keys, each 1-256 bytes",
     applied(event(answers='{"__proto__":{"a":1},"constructor":1,"":1}'.replace(',"":1', ""))),
     dead("limits", event(version="2", answers='{"":1}')),
     dead("limits", event(version="2", answers='{"%s":1}' % ("k" * 257))),
     dead("limits", activity(name='""')), applied(activity(name='"%s"' % ("t" * 256))))
case(82, "rubbish in the topics that the worker writes", "1.2: out: nobody reads it there",
     *(Record("ignored", "", b"rubbish", b"k", topic=topic)
       for topic in ("cache.invalidations", "attempt.outcomes")))
