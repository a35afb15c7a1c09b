"""What befalls the database besides lookups and stores."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.integration.properties.callers import MODEL, Caller
from tests.integration.properties.model import Identity, epoch_key
from tests.integration.properties.policies import TAGS, TENANTS
from tests.integration.properties.processes import Process
from tests.integration.properties.wire import DRIFT, SCALE
from tests.integration.properties.world import World

from llm_cache import CachePolicy
from llm_cache._entries.keys import Keyspace
from llm_cache._errors import StoreError
from llm_cache._protocol.clearing import FLUSH
from llm_cache._protocol.clearing import reclaim as reclaiming
from llm_cache._protocol.drivers import run


def clear(
    world: World, process: Process, tag: str | None = None, tenant: str | None = None
) -> None:
    failures = world.wire.failures
    try:
        process.cache.clear(tag=tag, tenant=tenant)
    except StoreError:
        assert world.wire.failures > failures, "a clear failed without need"
    for command, _, _ in world.wire.executed:
        if "FLUSHDB" in command or FLUSH in command:
            for which in [*world.history.latest]:
                world.ended(which, process)
            world.turns.flushed()
            world.rubbish.clear()
            world.history.event(None, world.time.now, process)
        if "FLUSHDB" not in command:
            key = epoch_key(process.setup.namespace, tag=tag, tenant=tenant)
            world.history.event(key, world.time.now, process)
    world.wire.executed.clear()


def delete(world: World, process: Process, policy: CachePolicy, prompt: str) -> None:
    block = world.open(process, policy, CachePolicy(), None)
    caller = Caller(block, prompt)
    world.keys[caller.which] = caller.key
    with suppress(StoreError):
        block.context.run(process.cache.delete, prompt, MODEL)
    if world.wire.executed:
        world.ended(caller.which, process)
    world.wire.executed.clear()
    world.close(block)


def lose(world: World, key: str) -> None:
    """Let an epoch be evicted."""
    world.database.call("DEL", key)
    world.history.event(key, world.time.now, clear=False)


def spoil(world: World, which: Identity, how: Callable[[str], str]) -> None:
    """Let something else be written in the place of an entry."""
    stored = world.database.contents().get(world.keys[which])
    text = how(stored.text if stored else "{}")
    world.ended(which, None)
    world.database.call("SET", world.keys[which], text, "EX", 100 * SCALE)
    world.rubbish.add(world.keys[which])


def reclaim(world: World, prefix: str) -> None:
    """Reclaim a namespace to the end."""
    before, keys = world.database.contents(), Keyspace(prefix)

    def execute(command: Any) -> Any:
        return world.database.call(*command)

    done = run(reclaiming(keys), execute)
    assert done.complete
    removed = before.keys() - world.database.contents().keys()
    assert all(key.startswith(f"{prefix}:entry:") for key in removed)
    assert done.removed == len(removed)
    now = world.time.now + DRIFT
    for which, answer in [*world.history.latest.items()]:
        if world.keys[which] in removed:
            assert world.history.undisturbed(which, now) is None, "freed what is in use"
            world.ended(which, None)
        elif which[0] == prefix and world.keys[which] in before:
            cleared = {event.key for event in world.history.clears(answer)}
            assert not cleared & freed_by_reclaim(keys), "left what was cleared"
    world.rubbish -= removed


def freed_by_reclaim(keys: Keyspace) -> set[str | None]:
    """Return the epochs whose clear makes an entry one to free."""
    tags = {epoch_key(keys.prefix, tag=tag) for tag in TAGS}
    tenants = {epoch_key(keys.prefix, tenant=tenant) for tenant in TENANTS}
    return {None, keys.epoch} | tags | tenants
