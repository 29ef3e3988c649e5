"""What a record means: DESIGN 1.3, written a second time and apart from the worker's decoder.

decode() gives an Event, or raises Dead with the reasons that the contract allows for the defect
(where the contract does not name one, more than one may do). Numbers stay as they were written
(Num), so that nothing is lost before the canonical text is made.
"""

import json
import re
from datetime import datetime, timezone

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NIL = "00000000-0000-0000-0000-000000000000"
TIME = re.compile(
    r"(20\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", re.ASCII)
VERSION_MAX = 2**63 - 2
VALUE_BYTES_MAX = 1 << 20
DEPTH_MAX = 32
KEYS_MAX = 5000
NAME_BYTES_MAX = 256
EVENTS_MAX = 1000

TYPES = {
    "writes": {"attempt.started.v1", "attempt.saved.v1", "attempt.submitted.v1"},
    "activity": {"attempt.activity.v1"},
}
REQUIRED = ("specversion", "id", "source", "type")
STRUCTURED = "application/cloudevents+json"


class Dead(Exception):
    def __init__(self, reasons, event_id=None, attempt_id=None):
        super().__init__(reasons)
        self.reasons = set(reasons.split())
        self.event_id = event_id
        self.attempt_id = attempt_id


class Num(str):
    """A JSON number as it was written."""

    __slots__ = ()


class Event:
    __slots__ = ("type", "id", "attempt_id", "data", "source_ids")

    def __init__(self, kind, event_id, data):
        self.type = kind
        self.id = event_id
        self.data = data
        self.attempt_id = data["attempt_id"]


def strict_json(raw):
    """Bytes to Python values; refuses what the contract refuses at any depth, but for depth."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Dead("utf8")

    def pairs(items):
        members = dict(items)
        if len(members) != len(items):
            raise Dead("duplicate_key")
        return members

    def constant(_):
        raise Dead("json number")

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_int=Num, parse_float=Num,
                           parse_constant=constant)
    except RecursionError:
        raise Dead("depth json")
    except ValueError:
        raise Dead("json number utf8")
    if "\\u" in text:
        refuse_bad_characters(value)
    return value


def refuse_bad_characters(value):
    if isinstance(value, Num):
        return
    if isinstance(value, str):
        if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            raise Dead("utf8 json")
    elif isinstance(value, dict):
        for name, member in value.items():
            refuse_bad_characters(name)
            refuse_bad_characters(member)
    elif isinstance(value, list):
        for member in value:
            refuse_bad_characters(member)


def check_numbers_and_depth(value, depth):
    if isinstance(value, Num):
        sign, whole, fraction, exponent = NUMBER.fullmatch(value).groups()
        if len(whole) + len(fraction or "") > 1000 or abs(int(exponent or 0)) > 1000:
            raise Dead("number limits")
    elif isinstance(value, (dict, list)):
        if depth > DEPTH_MAX:
            raise Dead("depth")
        for member in value.values() if isinstance(value, dict) else value:
            check_numbers_and_depth(member, depth + 1)


def member(data, name, kind, optional=False):
    value = data.get(name)
    if value is None:
        if optional:
            return None
        raise Dead("missing")
    if not (is_text(value) if kind is str else isinstance(value, kind)):
        raise Dead("type uuid time version json")
    return value


def check_uuid(text):
    if not UUID.fullmatch(text) or text == NIL:
        raise Dead("uuid")
    return text


def micros(text):
    """RFC 3339 to microseconds since 1970, truncated."""
    found = TIME.fullmatch(text)
    if not found:
        raise Dead("time")
    year, month, day, hour, minute, second = (int(g) for g in found.groups()[:6])
    fraction, zone = found.group(7) or "", found.group(8)
    try:
        base = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise Dead("time")
    offset = 0
    if zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 23 or minutes > 59:
            raise Dead("time")
        offset = (hours * 60 + minutes) * 60 * (-1 if zone[0] == "-" else 1)
    since = base - datetime(1970, 1, 1, tzinfo=timezone.utc)
    seconds = since.days * 86400 + since.seconds - offset
    return seconds * 1000000 + int(fraction.ljust(6, "0")[:6])


def is_text(value):
    return isinstance(value, str) and not isinstance(value, Num)


def envelope(key, value, headers):
    """The three forms; returns type, id, data."""
    names = [name for name, _ in headers]
    content = [text or "" for name, text in headers if name == "content-type"]
    if len(content) > 1 or any(names.count("ce_" + name) > 1 for name in REQUIRED):
        raise Dead("envelope")
    content = "".join(content).split(";")[0].strip().lower()
    if content.startswith("application/cloudevents") and content != STRUCTURED:
        raise Dead("envelope")
    if content == STRUCTURED:
        attributes = strict_json(value)
        form = "structured"
    elif any(name.startswith("ce_") for name in names):
        attributes = {name[3:]: text for name, text in headers if name.startswith("ce_")}
        data = strict_json(value)
        form = "binary"
    else:
        attributes = strict_json(value)
        form = "bare"
    if not isinstance(attributes, dict):
        raise Dead("json type envelope")
    # The contract limits the depth of data; schemas/ takes it for every member of the envelope.
    for value in attributes.values():
        check_numbers_and_depth(value, 1)
    if "data_base64" in attributes:
        raise Dead("envelope")
    if form != "binary":
        data = attributes.get("data")
    if form != "bare":
        for name in ("specversion", "source"):
            if not attributes.get(name) or not is_text(attributes[name]):
                raise Dead("envelope")
        if attributes["specversion"] != "1.0":
            raise Dead("envelope")
    for name in ("type", "id"):
        if not is_text(attributes.get(name)):
            raise Dead("envelope missing type uuid")
    if data is None:
        raise Dead("missing json")
    if not isinstance(data, dict):
        raise Dead("type json")
    return attributes["type"], attributes["id"], data


def check_data(kind, data):
    if kind == "attempt.started.v1":
        check_uuid(member(data, "exam_id", str))
        check_uuid(member(data, "student_id", str))
        micros(member(data, "started_at", str))
        deadline = member(data, "deadline_at", str, optional=True)
        if deadline is not None:
            micros(deadline)
    elif kind == "attempt.activity.v1":
        events = member(data, "events", list)
        if not events:
            raise Dead("missing limits type")
        if len(events) > EVENTS_MAX:
            raise Dead("limits")
        for item in events:
            if not isinstance(item, dict):
                raise Dead("json type")
            check_uuid(member(item, "event_id", str))
            if not 1 <= len(member(item, "event_type", str).encode()) <= NAME_BYTES_MAX:
                raise Dead("limits")
            micros(member(item, "occurred_at", str))
    else:
        version = member(data, "expected_version", Num)
        if not re.fullmatch(r"-?\d+", version) or not 1 <= int(version) <= VERSION_MAX:
            raise Dead("version")
        answers = member(data, "answers", dict, optional=True) or {}
        if len(answers) > KEYS_MAX:
            raise Dead("limits")
        for name in answers:
            if not 1 <= len(name.encode("utf-8", "surrogatepass")) <= NAME_BYTES_MAX:
                raise Dead("limits")
        member(data, "auto_save_data", dict, optional=True)
        micros(member(data, "saved_at" if kind == "attempt.saved.v1" else "submitted_at", str))


def decode(topic, record):
    key, value, headers = record.key, record.value, record.headers
    event_id = attempt_id = None
    try:
        if value is None:
            raise Dead("tombstone")
        if not value.strip(b" \t\r\n"):
            raise Dead("empty")
        if len(value) > VALUE_BYTES_MAX:
            raise Dead("limits")
        kind, event_id, data = envelope(key, value, headers)
        attempt_id = data.get("attempt_id")
        if kind not in TYPES[topic]:
            raise Dead("type")
        check_uuid(event_id)
        check_uuid(member(data, "attempt_id", str))
        check_numbers_and_depth(data, 1)
        check_data(kind, data)
        if key is None or key != attempt_id.encode():
            raise Dead("key")
        return Event(kind, event_id, data)
    except Dead as dead:
        dead.event_id, dead.attempt_id = event_id, attempt_id
        raise


def canonical_number(text):
    sign, whole, fraction, exponent = NUMBER.fullmatch(text).groups()
    digits = (whole + (fraction or "")).lstrip("0")
    point = len(fraction or "") - int(exponent or 0)  # digits after the point
    if not digits:
        return "0"
    if point <= 0:
        return sign + digits + "0" * -point
    digits = digits.rjust(point + 1, "0")
    whole, fraction = digits[:-point], digits[-point:].rstrip("0")
    return sign + whole + ("." + fraction if fraction else "")


SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def canonical_string(text):
    return '"' + "".join(
        SHORT.get(c) or ("\\u%04x" % ord(c) if c < " " else c) for c in text) + '"'


def canonical(value):
    """The canonical text of DESIGN 1.6, over which answers_digest is made."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, Num):
        return canonical_number(value)
    if isinstance(value, str):
        return canonical_string(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    members = sorted(value.items(), key=lambda item: item[0].encode())
    return "{" + ",".join(canonical_string(k) + ":" + canonical(v) for k, v in members) + "}"


assert canonical_number("-0.00") == "0" and canonical_number("1.50e3") == "1500"
assert canonical_number("12e-4") == "0.0012" and canonical_number("-10.250") == "-10.25"
