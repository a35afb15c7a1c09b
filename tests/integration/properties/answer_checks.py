"""Checks of each answer that a lookup returns, and of each lookup that returns none."""

import re

from tests.integration.properties.caller import Caller
from tests.integration.properties.database import DRIFT
from tests.integration.properties.history import Answer, Event, History, reads

from llm_cache._report import Outcome, Status


def answer_in(history: History, text: str) -> Answer | None:
    """Return the answer whose number is in the text of an answer."""
    found = re.search(r"answer (\d+)", text)
    return history.answers[int(found[1])] if found else None


def check_hit(history: History, caller: Caller, outcome: Outcome) -> Answer:
    assert caller.result
    assert caller.result.found
    answer = answer_in(history, caller.result.found[0].text)
    assert answer
    seen = caller.observed
    assert caller.result.found == answer.generations, "not the stored answer"
    assert reads(caller.policy), "a hit in a mode that does not read"
    _check_entitled(history, caller, answer, from_memory=outcome.why == "memory")
    assert answer.acceptable(caller.policy, seen.judged), "too old, or about to expire"
    assert answer.ttl
    assert outcome.status is Status.HIT
    assert outcome.age == max(0, seen.judged - answer.created)
    assert outcome.ttl == answer.created + answer.ttl - seen.judged
    if not outcome.why:
        assert answer is seen.latest, "not the latest"
        assert caller.commands == 1 + (not answer.tags <= tags_of(caller)), "commands of a hit"
    elif outcome.why == "memory":
        assert caller.commands == 0
    return answer


def check_stale_answer(history: History, caller: Caller, text: str) -> None:
    """Check an expired answer that is served if the model fails."""
    answer = answer_in(history, text)
    assert answer
    _check_entitled(history, caller, answer, from_memory=False)
    assert answer.tolerable(caller.policy, caller.observed.clock), "expired too long ago"


def tags_of(caller: Caller) -> frozenset[str]:
    return frozenset(caller.policy.tags or ())


def _check_entitled(history: History, caller: Caller, answer: Answer, *, from_memory: bool) -> None:
    assert answer.identity == caller.which, "the answer to another request"
    assert answer.ttl is not None, "an uncacheable answer"
    assert tags_of(caller) <= answer.tags, "a clear of a tag would not remove it"
    assert answer.began is not None, "stored although its epochs were unknown"
    memory = caller.process.setup.memory if from_memory else 0.0
    now = caller.process.time.now

    def effective(event: Event) -> bool:
        unseen = event.process is not caller.process and now - event.time < memory
        unfinished = from_memory and not event.returned
        return event.at < caller.observed.began and not unseen and not unfinished

    assert not any(map(effective, history.clears(answer))), "older than a clear"
    assert answer.removal is None or not effective(answer.removal), "deleted or replaced before"


def check_miss(history: History, caller: Caller) -> None:
    """Check that there was no answer that the lookup should have returned."""
    expected, now = caller.observed.expected, caller.process.time.now
    if caller.faulted or expected is None:
        return
    if expected is history.undisturbed(caller.which, now + DRIFT):
        accepted = expected.acceptable(caller.policy, caller.observed.judged)
        assert not (tags_of(caller) <= expected.tags and accepted), "a miss of a stored answer"
