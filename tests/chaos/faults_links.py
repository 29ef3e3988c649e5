"""Faults of the links and of the broker."""

import time

from kinds import STRIKE_S, Missed, kind
from workers import SESSION_MS


def cut_at_commit(plan, seen):
    def fault(chaos, rng):
        worker = chaos.worker(rng)
        worker.link.arm(plan)
        if not worker.link.struck.wait(STRIKE_S):
            worker.link.disarm()
            raise Missed("no COMMIT came by")
        return seen
    return fault


kind("link cut before COMMIT passes", "F25", "link")(
    cut_at_commit("before", "not committed, done again"))
kind("link cut before COMMIT's answer", "F26", "link")(
    cut_at_commit("after", "committed, not doubled"))


@kind("link to PostgreSQL cut", "F27", "link")
def cut_postgres(chaos, rng):
    workers = chaos.some(rng)
    return "%d connections" % sum(worker.link.cut() for worker in workers)


@kind("PostgreSQL black-holed", "F27", "link")
def stall_postgres(chaos, rng):
    workers = chaos.some(rng)
    seconds = rng.choice((3, 8))
    for worker in workers:
        worker.link.stall(True)
    time.sleep(seconds)
    for worker in workers:
        worker.link.stall(False)
    return "for up to 8 s"


@kind("link to Kafka cut", "F28", "link")
def cut_kafka(chaos, rng):
    return "%d connections" % chaos.crew.kafka.cut()


@kind("Kafka black-holed", "F28", "link")
def stall_kafka(chaos, rng):
    seconds = rng.choice((2, 2 * SESSION_MS // 1000))
    with chaos.crew.silence:
        chaos.crew.kafka.stall(True)
        time.sleep(seconds)
        chaos.crew.kafka.stall(False)
    return "for up to two sessions"


# ------------------------------------------------------------------------------- Kafka itself

@kind("broker killed and restarted", "F41", "link")
def broker_killed(chaos, rng):
    chaos.servers.restart_kafka("KILL")
    return "down, up again"


@kind("broker stopped and restarted", "F41", "link")
def broker_stopped(chaos, rng):
    chaos.servers.restart_kafka("TERM")
    return "down, up again"


@kind("partitions added", "F48", "link")
def partitions_added(chaos, rng):
    return chaos.exam.between_waves(lambda: chaos.grow())
