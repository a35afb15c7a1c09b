from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from llm_cache import CachePolicy, InvalidPolicy, InvalidSettings, Mode
from llm_cache.policy import MAX_SECONDS, TtlBounds

BOUNDS = TtlBounds(default=600, floor=10, ceiling=3600)


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
def test_a_wish_is_clamped_between_floor_and_ceiling(wanted: Any, kept: int | None) -> None:
    assert BOUNDS.resolve(wanted, "answer", 0.0) == kept


def test_a_ttl_callable_is_given_the_answer_and_the_time() -> None:
    seen: list[object] = []

    def until_midnight(answer: object, now: float) -> float:
        seen.append((answer, now))
        return 86_400 - now % 86_400

    assert BOUNDS.resolve(until_midnight, "the answer", 86_400 * 3 - 120) == 120
    assert seen == [("the answer", 86_400 * 3 - 120)]


@pytest.mark.parametrize("bounds", [(0, 10), (20, 10), (1, MAX_SECONDS + 1)])
def test_bounds_that_exclude_everything_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(InvalidSettings, match="floor and ceiling"):
        TtlBounds(60, *bounds)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ttl": -1}, "ttl=-1 "),
        ({"ttl": "60"}, "ttl='60'"),
        ({"ttl": True}, "ttl=True"),
        ({"ttl": float("nan")}, "ttl=nan"),
        ({"ttl": float("inf")}, "ttl=inf"),
        ({"max_age": -1}, "max_age=-1"),
        ({"max_age": "soon"}, "max_age='soon'"),
        ({"mode": "always"}, "mode='always' is not accepted: one of use, refresh, read_only"),
        ({"mode": ["use"]}, "mode="),
        ({"ttl ": 60}, "ttl =60 is not accepted: one of the fields ttl, max_age, mode, tags"),
    ],
)
def test_a_wrong_field_of_an_event_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        CachePolicy.from_event(fields)
    assert named in str(raised.value)


def test_an_event_field_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match="an object"):
        CachePolicy.from_event([("ttl", 60)])


def test_an_event_gives_ttl_and_mode() -> None:
    policy = CachePolicy.from_event({"ttl": 60, "mode": "refresh", "max_age": None})
    assert policy == CachePolicy(ttl=60, mode=Mode.REFRESH)


@pytest.mark.parametrize(
    ("header", "mode", "max_age"),
    [
        ("", Mode.USE, None),
        ("max-age=60", Mode.USE, 60),
        ('max-age="60"', Mode.USE, 60),
        ("MAX-AGE=0", Mode.USE, 0),
        ("no-cache", Mode.REFRESH, None),
        ("No-Store", Mode.READ_ONLY, None),
        ("no-cache, no-store", Mode.BYPASS, None),
        ("max-age=5,max-age=9", Mode.USE, 5),
        ("max-age=99999999999999999999", Mode.USE, MAX_SECONDS),
        ('community="no-store, UCI", max-age=1', Mode.USE, 1),
        ("only-if-never-heard-of, immutable", Mode.USE, None),
        (", ,=,;", Mode.USE, None),
    ],
)
def test_a_readers_cache_control_is_read_as_rfc_9111_means_it(
    header: str, mode: Mode, max_age: float | None
) -> None:
    policy = CachePolicy.from_cache_control(header)
    assert (policy.effective_mode, policy.max_age) == (mode, max_age)


@pytest.mark.parametrize("age", ["-1", "1.5", "soon", "", " 60", "٣"])
def test_a_max_age_that_is_no_number_is_named(age: str) -> None:
    with pytest.raises(InvalidPolicy, match="Cache-Control max-age"):
        CachePolicy.from_cache_control(f"max-age={age}")


def test_an_inner_policy_wins_field_by_field() -> None:
    outer = CachePolicy(ttl=60, max_age=5, mode="read_only")
    assert CachePolicy(ttl=9).within(outer) == CachePolicy(ttl=9, max_age=5, mode="read_only")
    assert CachePolicy(mode="use").within(outer).effective_mode is Mode.USE


def test_two_policies_joined_allow_what_both_allow() -> None:
    joined = CachePolicy(ttl=60, max_age=9) & CachePolicy(max_age=5, mode="read_only")
    assert joined == CachePolicy(ttl=60, max_age=5, mode=Mode.READ_ONLY)


@pytest.mark.parametrize("one", Mode)
@pytest.mark.parametrize("other", Mode)
def test_joined_modes_read_and_store_only_where_both_do(one: Mode, other: Mode) -> None:
    both = one & other
    assert both.reads == (one.reads and other.reads)
    assert both.stores == (one.stores and other.stores)


def test_an_age_equal_to_max_age_is_accepted() -> None:
    assert CachePolicy(max_age=5).accepts_age(5.0)
    assert not CachePolicy(max_age=5).accepts_age(5.1)
    assert CachePolicy(max_age=timedelta(minutes=1)).accepts_age(60.0)
    assert CachePolicy().accepts_age(10**9)


def test_a_raising_ttl_callable_is_not_swallowed_here() -> None:
    def broken(_answer: object, _now: float) -> float:
        raise KeyError("tenant")

    wanted: Callable[[Any, float], float] = broken
    with pytest.raises(KeyError):
        BOUNDS.resolve(wanted, "answer", 0.0)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tags": "abc"}, "tags='abc'"),
        ({"tags": ["a"] * 9}, "a list of at most 8"),
        ({"tags": ["a", ""]}, "tags=''"),
        ({"tags": [7]}, "tags=7"),
        ({"tenant": ""}, "tenant=''"),
        ({"salt": "x" * 1001}, "salt="),
        ({"namespace": "a\n"}, "namespace="),
    ],
)
def test_a_wrong_partition_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        CachePolicy(**fields)
    assert named in str(raised.value)


@pytest.mark.parametrize("field", ["tenant", "namespace"])
def test_who_somebody_is_cannot_be_chosen_in_an_event(field: str) -> None:
    with pytest.raises(InvalidPolicy, match="one of the fields ttl, max_age, mode, tags, salt"):
        CachePolicy.from_event({field: "another"})


def test_joined_policies_carry_the_tags_of_both() -> None:
    joined = CachePolicy(tags=("a", "b")) & CachePolicy(tags=("b", "c"), tenant="t")
    assert (joined.tags, joined.tenant) == (("a", "b", "c"), "t")
