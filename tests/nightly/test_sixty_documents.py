"""Sixty documents of 1 MB, ten seconds a model call, and twenty hours of throttling.

`make test` simulates a few documents (tests/functions/test_simulation.py).
"""

import pytest
from tests.clock import Clock
from tests.functions.conftest import _model, documents, loop, model  # noqa: F401
from tests.functions.documents import Documents
from tests.functions.simulation import CRASH, HOUR, Simulation, calls_needed, document
from tests.functions.sqs import Sqs

SIZE = 999_000  # bytes, within the limit even with a poisonous sentence
POISONOUS, CRASHING = 60, 61


def test_sixty_large_documents_survive_a_daily_quota_and_poisonous_documents(
    documents: Documents,  # noqa: F811
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = {
        number: document(number, SIZE, poison=number == POISONOUS) for number in range(CRASHING + 1)
    }
    with Simulation(Sqs(clock), documents).connected(monkeypatch) as simulation:
        for number, text in texts.items():
            simulation.upload(CRASH if number == CRASHING else str(number), text)
        # All have begun and most are done by then; each of the others is tried some 80 times.
        simulation.throttled = (1.1 * HOUR, 21.1 * HOUR)
        simulation.run()
    assert clock() - simulation.start > 21 * HOUR, "no document met the quota"
    healthy = range(POISONOUS)
    needed = {number: calls_needed(text) for number, text in texts.items()}
    print("model calls for each document:", dict(sorted(simulation.calls.items())))
    assert all(documents.summary(f"documents/{number}.txt") for number in healthy)
    assert {number: simulation.calls[number] for number in healthy} == {
        number: needed[number] for number in healthy
    }
    assert simulation.calls[POISONOUS] <= needed[POISONOUS]
    assert simulation.calls[CRASHING] <= needed[CRASHING]
    assert simulation.sqs.messages.expired == []
    assert sorted(sent.text("reason") for sent in simulation.sqs.dead.messages) == [
        "the last attempt crashed or timed out",
        "the model's answer is no summary: truncated",
    ]
