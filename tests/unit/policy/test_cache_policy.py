import math
from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest

from llm_cache import CachePolicy, Coalesce, InvalidPolicy, Mode
from llm_cache._policy.ttl import MAX_SECONDS

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ttl": -1}, "ttl=-1 is not accepted: 0 to 315360000 seconds"),
        ({"ttl": "60"}, "ttl='60'"),
        ({"ttl": ""}, "ttl=''"),
        ({"ttl": True}, "ttl=True"),
        ({"ttl": math.nan}, "ttl=nan"),
        ({"ttl": math.inf}, "ttl=inf"),
        ({"ttl": timedelta(days=-1)}, "ttl=datetime.timedelta(days=-1)"),
        ({"max_age": -1}, "max_age=-1"),
        ({"max_age": "soon"}, "max_age='soon' is not accepted: 0 to 315360000 seconds as a number"),
        ({"min_fresh": MAX_SECONDS + 1}, "min_fresh=315360001 is not accepted: 0 to 315360000 "),
        ({"max_stale": -1}, "max_stale=-1 "),
        ({"stale_if_error": "1"}, "stale_if_error='1'"),
        (
            {"mode": "always"},
            "mode='always' is not accepted: one of use, refresh, read_only, bypass, only_if_cached",
        ),
        ({"mode": ["use"]}, "mode="),
        ({"coalesce": "all"}, "coalesce='all' is not accepted: one of off, process, fleet"),
        ({"coalesce": True}, "coalesce=True"),
        ({"tags": "abc"}, "tags=<3 characters> is not accepted: a list of at most 8 texts"),
        ({"tags": {"a"}}, "tags="),
        ({"tags": 7}, "tags=7"),
        ({"tags": ["a"] * 9}, "tags="),
        ({"tags": ["a", ""]}, "tags='' is not accepted: text of 1 to 1000 characters"),
        ({"tags": [7]}, "tags=7"),
        ({"tenant": ""}, "tenant=''"),
        ({"salt": "x" * 1001}, "salt=<1001 characters> is not accepted: text of 1 to 1000"),
        ({"namespace": "a\n"}, "namespace='a\\n' is not accepted: 1 to 200 printable characters"),
        ({"namespace": ""}, "namespace="),
        ({"key": ""}, "key=''"),
    ],
)
def test_wrong_field_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        CachePolicy(**fields)
    assert str(raised.value).startswith(message)
    assert raised.value.name == message.partition("=")[0]


def test_largest_tags_and_texts_are_accepted() -> None:
    tags = [f"{number}".ljust(1000, "x") for number in range(8)]
    policy = CachePolicy(tags=tags, tenant="x" * 1000, salt="x")
    assert policy.tags == tuple(tags)


def test_event_sets_fields_and_null_leaves_one_unset() -> None:
    policy = CachePolicy.from_event({"ttl": 60, "mode": "refresh", "max_age": None})
    assert policy == CachePolicy(ttl=60, mode=Mode.REFRESH)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ([("ttl", 60)], r"^cache=<list> is not accepted: an object$"),
        ({"ttl": "60"}, r"^ttl='60'"),
        ({"ttl ": 60}, r"^ttl =60 is not accepted: one of the fields ttl, max_age, min_fresh"),
        ({7: 60}, r"^7=60 is not accepted: one of the fields"),
        *(
            ({name: "x"}, f"^{name}=<1 characters>.* ttl, max_age, .*mode, coalesce, tags, salt$")
            for name in ("tenant", "namespace", "key")
        ),
    ],
)
def test_wrong_event_is_refused(event: Any, message: str) -> None:
    with pytest.raises(InvalidPolicy, match=message):
        CachePolicy.from_event(event)


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


class Unshown:
    def __repr__(self) -> str:
        raise KeyError("in a repr")


@pytest.mark.parametrize("field", ["ttl", "mode", "tags", "salt", "unknown"])
@pytest.mark.parametrize(
    "value", [10**5000, nested(10_000), Unshown()], ids=["long", "deep", "raising"]
)
def test_value_without_a_repr_is_refused_by_its_class(field: str, value: Any) -> None:
    with pytest.raises(InvalidPolicy, match=f"^{field}=<(int|list|Unshown)> is not accepted"):
        CachePolicy.from_event({field: value})


def test_inner_policy_wins_field_by_field() -> None:
    outer = CachePolicy(ttl=60, max_age=5, mode="read_only")
    assert CachePolicy(ttl=9).within(outer) == CachePolicy(ttl=9, max_age=5, mode="read_only")
    assert CachePolicy(mode="use", max_age=0).within(outer) == CachePolicy(
        ttl=60, max_age=0, mode="use"
    )


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
        ("tags", ("a", "b"), ("b", "c"), ("a", "b", "c")),
        ("tenant", None, "t", "t"),
    ],
)
def test_joined_policy_has_the_stricter_limits_and_else_the_first_value(
    field: str, one: Any, other: Any, both: Any
) -> None:
    first, second = CachePolicy(**{field: one}), CachePolicy(**{field: other})
    assert first & second == CachePolicy(**{field: both}, mode="use")


@pytest.mark.parametrize("one", Mode)
@pytest.mark.parametrize("other", Mode)
def test_joined_modes_read_and_store_only_where_both_do(one: Mode, other: Mode) -> None:
    both = CachePolicy(mode=one) & CachePolicy(mode=other)
    mode = both.effective_mode
    assert (mode.reads and both.accepts(5, 10)) == (one.reads and other.reads)
    assert mode.stores == (one.stores and other.stores)
    assert (mode is Mode.ONLY_IF_CACHED) == (Mode.ONLY_IF_CACHED in (one, other))
    assert mode is Mode.ONLY_IF_CACHED or mode.reads == (one.reads and other.reads)


def test_joined_policies_that_do_not_read_leave_min_fresh_unset() -> None:
    joined = CachePolicy(mode="refresh") & CachePolicy(mode="bypass")
    assert CachePolicy(mode="use").within(joined) == CachePolicy(mode="use")


@pytest.mark.parametrize(
    ("mode", "reads", "stores"),
    [
        (None, True, True),
        ("use", True, True),
        ("refresh", False, True),
        ("read_only", True, False),
        ("bypass", False, False),
        ("only_if_cached", True, False),
    ],
)
def test_mode_defines_whether_to_read_and_to_store(
    mode: str | None, reads: bool, stores: bool
) -> None:
    effective = CachePolicy(mode=mode).effective_mode
    assert (effective.reads, effective.stores) == (reads, stores)


def test_repr_shows_no_tag_tenant_salt_or_key() -> None:
    policy = CachePolicy(tags=["private"], tenant="private", salt="private", key="private")
    assert "private" not in repr(policy)


def test_policy_is_frozen_and_takes_keywords_only() -> None:
    with pytest.raises(FrozenInstanceError):
        CachePolicy(ttl=60).ttl = 61  # type: ignore[misc]
    with pytest.raises(TypeError):
        CachePolicy(60)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("fields", "age", "remaining", "accepted"),
    [
        ({}, 10**9, 0.1, True),
        ({}, 5, 0, False),
        ({"max_stale": 7}, 5, 0.1, True),
        ({"max_age": 5}, 4.9, 10, True),
        ({"max_age": 5}, 5.0, 10, True),
        ({"max_age": 5}, 5.1, 10, False),
        ({"max_age": MINUTE}, 60.0, 10, True),
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
def test_answer_is_accepted_by_its_age_and_its_time_left(
    fields: dict[str, Any], age: float, remaining: float, accepted: bool
) -> None:
    assert CachePolicy(**fields).accepts(age, remaining) is accepted


@pytest.mark.parametrize(
    ("stale_if_error", "beyond", "served"),
    [(60.5, 61, [True, True, False]), (MINUTE, 60, [True, True, False]), (None, 0, [False] * 3)],
)
def test_stale_answer_is_kept_and_served_on_error_for_stale_if_error(
    stale_if_error: Any, beyond: int, served: list[bool]
) -> None:
    policy = CachePolicy(stale_if_error=stale_if_error)
    assert policy.kept_beyond == beyond
    assert [policy.tolerates_on_error(left) for left in (-0.1, -60, -61)] == served


@pytest.mark.parametrize(
    ("fields", "effective"),
    [
        ({}, Coalesce.FLEET),
        ({"ttl": 60}, Coalesce.FLEET),
        ({"ttl": 1}, Coalesce.FLEET),
        ({"ttl": lambda *_: None}, Coalesce.FLEET),  # unknown before the answer
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
def test_calls_coalesce_only_if_the_answer_will_be_stored_and_read(
    fields: dict[str, Any], effective: Coalesce
) -> None:
    assert CachePolicy(**{"coalesce": "fleet", **fields}).effective_coalesce is effective
