"""The tables of the sections beside throughput, and what is asked of each."""

ASKED = {
    "latency_ms": 30,   # p99 above PostgreSQL's own commit, linger 5 ms
    "idle_ms": 1000,    # p99 of a submit beside a backlog
    "flat": 1.25,       # the dearest beside the median
    "outage_s": 60,     # "seconds"
    "activity": (45000, 90000),
    "refresh": 0.55,
    "refresh_p99": 2.0,  # times as long, at half load
}


def verdict(met):
    return "met" if met else "NOT MET"


def print_latency(found, to):
    print("\nLatency in ms from the intended moment of sending (open loop); the producer waits 1 ms"
          " for company", file=to)
    print("  %-7s %9s  %-10s %9s %9s %9s %9s" % ("linger", "events/s", "until", "p50", "p99",
                                                 "p99.9", "max"), file=to)
    for one in found:
        for what, name in (("visible_ms", "row"), ("published_ms", "told"),
                           ("commit_ms", "commit*")):
            v = one[what]
            print("  %-7s %9d  %-10s %9.1f %9.1f %9.1f %9.1f" % (
                "%d ms" % one["linger_ms"], one["rate"], name, v["p50"], v["p99"], v["p999"],
                v["max"]), file=to)
        if one["linger_ms"] == 5:
            above = one["visible_ms"]["p99"] - one["commit_ms"]["p99"]
            print("  %38s p99 above the commit's: %.1f; asked: %d, %s" % (
                "", above, ASKED["latency_ms"], verdict(above <= ASKED["latency_ms"])), file=to)
    print("  * one row of another table, updated and committed by a stranger at the same time",
          file=to)


def print_idle(one, to):
    v = one["visible_ms"]
    print("\nSubmits to an idle partition, 50/s, beside a backlog of %d saves in another (%d left"
          " at the end)" % (one["backlog"], one["backlog_left"]), file=to)
    print("  durable after p50 %.0f, p99 %.0f, max %.0f ms; asked: p99 under %d, %s" % (
        v["p50"], v["p99"], v["max"], ASKED["idle_ms"], verdict(v["p99"] < ASKED["idle_ms"])),
          file=to)


def spread(costs, name):
    values = sorted(cost[name] for cost in costs)
    middle = values[len(values) // 2]
    return max(values[-1] / middle, middle / values[0]) if values[0] > 0 else float("inf")


def print_flat(found, to):
    print("\nFlatness: CPU us per event, F=1, batches of %d" % found["batch_events"], file=to)
    for group, what in (("by_events", "events"), ("by_attempts", "attempts")):
        for cost in found[group]:
            print("  %10d %-9s worker %6.2f   PostgreSQL %6.2f   broker %6.2f   peak %4.0f MB" % (
                cost[what], what, cost["client_us"], cost["postgres_us"], cost["broker_us"],
                cost["peak_rss_kb"] / 1024), file=to)
        for name in ("client_us", "postgres_us"):
            print("  %21s largest ratio to the middle: %.2f; asked: %.2f, %s" % (
                name, spread(found[group], name), ASKED["flat"],
                verdict(spread(found[group], name) <= ASKED["flat"])), file=to)


def print_memory(found, to):
    print("\nMemory of a worker with a backlog", file=to)
    for one in found:
        if "refused" in one:
            print("  MEMORY_MB %4d: refused: %s" % (one["memory_mb"], one["refused"]), file=to)
            continue
        print("  MEMORY_MB %4d: peak %4.0f MB with %d saves waiting, %s" % (
            one["memory_mb"], one["peak_rss_mb"], one["backlog"],
            verdict(one["peak_rss_mb"] <= one["memory_mb"])), file=to)


def print_outage(one, to):
    print("\nAn outage of ten minutes, %d students: %d saves are written and told %.1f s after the"
          " worker is back (%d/s)" % (one["students"], one["saves"], one["seconds"], one["rate"]),
          file=to)


def print_activity(one, to):
    must, aim = ASKED["activity"]
    rate = one["rate"]
    print("\nActivity alone, records of %d, one worker: %d events/s (%d to %d); CPU us/event:"
          " worker %.2f, PostgreSQL %.2f; asked: %d, better %d, %s" % (
              one["events_in_record"], rate["median"], rate["min"], rate["max"], one["client_us"],
              one["postgres_us"], must, aim, verdict(rate["median"] >= must)), file=to)


def print_refresh(one, to):
    print("\nWhile all views are refreshed, again and again, %d attempts: %d events/s beside %d"
          " without (%.0f %%, %s refreshes a round); asked: %.0f %%, %s" % (
              one["attempts"], one["with"]["median"], one["without"]["median"],
              100 * one["share"], "/".join(str(n) for n in one["refreshes"]),
              100 * ASKED["refresh"], verdict(one["share"] >= ASKED["refresh"])), file=to)
    half = one["half"]
    longer = half["with"]["p99"] / half["without"]["p99"]
    print("  at half load (%d events/s) the row is visible after p50 %.1f, p99 %.1f ms; without after"
          " %.1f, %.1f (%.2f times, %d refreshes); asked: %.0f times, %s" % (
              half["rate"], half["with"]["p50"], half["with"]["p99"], half["without"]["p50"],
              half["without"]["p99"], longer, half["refreshes"], ASKED["refresh_p99"],
              verdict(longer <= ASKED["refresh_p99"])), file=to)


def print_command(one, to):
    rate = one["events_per_second"]
    print("\n`attemptd bench`: %d events/s (%d to %d), %d saves from the start of `run --drain` to"
          " its end" % (rate["median"], rate["min"], rate["max"], one["events"]), file=to)


PRINTERS = {"latency": print_latency, "idle": print_idle, "flat": print_flat,
            "memory": print_memory, "outage": print_outage, "activity": print_activity,
            "refresh": print_refresh, "command": print_command}


def print_sections(result, to):
    for name, printer in PRINTERS.items():
        if name in result:
            printer(result[name], to)
