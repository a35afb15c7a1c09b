"""What a report must hold, and what a failure shows."""

import re

import pytest

from llm_cache import Outcome, Reason, Report, Status, testing
from llm_cache.testing import assert_hit, assert_miss

HIT = Outcome(status=Status.HIT, key="k")
STORED = Outcome(status=Status.STORED, key="k")
STALE = Outcome(status=Status.STALE, key="k", why=Reason.EXPIRED)
UNKNOWN = Outcome(status=Status.MISS, key="k", why=Reason.UNKNOWN)
CLEARED = Outcome(status=Status.MISS, key="k", why=Reason.CLEARED, detail="by a tag 2 s ago")
ERROR = Outcome(status=Status.ERROR, key="k", why=Reason.TIMEOUT)


@pytest.mark.parametrize("outcomes", [[HIT], [HIT, HIT]])
def test_report_of_hits_is_a_hit(outcomes: list[Outcome]) -> None:
    assert_hit(Report(outcomes))


@pytest.mark.parametrize("outcomes", [[], [UNKNOWN, STORED], [HIT, UNKNOWN], [HIT, ERROR], [STALE]])
def test_report_with_anything_else_is_no_hit(outcomes: list[Outcome]) -> None:
    with pytest.raises(AssertionError, match="expected only hits"):
        assert_hit(Report(outcomes))


@pytest.mark.parametrize("outcomes", [[UNKNOWN, STORED], [UNKNOWN, ERROR], [UNKNOWN, CLEARED]])
def test_report_of_misses_is_a_miss(outcomes: list[Outcome]) -> None:
    assert_miss(Report(outcomes))


@pytest.mark.parametrize("outcomes", [[], [HIT], [HIT, UNKNOWN], [ERROR], [UNKNOWN, STALE]])
def test_report_with_anything_else_is_no_miss(outcomes: list[Outcome]) -> None:
    with pytest.raises(AssertionError, match="expected only misses"):
        assert_miss(Report(outcomes))


@pytest.mark.parametrize("reason", [Reason.CLEARED, "cleared"])
def test_every_miss_must_have_the_reason(reason: Reason | str) -> None:
    assert_miss(Report([CLEARED, STORED]), reason)
    for outcomes in ([UNKNOWN], [CLEARED, UNKNOWN]):
        with pytest.raises(AssertionError, match=re.escape("only misses (cleared)")):
            assert_miss(Report(outcomes), reason)


def test_unknown_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        assert_miss(Report([UNKNOWN]), "nonsense")


def test_failure_lists_every_outcome_with_reason_and_detail() -> None:
    with pytest.raises(AssertionError) as failure:
        assert_hit(Report([HIT, CLEARED, STORED]))
    assert str(failure.value).splitlines() == [
        "expected only hits; the report has:",
        "  1. hit",
        "  2. miss (cleared): by a tag 2 s ago",
        "  3. stored",
    ]


def test_failure_of_an_unused_cache_names_the_remedy() -> None:
    with pytest.raises(AssertionError, match="set_llm_cache"):
        assert_hit(Report())


def test_package_offers_no_other_name() -> None:
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert not hasattr(testing, "Nonsense")
