"""What is looked at after every step: the database, and what one sees who looks."""

from collections.abc import Iterator
from typing import Any

from tests.integration.properties.model import Answer
from tests.integration.properties.processes import Process
from tests.integration.properties.wire import DRIFT
from tests.integration.properties.world import World

from llm_cache import CachePolicy


def check_database(world: World) -> None:
    """Check that every entry and lease ends in time, and who has left one behind."""
    contents = world.database.contents()
    leases = {key: stored for key, stored in contents.items() if ":lease:" in key}
    world.turns.check(leases)
    for which, answer in world.history.latest.items():
        if stored := contents.pop(world.keys[which], None):
            left = 1000 * (answer.kept_until - world.time.now)
            assert left - 1000 * DRIFT <= stored.left <= left, (
                "kept for too long or too short a time"
            )
    for key, stored in contents.items():
        epoch = ":epoch" in key
        assert epoch or key in leases or key in world.rubbish, f"left behind: {key}"
        assert (stored.left < 0) == epoch, "an entry that never expires"


def check_by_looking(world: World, watcher: Process) -> None:
    """Check what one sees who looks with the policies that just accept it, or just do not."""
    with world.wire.faultless():
        for which, answer in [*world.history.latest.items()][-1:]:
            process = [watcher, *world.processes][world.history.at % (1 + len(world.processes))]
            fields = [{"max_stale": 1000}, *_at_the_edge(answer, process.clock())]
            policy = CachePolicy(
                **fields[world.history.at % len(fields)],
                mode="read_only",
                namespace=which[0],
                tags=sorted(answer.tags)[:1],
                tenant=which[1] or None,
                salt=which[2] or None,
            )
            block = world.open(process, policy, CachePolicy(), None)
            world.run(world.ask(block, which[3]))
            world.close(block)


def _at_the_edge(answer: Answer, now: float) -> Iterator[dict[str, Any]]:
    """Yield policies by which the answer is just good enough, and is just not so."""
    assert answer.ttl is not None
    age = now - answer.created
    late = age - answer.ttl
    for off in (0, 0.25):
        if late >= 0:
            yield {"max_stale": max(0, late - off)}
        else:
            yield {"max_age": max(0, age - off)}
            yield {"min_fresh": off - late}
