import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from llm_cache import CachePolicy, Mode, Outcome, Status
from llm_cache.operations import Unseen
from llm_cache.scope import current, entered, recall_epochs, remember_epochs


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
    hit = Outcome(status=Status.HIT, key="k", tokens=7)
    with entered(CachePolicy(), None) as outer:
        with entered(CachePolicy(), None) as inner:
            current().report.add(hit)
        current().report.add(Outcome(status=Status.ERROR, key="k"))
    assert (inner.hits, inner.errors, inner.tokens_saved) == (1, 0, 7)
    assert (outer.hits, outer.errors, outer.misses, outer.stored) == (1, 1, 0, 0)
    assert inner.last is hit


def test_an_update_recalls_what_its_lookup_saw_once() -> None:
    remember_epochs((1, "k", ()), ("e1",))
    assert recall_epochs((1, "k", ())) == ("e1",)
    assert recall_epochs((1, "k", ())) is Unseen.NOT_LOOKED_UP


def test_what_one_cache_saw_is_nothing_to_another() -> None:
    remember_epochs((1, "k", ()), ("e1",))
    assert recall_epochs((2, "k", ())) is Unseen.NOT_LOOKED_UP
    assert recall_epochs((1, "k", ())) == ("e1",)


def test_threads_of_one_batch_do_not_see_each_others_lookups() -> None:
    def one(epoch: str) -> object:
        remember_epochs((1, "same", ()), (epoch,))
        return recall_epochs((1, "same", ()))

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(copy_context().run, one, f"e{number}") for number in range(50)]
        assert [task.result() for task in work] == [(f"e{number}",) for number in range(50)]
    assert recall_epochs((1, "same", ())) is Unseen.NOT_LOOKED_UP


def test_tasks_of_one_gather_do_not_see_each_others_lookups() -> None:
    async def one(epoch: str) -> object:
        remember_epochs((1, "same", ()), (epoch,))
        await asyncio.sleep(0)
        return recall_epochs((1, "same", ()))

    async def main() -> list[object]:
        return list(await asyncio.gather(*(one(f"e{number}") for number in range(50))))

    assert asyncio.run(main()) == [(f"e{number}",) for number in range(50)]


def test_lookups_whose_calls_failed_do_not_pile_up() -> None:
    def many() -> list[object]:
        for number in range(5000):
            remember_epochs((1, f"k{number}", ()), ("e",))
        return [recall_epochs((1, "k0", ())), recall_epochs((1, "k4999", ()))]

    assert copy_context().run(many) == [Unseen.NOT_LOOKED_UP, ("e",)]
