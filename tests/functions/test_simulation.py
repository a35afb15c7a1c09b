"""Hours of a queue: no healthy document is lost, and none costs too many model calls."""

from collections.abc import Iterator

import pytest
from tests.clock import Clock
from tests.functions.documents import Documents
from tests.functions.simulation import CRASH, HOUR, Simulation, calls_needed, document
from tests.functions.sqs import Sqs
from upstash_redis import Redis

import summary
from attempt import ATTEMPTS
from budget import MAX_RATIO

LARGE = 120_000  # bytes: more pieces than an invocation of 40 seconds can summarize


@pytest.fixture
def simulation(
    documents: Documents, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Simulation]:
    with Simulation(Sqs(clock), documents, timeout=40).connected(monkeypatch) as connected:
        yield connected


def reasons(simulation: Simulation) -> list[str]:
    return [sent.text("reason") for sent in simulation.sqs.dead.messages]


def test_large_documents_are_summarized_despite_hours_of_throttling(
    simulation: Simulation, documents: Documents
) -> None:
    texts = {number: document(number, LARGE) for number in range(3)}
    for number, text in texts.items():
        simulation.upload(str(number), text)
    simulation.throttled = (30, 2.5 * HOUR)
    simulation.run()
    assert all(documents.summary(f"documents/{number}.txt") for number in texts)
    assert simulation.sqs.dead.messages == simulation.sqs.messages.expired == []
    assert simulation.calls == {number: calls_needed(text) for number, text in texts.items()}


def test_poisonous_documents_become_dead_letters_and_cost_few_calls(
    simulation: Simulation, documents: Documents
) -> None:
    poison = document(0, LARGE, poison=True)
    crash, healthy = document(1, LARGE), document(2, LARGE)
    for name, text in (("poison", poison), (CRASH, crash), ("healthy", healthy)):
        simulation.upload(name, text)
    simulation.throttled = (30, HOUR)
    simulation.run()
    assert sorted(reasons(simulation)) == [
        "the last attempt crashed or timed out",
        "the model's answer is no summary: truncated",
    ]
    assert documents.summary("documents/healthy.txt")
    assert simulation.calls == {
        0: calls_needed(poison) - 1,
        1: calls_needed(crash),
        2: calls_needed(healthy),
    }


def test_document_with_lost_entries_costs_few_calls(simulation: Simulation, redis: Redis) -> None:
    text = document(0, LARGE)
    simulation.before_each = redis.flushdb
    simulation.upload("lost", text)
    simulation.run()
    assert reasons(simulation) == ["the invocation has too little time left"]
    of_one_invocation = summary.AT_ONCE * 4
    assert simulation.calls[0] <= MAX_RATIO * calls_needed(text) + ATTEMPTS * of_one_invocation
