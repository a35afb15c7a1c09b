import random
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_cache import CachePolicy, Coalesce, InvalidPolicy, InvalidSettings, Mode
from llm_cache._policy.ttl import MAX_SECONDS, TtlBounds

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


@pytest.mark.parametrize(("drawn", "kept"), [(0.0, 600), (0.5, 540), (0.999, 481)])
def test_jitter_shortens_a_ttl_by_at_most_its_share(drawn: float, kept: int) -> None:
    bounds = TtlBounds(default=600, jitter=0.2, random=lambda: drawn)
    assert bounds.resolve(None, "answer", 0.0) == kept


def test_environments_restored_from_one_snapshot_draw_differently() -> None:
    snapshot = random.getstate()
    first = TtlBounds().random()
    random.setstate(snapshot)
    assert TtlBounds().random() != first


def test_without_jitter_a_ttl_is_what_was_asked_for() -> None:
    assert TtlBounds(default=600, random=lambda: 0.999).resolve(None, "answer", 0.0) == 600


@pytest.mark.parametrize("wanted", [10, 11, 3600, 10**6, timedelta(seconds=12), lambda _a, _n: 12])
def test_answers_born_together_do_not_die_together(wanted: Any) -> None:
    bounds = TtlBounds(floor=5, ceiling=3600, jitter=0.9)
    assert len({bounds.resolve(wanted, "answer", 0.0) for _ in range(100)}) > 1


@given(
    wanted=st.floats(-1, 10_000),
    floor=st.floats(0.001, 100),
    jitter=st.floats(0, 1, exclude_max=True),
    drawn=st.floats(0, 1, exclude_max=True),
)
def test_jitter_never_leaves_the_bounds_and_never_unstores(
    wanted: float, floor: float, jitter: float, drawn: float
) -> None:
    plain = TtlBounds(60, floor, 3600).resolve(wanted, "answer", 0.0)
    kept = TtlBounds(60, floor, 3600, jitter, lambda: drawn).resolve(wanted, "answer", 0.0)
    assert (kept is None) == (plain is None)
    if kept is not None and plain is not None:
        assert max(1, floor) <= kept <= plain


@pytest.mark.parametrize("jitter", [-0.1, 1, 1.5, float("nan"), "0.1", False, None])
def test_a_jitter_that_is_no_share_is_refused_by_name(jitter: Any) -> None:
    with pytest.raises(InvalidSettings) as raised:
        TtlBounds(60, jitter=jitter)
    assert str(raised.value).startswith(
        f"ttl_jitter={jitter!r} is not accepted: a share: 0 or more"
    )


@pytest.mark.parametrize(
    ("ttl", "beyond", "kept"), [(60, 0, 60), (60, 40, 100), (60, 10**6, 3600), (3600, 5, 3600)]
)
def test_the_ceiling_holds_for_what_is_kept_beyond_its_ttl(
    ttl: int, beyond: int, kept: int
) -> None:
    assert BOUNDS.kept(ttl, beyond) == kept


def test_the_ceiling_counts_as_whole_seconds_too() -> None:
    assert TtlBounds(60, ceiling=99.5).kept(60, 60) == 100


@pytest.mark.parametrize(
    ("wanted", "kept"), [(None, 2_592_000), (0.1, 1), (MAX_SECONDS + 1, 315_360_000)]
)
def test_by_default_an_answer_is_kept_for_a_month_and_none_longer_than_ten_years(
    wanted: float | None, kept: int
) -> None:
    assert TtlBounds().resolve(wanted, "answer", 0.0) == kept
    assert TtlBounds(ceiling=MAX_SECONDS, floor=MAX_SECONDS).resolve(wanted, "", 0) == 315_360_000


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ((0, 10), "ttl_floor=0 is not accepted: more than 0 seconds, at most 315360000"),
        ((-1, 10), "ttl_floor=-1 is not accepted: more than 0 seconds"),
        ((1, MAX_SECONDS + 1), "ttl_ceiling=315360001 is not accepted: more than 0 seconds"),
        ((20, 10), "ttl_floor=20 is not accepted: at most ttl_ceiling=10"),
    ],
)
def test_bounds_that_exclude_everything_are_refused(bounds: tuple[float, float], told: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        TtlBounds(60, *bounds)
    assert str(raised.value).startswith(told)


@pytest.mark.parametrize("default", [60, timedelta(minutes=1), lambda _answer, _now: 60])
def test_a_default_ttl_is_any_that_a_policy_may_have(default: Any) -> None:
    assert TtlBounds(default, jitter=0).resolve(None, "answer", 0.0) == 60


@pytest.mark.parametrize("default", [-1, "60", None, MAX_SECONDS + 1])
def test_a_default_ttl_that_is_no_time_is_refused(default: Any) -> None:
    with pytest.raises(InvalidPolicy, match=r"^ttl="):
        TtlBounds(default)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ttl": -1}, "ttl=-1 "),
        ({"ttl": "60"}, "ttl='60'"),
        ({"ttl": True}, "ttl=True"),
        ({"ttl": float("nan")}, "ttl=nan"),
        ({"ttl": float("inf")}, "ttl=inf"),
        ({"max_age": -1}, "max_age=-1"),
        ({"max_age": "soon"}, "max_age='soon' is not accepted: seconds as a number"),
        ({"min_fresh": MAX_SECONDS + 1}, "min_fresh=315360001 is not accepted: 0 to 315360000 "),
        ({"max_stale": -1}, "max_stale=-1 "),
        ({"stale_if_error": "1"}, "stale_if_error='1'"),
        (
            {"mode": "always"},
            "mode='always' is not accepted: one of use, refresh, read_only, bypass, only_if_cached",
        ),
        ({"mode": ["use"]}, "mode="),
        ({"ttl ": 60}, "ttl =60 is not accepted: one of the fields ttl, max_age, min_fresh"),
        ({7: 60}, "7=60 is not accepted: one of the fields"),
    ],
)
def test_a_wrong_field_of_an_event_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        CachePolicy.from_event(fields)
    assert str(raised.value).startswith(named)
    assert raised.value.name == named.partition("=")[0]


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


class Unshown:
    def __repr__(self) -> str:
        raise KeyError("of a caller's own")


@pytest.mark.parametrize("field", ["ttl", "mode", "tags", "salt", "unknown"])
@pytest.mark.parametrize(
    "value",
    [10**5000, nested(10_000), Unshown()],
    ids=["long", "deep", "own"],
)
def test_a_value_that_cannot_be_shown_is_refused_all_the_same(field: str, value: Any) -> None:
    with pytest.raises(InvalidPolicy, match=f"^{field}=<(int|list|Unshown)> is not accepted"):
        CachePolicy.from_event({field: value})


def test_an_event_field_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match=r"^cache=<list> is .*: an object$"):
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
        ("max-age=315360000", Mode.USE, 315_360_000),
        ("max-age=0000000000000060", Mode.USE, 60),
        ("max-age=" + "0" * 5000, Mode.USE, 0),
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
    with pytest.raises(InvalidPolicy, match=r"^Cache-Control max-age=.*: a whole number of sec"):
        CachePolicy.from_cache_control(f"max-age={age}")


def test_a_directive_that_is_no_number_is_shown() -> None:
    with pytest.raises(InvalidPolicy, match=r"^Cache-Control min-fresh='1m' is not accepted"):
        CachePolicy.from_cache_control("no-cache, min-fresh=1m")


def test_an_inner_policy_wins_field_by_field() -> None:
    outer = CachePolicy(ttl=60, max_age=5, mode="read_only")
    assert CachePolicy(ttl=9).within(outer) == CachePolicy(ttl=9, max_age=5, mode="read_only")
    assert CachePolicy(mode="use").within(outer).effective_mode is Mode.USE


def test_two_policies_joined_allow_what_both_allow() -> None:
    joined = CachePolicy(ttl=60, max_age=9) & CachePolicy(max_age=5, mode="read_only")
    assert joined == CachePolicy(ttl=60, max_age=5, mode=Mode.READ_ONLY)


@pytest.mark.parametrize(
    ("field", "one", "other", "both"),
    [
        ("max_age", 5, timedelta(seconds=9), 5),
        ("max_age", 9, None, 9),
        ("min_fresh", 5, timedelta(seconds=9), 9),
        ("min_fresh", 5, None, 5),
        ("max_stale", 5, timedelta(seconds=9), 5),
        ("max_stale", 9, 5, 5),
        ("max_stale", 0, 9, 0),
        ("ttl", 60, 5, 60),
        ("ttl", None, 5, 5),
        ("stale_if_error", 9, 5, 9),
        ("salt", "one", "other", "one"),
    ],
)
def test_joined_policies_accept_what_both_accept_and_else_the_first_decides(
    field: str, one: Any, other: Any, both: Any
) -> None:
    first, second = CachePolicy(**{field: one}), CachePolicy(**{field: other})
    assert first & second == CachePolicy(**{field: both}, mode="use")


def test_a_policy_stays_as_it_is() -> None:
    with pytest.raises(FrozenInstanceError):
        CachePolicy(ttl=60).ttl = 61  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        BOUNDS.ceiling = 10**9  # type: ignore[misc]


def test_the_fields_of_a_policy_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        CachePolicy(60)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("mode", "reads", "stores"),
    [
        ("use", True, True),
        ("refresh", False, True),
        ("read_only", True, False),
        ("bypass", False, False),
        ("only_if_cached", True, False),
    ],
)
def test_a_mode_says_whether_to_read_and_whether_to_store(
    mode: str, reads: bool, stores: bool
) -> None:
    effective = CachePolicy(mode=mode).effective_mode
    assert (effective.reads, effective.stores) == (reads, stores)


def test_policies_that_do_not_read_ask_for_no_freshness_where_one_inside_them_reads() -> None:
    joined = CachePolicy(mode="refresh") & CachePolicy(mode="bypass")
    assert CachePolicy(mode="use").within(joined) == CachePolicy(mode="use")


@pytest.mark.parametrize("one", Mode)
@pytest.mark.parametrize("other", Mode)
def test_joined_modes_read_and_store_only_where_both_do(one: Mode, other: Mode) -> None:
    both = CachePolicy(mode=one) & CachePolicy(mode=other)
    mode = both.effective_mode
    assert (mode.reads and both.accepts(5, 10)) == (one.reads and other.reads)
    assert mode.stores == (one.stores and other.stores)
    assert (mode is Mode.ONLY_IF_CACHED) == (Mode.ONLY_IF_CACHED in (one, other))
    assert mode is Mode.ONLY_IF_CACHED or mode.reads == (one.reads and other.reads)


@pytest.mark.parametrize(
    ("fields", "age", "remaining", "accepted"),
    [
        ({}, 10**9, 0.1, True),
        ({}, 5, 0, False),
        ({"max_stale": 7}, 5, 0.1, True),
        ({"max_age": 5}, 4.9, 10, True),
        ({"max_age": 5}, 5.0, 10, True),
        ({"max_age": 5}, 5.1, 10, False),
        ({"max_age": timedelta(minutes=1)}, 60.0, 10, True),
        ({"max_age": 0}, 0.1, 10, False),
        ({"min_fresh": 10}, 5, 10, True),
        ({"min_fresh": 10}, 5, 10.1, True),
        ({"min_fresh": 10}, 5, 9.9, False),
        ({"min_fresh": timedelta(seconds=10)}, 5, 9.9, False),
        ({"min_fresh": 0}, 5, 0, True),
        ({"max_stale": 7}, 5, -6.9, True),
        ({"max_stale": 7}, 5, -7, True),
        ({"max_stale": 7}, 5, -7.1, False),
        ({"max_stale": timedelta(seconds=7)}, 5, -7, True),
        ({"max_stale": 0}, 5, 0, True),
        ({"max_stale": 7, "min_fresh": 1}, 5, -1, False),
        ({"max_stale": 7, "max_age": 4}, 5, -1, False),
        ({"stale_if_error": 60}, 5, -1, False),
    ],
)
def test_age_and_time_left_are_judged(
    fields: dict[str, Any], age: float, remaining: float, accepted: bool
) -> None:
    assert CachePolicy(**fields).accepts(age, remaining) is accepted


def test_what_is_kept_beyond_its_ttl_is_for_errors() -> None:
    policy = CachePolicy(stale_if_error=60.5)
    assert policy.kept_beyond == 61
    assert [policy.tolerates_on_error(left) for left in (-60, -61)] == [True, False]
    assert CachePolicy(stale_if_error=timedelta(minutes=1)).kept_beyond == 60
    assert CachePolicy(stale_if_error=timedelta(minutes=1)).tolerates_on_error(-60)
    assert CachePolicy().kept_beyond == 0
    assert not CachePolicy().tolerates_on_error(-0.1)


@pytest.mark.parametrize(
    ("header", "policy"),
    [
        ("min-fresh=9", CachePolicy(mode=Mode.USE, min_fresh=9)),
        ("max-stale=9", CachePolicy(mode=Mode.USE, max_stale=9)),
        ("max-stale", CachePolicy(mode=Mode.USE, max_stale=MAX_SECONDS)),
        ("stale-if-error=9", CachePolicy(mode=Mode.USE, stale_if_error=9)),
        ("only-if-cached", CachePolicy(mode=Mode.ONLY_IF_CACHED)),
        (
            "only-if-cached, no-cache",
            CachePolicy(mode=Mode.ONLY_IF_CACHED, min_fresh=float(MAX_SECONDS)),
        ),
        ("only-if-cached, no-store", CachePolicy(mode=Mode.ONLY_IF_CACHED)),
    ],
)
def test_the_rarer_directives_are_read_too(header: str, policy: CachePolicy) -> None:
    assert CachePolicy.from_cache_control(header) == policy


def test_a_raising_ttl_callable_is_not_swallowed_here() -> None:
    def broken(_answer: object, _now: float) -> float:
        raise KeyError("tenant")

    wanted: Callable[[Any, float], float] = broken
    with pytest.raises(KeyError):
        BOUNDS.resolve(wanted, "answer", 0.0)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tags": "abc"}, "tags=<3 characters> is not accepted: a list of at most 8 texts"),
        ({"tags": {"a"}}, "tags="),
        ({"tags": 7}, "tags=7"),
        ({"tags": ["a"] * 9}, "tags="),
        ({"tags": ["a", ""]}, "tags='' is not accepted: text of 1 to 1000 characters"),
        ({"tags": [7]}, "tags=7"),
        ({"tenant": ""}, "tenant=''"),
        ({"salt": "x" * 1001}, "salt=<1001 characters> is not accepted: text of 1 to 1000"),
        ({"namespace": "a\n"}, "namespace="),
        ({"namespace": ""}, "namespace="),
        ({"key": ""}, "key=''"),
    ],
)
def test_a_wrong_partition_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        CachePolicy(**fields)
    assert str(raised.value).startswith(named)


def test_eight_tags_and_texts_of_a_thousand_characters_are_accepted() -> None:
    tags = [f"{number}".ljust(1000, "x") for number in range(8)]
    policy = CachePolicy(tags=tags, tenant="x" * 1000, salt="x")
    assert policy.tags == tuple(tags)


@pytest.mark.parametrize("field", ["tenant", "namespace", "key"])
def test_who_somebody_is_cannot_be_chosen_in_an_event(field: str) -> None:
    with pytest.raises(
        InvalidPolicy, match=r"one of the fields ttl, max_age, .*mode, coalesce, tags, salt$"
    ):
        CachePolicy.from_event({field: "another"})


@pytest.mark.parametrize("value", ["all", True, 1])
def test_an_unknown_way_to_coalesce_is_named(value: Any) -> None:
    with pytest.raises(InvalidPolicy, match=r"coalesce=.*one of off, process, fleet$"):
        CachePolicy(coalesce=value)


@pytest.mark.parametrize(
    ("fields", "effective"),
    [
        ({}, Coalesce.FLEET),
        ({"ttl": 60}, Coalesce.FLEET),
        ({"ttl": 1}, Coalesce.FLEET),
        ({"ttl": lambda *_: None}, Coalesce.FLEET),  # nobody knows before the answer
        ({"ttl": 0}, Coalesce.OFF),
        ({"ttl": timedelta(0)}, Coalesce.OFF),
        ({"mode": "use"}, Coalesce.FLEET),
        ({"mode": "read_only"}, Coalesce.OFF),
        ({"mode": "refresh"}, Coalesce.OFF),
        ({"mode": "only_if_cached"}, Coalesce.OFF),
        ({"coalesce": "process"}, Coalesce.PROCESS),
        ({"coalesce": "off"}, Coalesce.OFF),
        ({"coalesce": None}, Coalesce.OFF),
    ],
)
def test_nobody_waits_for_what_will_not_be_stored_or_read(
    fields: dict[str, Any], effective: Coalesce
) -> None:
    assert CachePolicy(**{"coalesce": "fleet", **fields}).effective_coalesce is effective


def test_joined_policies_carry_the_tags_of_both() -> None:
    joined = CachePolicy(tags=("a", "b")) & CachePolicy(tags=("b", "c"), tenant="t")
    assert (joined.tags, joined.tenant) == (("a", "b", "c"), "t")
