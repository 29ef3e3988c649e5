"""From a result to tables for people."""

from report_sections import print_sections
from throughput import VARIANTS, load_name

# What issue and README promise: (name, numerator, denominator, load, must, aim).
RATIOS = [
    ("of min(b, c)", "e", "min(b,c)", "1", 0.75, 0.90),
    ("of min(b, c)", "e", "min(b,c)", "5", 0.75, 0.90),
    ("of min(b, c)", "e", "min(b,c)", "20", 0.75, 0.90),
    ("of min(b, c)", "e", "min(b,c)", "exam", 0.75, 0.90),
    ("x the naive worker", "e", "d", "1", 15, 22),
    ("x the naive worker", "e", "d", "20", 50, 75),
    ("x the plain merge", "e", "m", "1", 1.6, 2.0),
    ("own SQL x the plain merge", "c", "m", "1", 1.6, 2.0),
]


def rate(load, variant):
    """The median; of `e` the better of one and two workers; None where it was not measured."""
    if variant == "e":
        rates = [r for r in (rate(load, "e1"), rate(load, "e2")) if r is not None]
        return max(rates) if rates else None
    if variant == "min(b,c)":
        rates = [rate(load, "b"), rate(load, "c")]
        return None if None in rates else min(rates)
    return load[variant]["rate"]["median"] if variant in load else None


def ratios(throughput):
    found = []
    for name, above, below, load, must, aim in RATIOS:
        if load not in throughput["loads"]:
            continue
        top, bottom = rate(throughput["loads"][load], above), rate(throughput["loads"][load], below)
        if top is None or not bottom:
            continue
        value = top / bottom
        found.append({"name": "%s / %s" % (above, below), "says": name, "load": load,
                      "value": value, "must": must, "aim": aim,
                      "met": "aim" if value >= aim else "must" if value >= must else "no"})
    return found


# The same by CPU, which a busy machine disturbs less: what one event costs below and above.
COSTS = [
    ("naive worker / attemptd, all three", "d", "e1", ("client_us", "postgres_us", "broker_us")),
    ("plain merge / own SQL, PostgreSQL", "m", "c", ("postgres_us",)),
    ("own SQL alone / attemptd, PostgreSQL", "c", "e1", ("postgres_us",)),
]


def costs(throughput):
    found = []
    for load, measured in throughput["loads"].items():
        for name, below, above, parts in COSTS:
            if below not in measured or above not in measured:
                continue
            dear, cheap = (sum(measured[v][part]["median"] for part in parts)
                           for v in (below, above))
            if cheap > 0:
                found.append({"load": load, "name": name, "value": dear / cheap})
    return found


def thousands(number):
    return format(round(number), ",")


def print_machine(result, to):
    machine, postgres = result["machine"], result["postgres"]
    print("\n%s, %d processors, %d MB, %s, kernel %s" % (
        machine["processor"], machine["processors"], machine["memory_mb"], machine["system"],
        machine["kernel"]), file=to)
    print("PostgreSQL " + ", ".join("%s %s" % (name.replace("server_version", ""), value)
                                    if name != "server_version" else value
                                    for name, value in postgres.items()), file=to)
    settings = result["settings"]
    print("%d attempts of 40 answers, 12 partitions, saves of 446 bytes; %d rounds, scale %g; all"
          " on the same processors" % (settings["attempts"], settings["rounds"],
                                       settings["scale"]), file=to)


def print_throughput(throughput, to):
    spins = throughput["spin_ms"]
    print("\nThe same spin of the processor took %.0f ms (%.0f to %.0f) before each round: the"
          " machine's own noise." % (spins["median"], spins["min"], spins["max"]), file=to)
    for load, measured in throughput["loads"].items():
        print("\n%s, %s records a round" % (load_name(load), thousands(measured["events"])),
              file=to)
        print("  %-3s %10s %19s   %s" % ("", "events/s", "min to max",
                                         "CPU us/event: client  PostgreSQL  broker   "
                                         "WAL B  statements  peak MB"), file=to)
        for variant in VARIANTS:
            if variant in measured:
                print_variant(variant, measured[variant], to)
    print("", file=to)
    for variant, what in VARIANTS.items():
        print("  %-3s %s" % (variant, what), file=to)


def print_variant(variant, v, to):
    def median(name, form):
        return form % v[name]["median"] if name in v else "-"

    print("  %-3s %10s %9s%10s   %20s %11s %7s %7s %11s %8s" % (
        variant, thousands(v["rate"]["median"]), thousands(v["rate"]["min"]),
        thousands(v["rate"]["max"]), median("client_us", "%.2f"), median("postgres_us", "%.2f"),
        median("broker_us", "%.2f"), median("wal_bytes", "%.0f"), median("statements", "%.4f"),
        "%.0f" % (v["peak_rss_kb"]["max"] / 1024) if "peak_rss_kb" in v else "-"), file=to)


def print_ratios(found, to):
    if not found:
        return
    print("\nRatios of medians in this run; e is the better of one and two workers", file=to)
    for r in found:
        print("  %-5s %-14s %7.2f   %-26s must %-5g aim %-5g %s" % (
            load_name(r["load"]), r["name"], r["value"], r["says"], r["must"], r["aim"],
            {"aim": "aim met", "must": "met", "no": "NOT MET"}[r["met"]]), file=to)


def print_costs(found, to):
    if found:
        print("\nThe same by CPU per event, which a busy machine disturbs less", file=to)
    for cost in found:
        print("  %-5s %7.2f   %s" % (load_name(cost["load"]), cost["value"], cost["name"]), file=to)


def print_noise(machine, to):
    """Whoever measures beside other work should know it, and so should his readers."""
    if machine["load_average"] > machine["processors"] / 2:
        print("THE MACHINE WAS BUSY when this began (load average %.1f, %d processors): rates and"
              " latencies\nof this run mean little, their ratios not much more; CPU per event does."
              % (machine["load_average"], machine["processors"]), file=to)


def print_all(result, to):
    print_machine(result, to)
    print_noise(result["machine"], to)
    if "throughput" in result:
        print_throughput(result["throughput"], to)
        print_ratios(result["ratios"], to)
        print_costs(result["costs"], to)
    print_sections(result, to)
