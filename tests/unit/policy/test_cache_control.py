import pytest

from llm_cache import CachePolicy, InvalidPolicy, Mode
from llm_cache._policy.ttl import MAX_SECONDS


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
        ("max-age=1000000000", Mode.USE, MAX_SECONDS),
        ("max-age=315360000", Mode.USE, 315_360_000),
        ("max-age=0000000000000060", Mode.USE, 60),
        ("max-age=" + "0" * 5000, Mode.USE, 0),
        ('community="no-store, UCI", max-age=1', Mode.USE, 1),
        ("only-if-never-heard-of, immutable", Mode.USE, None),
        (", ,=,;", Mode.USE, None),
        ("only-if-cached", Mode.ONLY_IF_CACHED, None),
        ("only-if-cached, no-store", Mode.ONLY_IF_CACHED, None),
    ],
)
def test_cache_control_sets_mode_and_max_age(
    header: str, mode: Mode, max_age: float | None
) -> None:
    assert CachePolicy.from_cache_control(header) == CachePolicy(mode=mode, max_age=max_age)


@pytest.mark.parametrize(
    ("header", "policy"),
    [
        ("min-fresh=9", CachePolicy(mode=Mode.USE, min_fresh=9)),
        ("max-stale=9", CachePolicy(mode=Mode.USE, max_stale=9)),
        ("max-stale", CachePolicy(mode=Mode.USE, max_stale=MAX_SECONDS)),
        ("stale-if-error=9", CachePolicy(mode=Mode.USE, stale_if_error=9)),
        (
            "only-if-cached, no-cache",
            CachePolicy(mode=Mode.ONLY_IF_CACHED, min_fresh=MAX_SECONDS),
        ),
    ],
)
def test_cache_control_sets_min_fresh_max_stale_and_stale_if_error(
    header: str, policy: CachePolicy
) -> None:
    assert CachePolicy.from_cache_control(header) == policy


@pytest.mark.parametrize("directive", ["max-age", "min-fresh", "stale-if-error"])
@pytest.mark.parametrize("text", ["-1", "1.5", "soon", "", " 60", "٣", "1m"])
def test_directive_without_a_whole_number_is_refused_by_name(directive: str, text: str) -> None:
    with pytest.raises(InvalidPolicy, match=rf"^Cache-Control {directive}='.*: a whole number of"):
        CachePolicy.from_cache_control(f"no-cache, {directive}={text}")
