"""Clears, deletions, lost epochs, rubbish and reclaims."""

from collections.abc import Callable
from contextlib import suppress

from tests.integration.properties.caller import MODEL, Caller
from tests.integration.properties.database import DRIFT, SCALE
from tests.integration.properties.history import Identity, epoch_key
from tests.integration.properties.process import Process
from tests.integration.properties.simulation import Simulation
from tests.integration.properties.strategies import TAGS, TENANTS

from llm_cache import CachePolicy
from llm_cache._entries.keys import Keyspace
from llm_cache._errors import StoreError
from llm_cache._protocol.clearing import FLUSH
from llm_cache._protocol.clearing import reclaim as reclaiming
from llm_cache._protocol.drivers import run


def clear(
    simulation: Simulation, process: Process, tag: str | None = None, tenant: str | None = None
) -> None:
    failures = simulation.store.failures
    try:
        process.cache.clear(tag=tag, tenant=tenant)
    except StoreError:
        assert simulation.store.failures > failures, "a clear failed without a fault"
    for command, _, _ in simulation.take_executed():
        if "FLUSHDB" in command or FLUSH in command:
            for which in [*simulation.history.latest]:
                simulation.removed(which, process)
            simulation.flights.flushed()
            simulation.rubbish.clear()
            simulation.history.event(None, simulation.time.now, process)
        if "FLUSHDB" not in command:
            key = epoch_key(process.setup.namespace, tag=tag, tenant=tenant)
            simulation.history.event(key, simulation.time.now, process)


def delete(simulation: Simulation, process: Process, policy: CachePolicy, prompt: str) -> None:
    block = simulation.open(process, policy)
    caller = Caller(block, prompt)
    simulation.keys[caller.which] = caller.key
    with suppress(StoreError):
        block.context.run(process.cache.delete, prompt, MODEL)
    if simulation.take_executed():
        simulation.removed(caller.which, process)
    simulation.close(block)


def lose_epoch(simulation: Simulation, key: str) -> None:
    """Evict an epoch."""
    simulation.database.call("DEL", key)
    simulation.history.event(key, simulation.time.now, clear=False)


def spoil(simulation: Simulation, which: Identity, change: Callable[[str], str]) -> None:
    """Replace an entry by rubbish."""
    key = simulation.keys[which]
    stored = simulation.database.contents().get(key)
    simulation.removed(which, None)
    simulation.database.call("SET", key, change(stored.text if stored else "{}"), "EX", 100 * SCALE)
    simulation.rubbish.add(key)


def reclaim(simulation: Simulation, prefix: str) -> None:
    """Reclaim a namespace to the end, and check which entries are removed."""
    database, history, keys = simulation.database, simulation.history, Keyspace(prefix)
    before = database.contents()
    done = run(reclaiming(keys), lambda command: database.call(*command.args))
    assert done.complete
    removed = before.keys() - database.contents().keys()
    assert all(key.startswith(f"{prefix}:entry:") for key in removed)
    assert done.removed == len(removed)
    for which, answer in [*history.latest.items()]:
        if simulation.keys[which] in removed:
            now = simulation.time.now + DRIFT
            assert history.undisturbed(which, now) is None, "removed a live entry"
            simulation.removed(which, None)
        elif which[0] == prefix and simulation.keys[which] in before:
            cleared = {event.key for event in history.clears(answer)}
            assert not cleared & _reclaimed_epochs(keys), "left a cleared entry"
    simulation.rubbish -= removed


def _reclaimed_epochs(keys: Keyspace) -> set[str | None]:
    """Return the epochs whose clears a reclaim finds."""
    tags = {epoch_key(keys.prefix, tag=tag) for tag in TAGS}
    tenants = {epoch_key(keys.prefix, tenant=tenant) for tenant in TENANTS}
    return {None, keys.epoch} | tags | tenants
