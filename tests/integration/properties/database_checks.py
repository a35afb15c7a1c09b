"""Checks after every step: the contents of the database, and the lookups of a watcher."""

from collections.abc import Iterator
from typing import Any

from tests.integration.properties.database import DRIFT
from tests.integration.properties.history import Answer
from tests.integration.properties.process import Process
from tests.integration.properties.simulation import Simulation

from llm_cache import CachePolicy


def check_contents(simulation: Simulation) -> None:
    """Check that every entry and lease expires in time, and that nothing else is left."""
    contents = simulation.database.contents()
    leases = {key: stored for key, stored in contents.items() if ":lease:" in key}
    simulation.flights.check(leases)
    for which, answer in simulation.history.latest.items():
        if stored := contents.pop(simulation.keys[which], None):
            left = 1000 * (answer.kept_until - simulation.time.now)
            assert left - 1000 * DRIFT <= stored.left <= left, "expires too late or too early"
    for key, stored in contents.items():
        epoch = ":epoch" in key
        assert epoch or key in leases or key in simulation.rubbish, f"left behind: {key}"
        assert (stored.left < 0) == epoch, "an entry without expiry"


def check_lookups(simulation: Simulation, watcher: Process) -> None:
    """Look up with the policies that just accept the latest answer, or just do not."""
    at, processes = simulation.history.at, [watcher, *simulation.processes]
    with simulation.store.without_faults():
        for which, answer in [*simulation.history.latest.items()][-1:]:
            process = processes[at % len(processes)]
            fields = [{"max_stale": 1000}, *_boundaries(answer, process.clock())]
            policy = CachePolicy(
                **fields[at % len(fields)],
                mode="read_only",
                namespace=which[0],
                tags=sorted(answer.tags)[:1],
                tenant=which[1] or None,
                salt=which[2] or None,
            )
            block = simulation.open(process, policy)
            simulation.finish(simulation.lookup(block, which[3]))
            simulation.close(block)


def _boundaries(answer: Answer, now: float) -> Iterator[dict[str, Any]]:
    """Yield policies that just accept the answer, and policies that just do not."""
    assert answer.ttl is not None
    age = now - answer.created
    late = age - answer.ttl
    for off in (0, 0.25):
        if late >= 0:
            yield {"max_stale": max(0, late - off)}
        else:
            yield {"max_age": max(0, age - off)}
            yield {"min_fresh": off - late}
