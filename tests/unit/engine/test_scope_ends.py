"""Nothing of a policy block outlives it, and what failed calls leave behind costs nothing."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from llm_cache import CachePolicy
from llm_cache._engine import lookup_state
from llm_cache._engine.lookup_state import LookupState, leads, recall, remember
from llm_cache._engine.scope import current, entered
from llm_cache._protocol.in_flight import InFlightCalls, Leader
from llm_cache._protocol.store import Unseen


def left_to_do(error: BaseException, done: list[str]) -> None:
    done.append(type(error).__name__)
    raise error


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit()])
def test_policy_ends_with_its_block_whatever_its_exit_raises(error: BaseException) -> None:
    done: list[str] = []
    try:
        with entered(CachePolicy(tenant="42"), None):
            current().at_exit.append(lambda: done.append("first"))
            current().at_exit.append(lambda: left_to_do(error, done))
    except (KeyboardInterrupt, SystemExit):
        assert done == [type(error).__name__]
    else:
        assert done == ["ValueError", "first"]
    assert current().policy == CachePolicy()


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()])
def test_error_of_the_block_passes_through_a_failing_exit(error: BaseException) -> None:
    def block() -> None:
        with entered(CachePolicy(tenant="42"), None):
            current().at_exit.append(lambda: left_to_do(OSError(), []))
            raise error

    with pytest.raises(type(error)):
        block()
    assert current().policy == CachePolicy()


def test_update_recalls_its_lookup_whatever_thousands_of_failed_calls_left() -> None:
    def work() -> None:
        remember((1, "mine", ()), LookupState(("e1",), "there"))
        for number in range(3000):
            remember((1, f"failed {number}", ()), LookupState(("e2",)))
        assert recall((1, "mine", ())) == LookupState(("e1",), "there")
        assert recall((1, "mine", ())).epochs is Unseen.NOT_LOOKED_UP
        assert recall((1, "failed 2999", ())).epochs == ("e2",)

    copy_context().run(work)


def test_what_failed_calls_leave_is_bounded_and_copied_in_small_parts() -> None:
    def work() -> None:
        for number in range(20_000):
            remember((1, f"failed {number}", ()), LookupState(("e",)))
        shards = lookup_state._states.get()
        assert len(shards) == 64
        assert max(map(len, shards)) == 64
        before = lookup_state._states.get()
        remember((1, "one more", ()), LookupState(("e",)))
        changed = [a is not b for a, b in zip(before, lookup_state._states.get(), strict=True)]
        assert changed.count(True) == 1

    copy_context().run(work)


def test_threads_of_a_batch_do_not_see_one_anothers_lookups() -> None:
    def work(number: int) -> object:
        remember((1, "same", ()), LookupState((f"e{number}",)))
        return recall((1, "same", ())).epochs

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(copy_context().run, work, number) for number in range(50)]
        assert [future.result() for future in futures] == [(f"e{n}",) for n in range(50)]


def test_others_wait_while_a_call_is_in_flight_and_no_longer() -> None:
    def work() -> None:
        calls = InFlightCalls()
        claim = calls.join("p", 30.0, print, None)
        assert isinstance(claim, Leader)
        assert not leads()
        remember((1, "p", ()), LookupState(("e",), "", claim))
        for number in range(10_000):  # however many lookups fail meanwhile
            remember((1, f"failed {number}", ()), LookupState(("e",)))
        assert leads()
        claim.close()
        assert not leads()
        remember((1, "q", ()), LookupState(("e",), "", calls.join("q", 30.0, print, None)))  # type: ignore[arg-type]
        assert claim not in lookup_state._leaders.get()

    copy_context().run(work)
