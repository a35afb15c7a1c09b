import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from llm_cache import CachePolicy, Mode, Outcome, Status
from llm_cache._engine.lookup_state import LookupState, recall, remember
from llm_cache._engine.scope import current, entered
from llm_cache._protocol.store import Unseen
from llm_cache._report import Tokens


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 1500


def test_policies_nest_and_inner_fields_win() -> None:
    with entered(CachePolicy(ttl=60, mode="read_only"), None):
        with entered(CachePolicy(mode="use"), None):
            assert current().policy == CachePolicy(ttl=60, mode="use")
        assert current().policy.effective_mode is Mode.READ_ONLY
    assert current().policy == CachePolicy()


def test_an_inner_block_keeps_the_outer_blocks_deadline() -> None:
    with entered(CachePolicy(), Context()), entered(CachePolicy(), None):
        remaining = current().remaining
        assert remaining is not None
        assert remaining() == 1.5
    assert current().remaining is None


def test_an_outer_report_holds_what_happened_inside_inner_blocks() -> None:
    hit = Outcome(status=Status.HIT, key="k", tokens=Tokens(4, 3))
    with entered(CachePolicy(), None) as outer:
        with entered(CachePolicy(), None) as inner:
            current().report.add(hit)
        current().report.add(Outcome(status=Status.ERROR, key="k"))
    assert (inner.hits, inner.errors, inner.tokens_saved) == (1, 0, 7)
    assert (outer.hits, outer.errors, outer.misses, outer.stored) == (1, 1, 0, 0)
    assert inner.last is hit


def test_a_report_adds_up_what_the_cache_took() -> None:
    with entered(CachePolicy(), None) as report:
        report.add(Outcome(status=Status.MISS, key="k", seconds=0.25))
        report.add(Outcome(status=Status.SKIPPED, key="k", seconds=0.5))
    assert (report.milliseconds, report.skipped, report.misses) == (750, 1, 1)


def test_what_is_left_to_do_is_done_when_the_block_ends_and_in_it() -> None:
    done: list[object] = []
    with entered(CachePolicy(ttl=60), None):
        current().at_exit.append(lambda: done.append(current().policy.ttl))
        assert done == []
    assert done == [60]


def test_an_update_recalls_what_its_lookup_saw_once() -> None:
    remember((1, "k", ()), LookupState(("e1",)))
    assert recall((1, "k", ())).epochs == ("e1",)
    assert recall((1, "k", ())).epochs is Unseen.NOT_LOOKED_UP


def test_what_one_cache_saw_is_nothing_to_another() -> None:
    remember((1, "k", ()), LookupState(("e1",)))
    assert recall((2, "k", ())).epochs is Unseen.NOT_LOOKED_UP
    assert recall((1, "k", ())).epochs == ("e1",)


def test_threads_of_one_batch_do_not_see_each_others_lookups() -> None:
    def one(epoch: str) -> object:
        remember((1, "same", ()), LookupState((epoch,)))
        return recall((1, "same", ())).epochs

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(copy_context().run, one, f"e{number}") for number in range(50)]
        assert [task.result() for task in work] == [(f"e{number}",) for number in range(50)]
    assert recall((1, "same", ())).epochs is Unseen.NOT_LOOKED_UP


def test_tasks_of_one_gather_do_not_see_each_others_lookups() -> None:
    async def one(epoch: str) -> object:
        remember((1, "same", ()), LookupState((epoch,)))
        await asyncio.sleep(0)
        return recall((1, "same", ())).epochs

    async def main() -> list[object]:
        return list(await asyncio.gather(*(one(f"e{number}") for number in range(50))))

    assert asyncio.run(main()) == [(f"e{number}",) for number in range(50)]


def test_lookups_whose_calls_failed_do_not_pile_up() -> None:
    def many() -> list[object]:
        for number in range(5000):
            remember((1, f"k{number}", ()), LookupState(("e",)))
        return [recall((1, "k0", ())).epochs, recall((1, "k4999", ())).epochs]

    assert copy_context().run(many) == [Unseen.NOT_LOOKED_UP, ("e",)]
