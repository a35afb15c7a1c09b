import random
from dataclasses import FrozenInstanceError
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_cache._policy.ttl import TtlBounds

bounded = partial(TtlBounds, default=600, floor=10, ceiling=3600)
BOUNDS = bounded()


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (None, 600),
        (60, 60),
        (60.2, 61),
        (timedelta(minutes=2), 120),
        (1, 10),
        (86_400, 3600),
        (0, None),
        (timedelta(0), None),
        (lambda _answer, _now: 77, 77),
        (lambda _answer, _now: timedelta(seconds=99), 99),
        (lambda _answer, _now: None, None),
        (lambda _answer, _now: -5, None),
        (lambda _answer, _now: 10**9, 3600),
    ],
)
def test_ttl_is_clamped_between_floor_and_ceiling(wanted: Any, kept: int | None) -> None:
    assert BOUNDS.resolve(wanted, "answer", 0.0) == kept
    if wanted is not None:
        assert bounded(default=wanted).resolve(None, "answer", 0.0) == kept


def test_callable_ttl_gets_the_answer_and_the_time() -> None:
    seen: list[object] = []

    def until_midnight(answer: object, now: float) -> float:
        seen.append((answer, now))
        return 86_400 - now % 86_400

    assert BOUNDS.resolve(until_midnight, "the answer", 86_400 * 3 - 120) == 120
    assert seen == [("the answer", 86_400 * 3 - 120)]


def test_error_of_a_callable_ttl_is_raised() -> None:
    def broken(_answer: object, _now: float) -> float:
        raise KeyError("tenant")

    with pytest.raises(KeyError):
        BOUNDS.resolve(broken, "answer", 0.0)


@pytest.mark.parametrize(
    ("jitter", "drawn", "kept"), [(0.2, 0.0, 600), (0.2, 0.5, 540), (0.2, 0.999, 481), (0, 1, 600)]
)
def test_jitter_shortens_a_ttl_by_at_most_its_share(jitter: float, drawn: float, kept: int) -> None:
    assert bounded(jitter=jitter, random=lambda: drawn).resolve(None, "answer", 0.0) == kept


def test_processes_restored_from_one_snapshot_draw_different_numbers() -> None:
    snapshot = random.getstate()
    first = BOUNDS.random()
    random.setstate(snapshot)
    assert BOUNDS.random() != first


@pytest.mark.parametrize("wanted", [10, 11, 3600, 10**6, timedelta(seconds=12), lambda _a, _n: 12])
def test_answers_stored_together_with_jitter_expire_at_different_times(wanted: Any) -> None:
    bounds = bounded(floor=5, jitter=0.9)
    assert len({bounds.resolve(wanted, "answer", 0.0) for _ in range(100)}) > 1


@given(
    wanted=st.floats(-1, 10_000),
    floor=st.floats(0.001, 100),
    jitter=st.floats(0, 1, exclude_max=True),
    drawn=st.floats(0, 1, exclude_max=True),
)
def test_jittered_ttl_stays_within_the_bounds_and_stores_the_same_answers(
    wanted: float, floor: float, jitter: float, drawn: float
) -> None:
    plain = TtlBounds(60, floor, 3600).resolve(wanted, "answer", 0.0)
    kept = TtlBounds(60, floor, 3600, jitter, lambda: drawn).resolve(wanted, "answer", 0.0)
    assert (kept is None) == (plain is None)
    if kept is not None and plain is not None:
        assert max(1, floor) <= kept <= plain


@pytest.mark.parametrize(
    ("ceiling", "ttl", "beyond", "kept"),
    [
        (3600, 60, 0, 60),
        (3600, 60, 40, 100),
        (3600, 60, 10**6, 3600),
        (3600, 3600, 5, 3600),
        (99.5, 60, 60, 100),
    ],
)
def test_ceiling_limits_ttl_and_stale_time_together(
    ceiling: float, ttl: int, beyond: int, kept: int
) -> None:
    assert bounded(ceiling=ceiling).kept(ttl, beyond) == kept


def test_bounds_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        BOUNDS.ceiling = 10**9  # type: ignore[misc]
