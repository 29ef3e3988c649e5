"""Is a result whole, and does it agree with itself? A benchmark that loses events is fast."""

from stand import Failure
from throughput import LOADS, VARIANTS


def expect(condition, text):
    if not condition:
        raise Failure("the result does not hold: " + text)


def expected_variants(settings, load):
    return [v for v in VARIANTS if v in settings["variants"] and not (v == "m" and load == "exam")]


def check_loads(throughput, settings):
    expect(list(throughput["loads"]) == [l for l in LOADS if l in settings["loads"]],
           "a load is missing")
    for load, measured in throughput["loads"].items():
        for variant in expected_variants(settings, load):
            where = "%s of %s" % (variant, load)
            expect(variant in measured, where + " is missing")
            found = measured[variant]
            expect(len(found["rate"]["values"]) == settings["rounds"], where + " lacks a round")
            expect(found["rate"]["min"] > 0, where + " has a rate of 0")
            expect(found["rate"]["min"] <= found["rate"]["median"] <= found["rate"]["max"],
                   where + " has a strange median")
            expect(found["client_us"]["max"] > 0, where + " used no CPU")
            if variant != "d" or settings["naive_seconds"] == 0:
                expect(found["events"] == measured["events"] * settings["rounds"],
                       where + " settled %d events" % found["events"])


def check_ledger(throughput):
    """Every record of every segment was applied, once."""
    records = sum(int(segment.split(":")[1]) for segment in throughput["segments"])
    for variant, counters in throughput["ledger"].items():
        expect(counters["records"] == records,
               "the ledger of %s has %d records of %d" % (variant, counters["records"], records))
        expect(counters["applied"] == records, "%s did not apply all: %s" % (variant, counters))


def check_documents(throughput):
    """Whoever saw all events has the same documents, attempt by attempt."""
    first = {variant: tuple(d["first"]) for variant, d in throughput["documents"].items()}
    expect(len(set(first.values())) <= 1, "the documents differ: %s" % first)
    exams = {variant: tuple(d["exams"]) for variant, d in throughput["documents"].items()
             if variant != "m"}
    expect(len(set(exams.values())) <= 1, "the exams' documents differ: %s" % exams)


def check_sections(result):
    for name in result["settings"]["sections"]:
        expect(name in result, "section %s is missing" % name)
    for one in result.get("latency", []) + [result[n] for n in ("idle",) if n in result]:
        for what in ("visible_ms", "published_ms"):
            hist = one[what]
            expect(hist["count"] > 0, "a latency without samples")
            expect(0 < hist["p50"] <= hist["p99"] <= hist["p999"] <= hist["max"],
                   "percentiles do not ascend: %s" % hist)
        expect(one["published_ms"]["p50"] >= one["visible_ms"]["p50"] / 2,
               "told long before it was visible: %s" % one)


def check_command(found):
    for name in ("events_per_second", "worker_cpu_us_per_event", "wal_bytes_per_event",
                 "peak_rss_mb"):
        expect(0 < found[name]["min"] <= found[name]["median"] <= found[name]["max"],
               "attemptd bench: %s is %s" % (name, found[name]))
    expect(found["postgres"]["fsync"] == "on", "fsync is off")


def check(result):
    if "command" in result:
        check_command(result["command"])
    check_sections(result)
    if "throughput" in result:
        check_loads(result["throughput"], result["settings"])
        check_ledger(result["throughput"])
        check_documents(result["throughput"])
