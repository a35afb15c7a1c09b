"""Reports as text, as JSON, and in another process."""

import copy
import json
import pickle
from collections.abc import Callable

import pytest
from tests.clock import Clock

from llm_cache import Circuit, Outcome, Reason, Report, Status
from llm_cache._report import NO_TOKENS, Tokens


def outcome(status: Status, why: Reason | None = None, tokens: Tokens = NO_TOKENS) -> Outcome:
    return Outcome(status=status, key="n:entry:0", why=why, tokens=tokens)


HIT = outcome(Status.HIT, tokens=Tokens(12, 3))
STORED = outcome(Status.STORED)


def miss(why: Reason) -> Outcome:
    return outcome(Status.MISS, why)


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ([], "no lookups"),
        ([HIT, miss(Reason.CLEARED)], "2 lookups: 1 hit, 1 miss (cleared), 15 tokens saved"),
        ([outcome(Status.HIT)], "1 lookup: 1 hit"),
        ([outcome(Status.HIT, tokens=Tokens(1))], "1 lookup: 1 hit, 1 token saved"),
        ([miss(Reason.UNKNOWN), STORED], "1 lookup: 1 miss (unknown)"),
        ([miss(Reason.UNKNOWN)] * 2, "2 lookups: 2 misses (unknown)"),
        (
            [miss(Reason.EXPIRED), *[miss(Reason.CLEARED)] * 2],
            "3 lookups: 3 misses (2 cleared, 1 expired)",
        ),
        (
            [outcome(Status.HIT, Reason.MEMORY), outcome(Status.HIT)],
            "2 lookups: 2 hits (1 memory)",
        ),
        (
            [miss(Reason.EXPIRED), outcome(Status.STALE, tokens=Tokens(5, 5))],
            "1 lookup: 1 miss (expired), 1 stale answer",
        ),
        (
            [miss(Reason.UNKNOWN), outcome(Status.SKIPPED, Reason.TRUNCATED)],
            "1 lookup: 1 miss (unknown), 1 answer not stored (truncated)",
        ),
        ([outcome(Status.ERROR, Reason.TIMEOUT)], "1 error (timeout)"),
        (
            [outcome(Status.HIT), *[outcome(Status.ERROR, Reason.CIRCUIT_OPEN)] * 2],
            "1 lookup: 1 hit, 2 errors (circuit_open)",
        ),
        ([STORED, STORED], "no lookups: 2 answers stored"),
    ],
)
def test_report_as_text_names_counts_and_reasons(outcomes: list[Outcome], text: str) -> None:
    assert str(Report(outcomes)) == text


def test_report_as_dict_is_json_of_counts_and_outcomes() -> None:
    clock = Clock()
    report = Report([HIT, miss(Reason.EXPIRED), STORED], breaker=lambda: Circuit.OPEN, clock=clock)
    clock.now += 2
    plain = json.loads(json.dumps(report.as_dict()))
    first, second, _ = plain.pop("outcomes")
    assert plain == {
        "hits": 1,
        "misses": 1,
        "miss_reasons": {"expired": 1},
        "stale": 0,
        "stored": 1,
        "skipped": 0,
        "errors": 0,
        "saved": {"input": 12, "output": 3},
        "tokens_saved": 15,
        "circuit": "open",
        "milliseconds": 0,
        "elapsed": 2,
    }
    assert first == {
        "status": "hit",
        "key": "n:entry:0",
        "why": None,
        "detail": "",
        "age": 0,
        "ttl": None,
        "tokens": {"input": 12, "output": 3},
        "seconds": 0,
    }
    assert second["why"] == "expired"


def test_report_as_text_and_as_dict_does_not_show_its_stale_answer() -> None:
    report = Report(stale_answer=(HIT, "a secret answer"))
    assert "secret" not in str(report) + repr(report) + repr(report.as_dict())


def pickled(report: Report) -> Report:
    copied = pickle.loads(pickle.dumps(report))
    assert isinstance(copied, Report)
    return copied


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy, copy.copy])
def test_copied_report_keeps_the_circuit_and_the_time_of_the_copy(
    copied: Callable[[Report], Report],
) -> None:
    clock, states = Clock(), [Circuit.OPEN]
    original = Report([HIT], breaker=lambda: states[0], clock=clock)
    clock.now += 2
    copies = [copied(original), copied(copied(original))]
    states[0] = Circuit.CLOSED
    clock.now += 1
    assert (original.circuit, original.elapsed) == (Circuit.CLOSED, 3)
    assert [(each.circuit, each.elapsed) for each in copies] == [(Circuit.OPEN, 2)] * 2
    assert copies == [original] * 2


def test_outcome_of_a_copied_report_is_equal() -> None:
    assert pickled(Report([HIT])).last == HIT


def test_pickled_report_leaves_out_the_stale_answer() -> None:
    data = pickle.dumps(Report([HIT], stale_answer=(HIT, "a secret answer")))
    assert b"secret" not in data
    assert pickle.loads(data).stale_answer is None


def test_deep_copy_of_a_report_has_outcomes_of_its_own() -> None:
    report = Report([HIT])
    copied = copy.deepcopy(report)
    copied.add(STORED)
    assert report.outcomes == [HIT]
