#!/usr/bin/env python3
"""Holds a stock JSON Schema validator to the corpus that the decoder is tested with.

Every file of schemas/examples is read as a record, wrapped and validated as schemas/README.md says.
A valid one must pass; an invalid one must not, unless it names what no schema can express
(schema_cannot), and then it must pass: an exception that is not needed is an error, too.

Needs python3-jsonschema; says so and ends with 77 when it is not there.
Run from anywhere: tests/schemas/agree.py
"""
import base64
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError as missing:
    print(f"agree.py: skipped, {missing.name} is not installed", file=sys.stderr)
    sys.exit(77)

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
EXAMPLES = SCHEMAS / "examples"
DIALECT = jsonschema.Draft202012Validator


def load_schemas():
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    for schema in schemas.values():
        DIALECT.check_schema(schema)
    return {name: DIALECT(schema, **references(schemas)) for name, schema in schemas.items()}


def references(schemas):
    """How a validator finds the schemas beside its own; jsonschema changed that with 4.18."""
    try:
        from referencing import Registry, Resource
    except ImportError:
        store = {schema["$id"]: schema for schema in schemas.values()}
        return {"resolver": jsonschema.RefResolver("", {}, store=store)}
    return {"registry": Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas.values())}


def joined(parts):
    if isinstance(parts, str):
        return parts
    return "".join(p if isinstance(p, str) else p["repeat"] * p["times"] for p in parts)


def value_of(fixture):
    """The bytes of the record's value; None for a tombstone."""
    if fixture.get("tombstone"):
        return None
    if "value" in fixture:
        return json.dumps(fixture["value"], ensure_ascii=False).encode()
    if "base64" in fixture:
        return base64.b64decode(fixture["base64"])
    return joined(fixture.get("text", fixture.get("parts"))).encode()


def unique(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def refuse(literal):
    raise ValueError(f"{literal} is not JSON")


def check_text(value):
    """What a strict reader of JSON refuses before any schema."""
    if isinstance(value, str):
        value.encode("utf-8")
        if "\0" in value:
            raise ValueError("U+0000")
    elif isinstance(value, list):
        for element in value:
            check_text(element)
    elif isinstance(value, dict):
        for name, member in value.items():
            check_text(name)
            check_text(member)


def parse(raw):
    value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    check_text(value)
    return value


def schema_accepts(fixture, validators):
    raw = value_of(fixture)
    if raw is None:
        return False
    try:
        value = parse(raw)
    except (ValueError, RecursionError):
        return False
    headers = dict(fixture.get("headers", []))
    if (headers.get("content-type") or "").lower().startswith("application/cloudevents"):
        return validators["envelope.structured.json"].is_valid(value)
    if not any(name.startswith("ce_") for name in headers):
        return validators["envelope.bare.json"].is_valid(value)
    if not validators["envelope.binary.json"].is_valid(headers):
        return False
    return validators[headers["ce_type"] + ".json"].is_valid(value)


def main():
    # What Python minds by default is for the schemas and the corpus to decide.
    sys.setrecursionlimit(10000)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    validators = load_schemas()
    paths = sorted(EXAMPLES.glob("valid/*.json")) + sorted(EXAMPLES.glob("invalid/*/*.json"))
    wrong = exceptions = 0
    for path in paths:
        fixture = json.loads(path.read_text())
        valid = path.parent.name == "valid"
        expected = valid or "schema_cannot" in fixture
        exceptions += not valid and expected
        if schema_accepts(fixture, validators) == expected:
            continue
        wrong += 1
        print(f"{path.relative_to(SCHEMAS)}: the schema should have "
              f"{'accepted' if expected else 'refused'} it")
    print(f"{len(paths)} examples, {exceptions} beyond what a schema can say, {wrong} disagreements")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
