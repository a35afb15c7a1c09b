"""The state that a lookup leaves to its update: per context, per cache, and bounded."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from llm_cache._engine import lookup_state
from llm_cache._engine.lookup_state import LookupState, leads, recall, remember
from llm_cache._protocol.in_flight import InFlightCalls, Leader
from llm_cache._protocol.store import Unseen


def leave_states(count: int) -> None:
    """Leave states as lookups do whose model calls fail."""
    for number in range(count):
        remember((1, f"failed {number}", ()), LookupState(("e2",)))


def recalled(number: int, key: str) -> object:
    return recall((number, key, ())).epochs


@pytest.fixture(autouse=True)
def _no_states() -> Iterator[None]:
    states, leaders = lookup_state._states.set(({},) * 64), lookup_state._leaders.set(())
    yield
    lookup_state._states.reset(states)
    lookup_state._leaders.reset(leaders)


def test_update_recalls_the_state_of_its_lookup_once() -> None:
    remember((1, "k", ()), LookupState(("e1",), "fingerprint"))
    assert recall((1, "k", ())) == LookupState(("e1",), "fingerprint")
    assert recalled(1, "k") is Unseen.NOT_LOOKED_UP


def test_update_does_not_recall_the_state_of_another_cache() -> None:
    remember((1, "k", ()), LookupState(("e1",)))
    assert recalled(2, "k") is Unseen.NOT_LOOKED_UP
    assert recalled(1, "k") == ("e1",)


def of_threads(number: int) -> list[object]:
    def one(epoch: str) -> object:
        remember((1, "same", ()), LookupState((epoch,)))
        return recalled(1, "same")

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(copy_context().run, one, f"e{at}") for at in range(number)]
        return [future.result() for future in futures]


def of_tasks(number: int) -> list[object]:
    async def one(epoch: str) -> object:
        remember((1, "same", ()), LookupState((epoch,)))
        await asyncio.sleep(0)
        return recalled(1, "same")

    async def main() -> list[object]:
        return list(await asyncio.gather(*(one(f"e{at}") for at in range(number))))

    return asyncio.run(main())


@pytest.mark.parametrize("recalled_by", [of_threads, of_tasks])
def test_threads_and_tasks_do_not_see_the_states_of_others(
    recalled_by: Callable[[int], list[object]],
) -> None:
    assert recalled_by(50) == [(f"e{number}",) for number in range(50)]
    assert recalled(1, "same") is Unseen.NOT_LOOKED_UP


def test_thousands_of_failed_calls_do_not_evict_an_earlier_state() -> None:
    remember((1, "k", ()), LookupState(("e1",)))
    leave_states(3000)
    assert recalled(1, "k") == ("e1",)
    assert recalled(1, "failed 2999") == ("e2",)


def test_states_of_failed_calls_are_bounded_and_copied_in_small_parts() -> None:
    leave_states(20_000)
    before = lookup_state._states.get()
    assert (len(before), max(map(len, before))) == (64, 64)
    assert recalled(1, "failed 0") is Unseen.NOT_LOOKED_UP
    before = lookup_state._states.get()
    leave_states(1)
    pairs = zip(before, lookup_state._states.get(), strict=True)
    assert [a is not b for a, b in pairs].count(True) == 1


@pytest.fixture
def leaders() -> Callable[[str], Leader]:
    calls = InFlightCalls()

    def lead(identity: str) -> Leader:
        leader = calls.join(identity, 30.0, print, None)
        assert isinstance(leader, Leader)
        return leader

    return lead


def test_context_leads_until_its_call_ends(leaders: Callable[[str], Leader]) -> None:
    leader, other = leaders("p"), leaders("q")
    assert not leads()
    remember((1, "p", ()), LookupState(("e",), "", leader))
    leave_states(10_000)
    assert leads()
    leader.close()
    assert not leads()
    remember((1, "q", ()), LookupState(("e",), "", other))
    assert lookup_state._leaders.get() == (other,)
