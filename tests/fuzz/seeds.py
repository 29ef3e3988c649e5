"""Seeds for the fuzz targets, made of schemas/examples: tests/fuzz/seeds.py FOLDER, from the root."""

import glob
import json
import os
import sys

TOPICS = ["writes", "activity", "refresh"]
NAMES = ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_data_base64",
         "traceparent", "ce_traceparent", "ce_extension"]
VALUES = ["application/cloudevents+json", "application/json", "1.0"]


def put(target, name, data):
    folder = os.path.join(sys.argv[1], target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, str(name)), "wb") as file:
        file.write(data)


def as_slices(topic, headers, key, value):
    """What fuzz_envelope.c reads back."""
    out = bytes([TOPICS.index(topic), len(headers)])
    for name, text in headers:
        if name in NAMES:
            which = bytes([NAMES.index(name)])
        else:
            which, name = bytes([11]), name.encode()[:40]
        raw = (text or "").encode()[:200]
        if text is None:
            out += which + bytes([10])
        elif text in VALUES:
            out += which + bytes([VALUES.index(text)])
        else:
            out += which + bytes([11])
        # The name's bytes come before the value's.
        if which[0] == 11:
            out += bytes([len(name)]) + name
        if text is not None and text not in VALUES:
            out += bytes([len(raw)]) + raw
    if key is None:
        out += bytes([1])
    else:
        out += bytes([2, len(key)]) + key
    return out + bytes([0]) + value


def from_examples():
    for n, path in enumerate(sorted(glob.glob("schemas/examples/*/**/*.json", recursive=True))):
        with open(path) as file:
            example = json.load(file)
        value = example.get("value") if isinstance(example, dict) else None
        if not isinstance(value, dict):
            continue
        text = json.dumps(value, ensure_ascii=n % 2 == 0).encode()
        headers = [h for h in example.get("headers", []) if isinstance(h[0], str)][:8]
        key = example.get("key")
        if len(text) > 3000 or not isinstance(key, (str, type(None))):
            continue
        by_name = dict(headers)
        kind = (by_name.get("ce_type") or "").encode()[:255]
        structured = "cloudevents" in (by_name.get("content-type") or "")
        first = (1 if kind else 2 if structured else 0) * 3 + TOPICS.index(
            example.get("topic", "writes"))
        put("json", n, text)
        put("canonical", n, text)
        put("decode", n, bytes([first, len(kind)]) + kind + text)
        put("envelope", n, as_slices(example.get("topic", "writes"), headers,
                                     None if key is None else key.encode()[:64], text))
        put("record_line", n, b"\1" + text)
        data = value.get("data", value)
        for name in ("saved_at", "started_at", "submitted_at", "deadline_at"):
            if isinstance(data, dict) and isinstance(data.get(name), str):
                put("rfc3339", "%d-%s" % (n, name), data[name].encode())


def from_suite():
    """What the usual test suite of JSON has, as far as it is text."""
    with open("tests/unit/json_suite/test_parsing.json") as file:
        for case in json.load(file):
            text = case.get("text", "").encode("utf-8", "surrogateescape")
            if 0 < len(text) <= 4096:
                put("json", case["name"], text)
                put("canonical", case["name"], text)


def by_hand():
    # Where one range of code points ends and the next begins, alone and in pairs.
    for n, escapes in enumerate(["\\u007f\\u0080", "\\u07ff\\u0800", "\\ud7ff\\ue000\\uffff",
                                 "\\ud800\\udc00", "\\udbff\\udfff", "\\b\\f\\n\\r\\t\\/"]):
        put("json", "escapes-%d" % n, ('["%s"]' % escapes).encode())
        put("json", "key-%d" % n, ('{"%s":1,"a":2}' % escapes).encode())
    for n, text in enumerate(["\\udc00", "\\udfff", "\\ud800", "\\ud800\\ud800", "\\u0000"]):
        put("json", "no-escape-%d" % n, ('["%s"]' % text).encode())
    put("json", "same-keys", b'{"a":1,"\\u0061":2}')
    put("json", "same-nested", b'{"a":{"b/":1,"b\\/":2}}')
    put("json", "deep", b"[" * 64 + b"]" * 64)
    put("json", "deeper", b"[" * 65 + b"]" * 65)
    put("json", "digits", b"[" + b"1" * 300 + b",1e250,1e-250]")
    put("json", "more-digits", b"[" + b"1" * 301 + b"]")
    put("conf", 1, b"# c\ntext = bc\nnumber = 7\non = true\nkafka.acks = all\n")
    put("record_line", "record", b'\0{"topic":"dev.view.refresh","key":null,"partition":3,'
        b'"headers":[["a","b"],["\\u0061",null]],"value_base64":"AAEC"}')
    put("record_line", "object", b'\0{"topic":"attempt.writes","key_base64":"/w==",'
        b'"headers":{"a":"b","\\u0061":null},"value":{"a" : [1]}}')
    for n, number in enumerate(["-0", "1.50", "0.0e9", "100e-2", "1e21", "-12.5E+1", "0.00001"]):
        put("canonical", "number-%d" % n, ("[%s]" % number).encode())
    for n, text in enumerate(["\u00e9\u20ac\U0001f600\uffff", "\x1b[2J\r\n\t\\\"\x7f\u009b"]):
        put("utf8", n, text.encode())
    for n, raw in enumerate([b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]):
        put("utf8", "bad-%d" % n, raw)
    for path in glob.glob("migrations/000[12]*.sql"):
        with open(path, "rb") as file:
            text = file.read()
        put("sql_text", os.path.basename(path), b"\1" + text[:4000])
    put("sql_text", "files", b"\1" + b"0001_a.sql\0-- migrate:up\nSELECT 1;\n-- migrate:down\n"
        b"SELECT 2;\0R__b.sql\0-- migrate:up transaction:false\nSELECT 1;-- migrate:down\nSELECT 2")
    put("sql_text", "built", bytes(range(0, 60)))


from_examples()
from_suite()
by_hand()
