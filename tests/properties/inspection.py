"""What is looked at after every step: the database, and what one sees who looks."""

from tests.properties.processes import Process
from tests.properties.wire import SLACK
from tests.properties.world import World

from llm_cache import CachePolicy

LATE = 1000 * SLACK


def check_database(world: World) -> None:
    """Check that every entry and lease ends in time, and who has left one behind."""
    contents = world.database.contents()
    early = 1000 * world.database.drift() + 1
    leases = {key: stored for key, stored in contents.items() if ":lease:" in key}
    world.turns.check(leases)
    for which, answer in world.history.latest.items():
        if stored := contents.pop(world.keys[which], None):
            left = 1000 * (answer.kept_until - world.time.now)
            assert left - early <= stored.left <= left + LATE, (
                "kept for too long or too short a time"
            )
    for key, stored in contents.items():
        epoch = ":epoch" in key
        assert epoch or key in leases or key in world.rubbish, f"left behind: {key}"
        assert stored.left == -1 if epoch else stored.left >= 0


def check_by_looking(world: World, watcher: Process) -> None:
    """Check what one sees who takes whatever is there, be it expired."""
    with world.wire.faultless():
        for which, answer in [*world.history.latest.items()][-1:]:
            policy = CachePolicy(
                mode="read_only", namespace=which[0], max_stale=1000,
                tenant=which[1] or None, salt=which[2] or None, tags=sorted(answer.tags)[:1],
            )  # fmt: skip
            block = world.open(watcher, policy, CachePolicy(), None)
            world.run(world.ask(block, which[3]))
            world.close(block)
