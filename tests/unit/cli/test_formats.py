import math
import time

import pytest

from llm_cache._cli.formats import duration, local_time, printable, size, table


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (150 * 1024, "150 KB"),
        (5.5 * 1024**2, "5.5 MB"),
        (3 * 1024**4, "3.0 TB"),
    ],
)
def test_size_is_short(count: float, text: str) -> None:
    assert size(count) == text
    assert len(text) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_200, "2 h"),
        (172_800, "2 d"),
        (-30, "-30 s"),
        (None, "-"),
        (math.inf, "-"),
    ],
)
def test_duration_has_one_unit(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_time_is_local_and_utc_unless_they_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, text in (
        ("UTC", "1970-01-01 00:00:00 UTC"),
        ("XYZ-2", "02:00:00 XYZ (00:00:00 UTC)"),
    ):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert text in local_time(0)
    monkeypatch.undo()
    time.tzset()


def test_control_characters_are_escaped() -> None:
    assert printable("a\tb\nc\x1b[2J\x07é") == "a\tb\nc\\x1b[2J\\x07é"


def test_columns_are_aligned() -> None:
    rows = [("name", "entries", ""), ("a", 1, "x"), ("long name", 1000, "")]
    assert table(rows).splitlines() == [
        "name       entries",
        "a                1  x",
        "long name     1000",
    ]
