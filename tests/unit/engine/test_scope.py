"""Policy blocks: their policy, their report, and the cleanup at their end."""

import pytest

from llm_cache import CachePolicy, Mode, Outcome, Status
from llm_cache._engine.scope import current, entered
from llm_cache._report import Tokens


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 1500


def test_fields_of_the_inner_policy_win() -> None:
    with entered(CachePolicy(ttl=60, mode="read_only"), None):
        with entered(CachePolicy(mode="use"), None):
            assert current().policy == CachePolicy(ttl=60, mode="use")
        assert current().policy.effective_mode is Mode.READ_ONLY
    assert current().policy == CachePolicy()


def test_inner_block_keeps_the_time_limit_of_the_outer_block() -> None:
    with entered(CachePolicy(), Context()), entered(CachePolicy(), None):
        remaining = current().remaining
        assert remaining is not None
        assert remaining() == 1.5
    assert current().remaining is None


def test_outer_report_includes_the_outcomes_of_inner_blocks() -> None:
    hit = Outcome(status=Status.HIT, key="k", tokens=Tokens(4, 3))
    with entered(CachePolicy(), None) as outer:
        with entered(CachePolicy(), None) as inner:
            current().report.add(hit)
        current().report.add(Outcome(status=Status.ERROR, key="k"))
    assert (inner.hits, inner.errors, inner.tokens_saved) == (1, 0, 7)
    assert (outer.hits, outer.errors, outer.misses, outer.stored) == (1, 1, 0, 0)
    assert inner.last is hit


def test_report_adds_up_the_time_of_the_cache() -> None:
    with entered(CachePolicy(), None) as report:
        report.add(Outcome(status=Status.MISS, key="k", seconds=0.25))
        report.add(Outcome(status=Status.SKIPPED, key="k", seconds=0.5))
    assert (report.milliseconds, report.skipped, report.misses) == (750, 1, 1)


def test_cleanup_runs_at_the_end_of_the_block_under_its_policy() -> None:
    ttls: list[object] = []
    with entered(CachePolicy(ttl=60), None):
        current().at_exit.append(lambda: ttls.append(current().policy.ttl))
        assert ttls == []
    assert ttls == [60]


def record_and_raise(error: BaseException, done: list[str]) -> None:
    done.append(type(error).__name__)
    raise error


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit()])
def test_policy_ends_with_its_block_when_cleanup_raises(error: BaseException) -> None:
    done: list[str] = []
    try:
        with entered(CachePolicy(tenant="42"), None):
            current().at_exit.append(lambda: done.append("first"))
            current().at_exit.append(lambda: record_and_raise(error, done))
    except (KeyboardInterrupt, SystemExit):
        assert done == [type(error).__name__]
    else:
        assert done == ["ValueError", "first"]
    assert current().policy == CachePolicy()


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()])
def test_error_of_the_block_passes_through_a_failing_cleanup(error: BaseException) -> None:
    def block() -> None:
        with entered(CachePolicy(tenant="42"), None):
            current().at_exit.append(lambda: record_and_raise(OSError(), []))
            raise error

    with pytest.raises(type(error)):
        block()
    assert current().policy == CachePolicy()
