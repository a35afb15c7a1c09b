"""What must hold of every answer that is returned, and of every lookup that returns none."""

import re

from tests.integration.properties.callers import Caller
from tests.integration.properties.model import Answer, Event, History, reads
from tests.integration.properties.wire import DRIFT

from llm_cache._report import Outcome, Status


def answer_of(history: History, text: str) -> Answer | None:
    """Return the answer that a text tells of, be it the answer's own or an entry's."""
    found = re.search(r"answer (\d+)", text)
    return history.answers[int(found[1])] if found else None


def check_served(history: History, caller: Caller, told: Outcome) -> Answer:
    """Check a stored answer that a lookup has returned."""
    assert caller.result
    assert caller.result.found
    answer = answer_of(history, caller.result.found[0].text)
    assert answer
    sight = caller.sight
    assert caller.result.found == answer.generations, "not what was stored"
    assert reads(caller.policy), "the policy asked not to read"
    _check_entitled(history, caller, answer, from_memory=told.why == "memory")
    assert answer.acceptable(caller.policy, sight.judged), "too old, or about to expire"
    assert answer.ttl
    assert told.status is Status.HIT
    assert told.age == max(0, sight.judged - answer.created)
    assert told.ttl == answer.created + answer.ttl - sight.judged
    if not told.why:
        assert answer is sight.latest, "not the latest"
        assert caller.commands == 1 + (not answer.tags <= tags_of(caller)), "commands for a hit"
    elif told.why == "memory":
        assert caller.commands == 0
    return answer


def check_spare(history: History, caller: Caller, text: str) -> None:
    """Check an expired answer that is to be served should the model fail."""
    answer = answer_of(history, text)
    assert answer
    _check_entitled(history, caller, answer, from_memory=False)
    assert answer.spare(caller.policy, caller.sight.clock), "expired too long ago"


def tags_of(caller: Caller) -> frozenset[str]:
    return frozenset(caller.policy.tags or ())


def _check_entitled(history: History, caller: Caller, answer: Answer, *, from_memory: bool) -> None:
    assert answer.identity == caller.which, "another's answer"
    assert answer.ttl is not None, "not an answer to store"
    assert tags_of(caller) <= answer.tags, "a clear of a tag would not reach it"
    assert answer.began is not None, "stored though its epochs were not known"
    memory = caller.process.setup.memory if from_memory else 0.0
    now = caller.process.time.now

    def reached(event: Event) -> bool:
        elsewhere = event.process is not caller.process and now - event.when < memory
        late = elsewhere or (from_memory and not event.returned)
        return event.at < caller.sight.began and not late

    assert not any(map(reached, history.clears(answer))), "older than a clear"
    assert answer.gone is None or not reached(answer.gone), "deleted or overwritten before"


def check_not_served(history: History, caller: Caller) -> None:
    """Check that a lookup that returned nothing had nothing that it must return."""
    expected, now = caller.sight.expected, caller.process.time.now
    if caller.faulted or expected is None:
        return
    if expected is history.undisturbed(caller.which, now + DRIFT):
        tagged = tags_of(caller) <= expected.tags
        accepted = expected.acceptable(caller.policy, caller.sight.judged)
        assert not (tagged and accepted), "there was an answer"
