#!/usr/bin/env python3
"""Holds the model's own decoder to schemas/examples, so that a difference in an end-to-end test is
the worker's or the contract's, and not the model's."""

import base64
import hashlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

from events import Dead, canonical, decode, strict_json

EXAMPLES = Path(__file__).resolve().parents[2] / "schemas" / "examples"


def joined(parts):
    """Long texts are written as parts: texts and repetitions."""
    if isinstance(parts, str):
        return parts
    return "".join(p if isinstance(p, str) else p["repeat"] * p["times"] for p in parts)


def record_of(example):
    if "base64" in example:
        value = base64.b64decode(example["base64"])
    elif "text" in example or "parts" in example:
        value = joined(example.get("text", example.get("parts"))).encode()
    elif "value" in example:
        value = json.dumps(example["value"], ensure_ascii=False).encode()
    else:
        value = b""
    if example.get("tombstone"):
        value = None
    key = example.get("key")
    if "key_base64" in example:
        key = base64.b64decode(example["key_base64"])
    elif key is not None:
        key = joined(key).encode()
    headers = [tuple(h) for h in example.get("headers", [])]
    return SimpleNamespace(key=key, value=value, headers=headers)


def main():
    wrong = checked = 0
    for path in sorted(EXAMPLES.glob("valid/*.json")) + sorted(EXAMPLES.glob("invalid/*/*.json")):
        example = json.loads(path.read_bytes())
        if example["topic"] not in ("writes", "activity"):
            continue
        checked += 1
        want = example["expect"].get("reason")
        try:
            decode(example["topic"], record_of(example))
            have = {None}
        except Dead as dead:
            have = dead.reasons
        if want not in have:
            wrong += 1
            print("%s: should be %s, is %s" % (path.relative_to(EXAMPLES), want, sorted(
                have, key=str)))
    for path in sorted(EXAMPLES.glob("digests/*.json")):
        for vector in json.loads(path.read_bytes()):
            checked += 1
            text = canonical(strict_json(vector["answers"].encode()))
            digest = hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
            if (text, digest) != (vector["canonical"], vector["digest"]):
                wrong += 1
                print("%s: %s gives %s" % (path.name, vector["note"], text))
    print("the model agrees with %d of %d examples" % (checked - wrong, checked))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
