"""A queue of documents that the function works off during hours of an injected clock.

SQS and Lambda's event source mapping are simulated, S3 is moto, the cache is real. The model is
scripted at the wire of its client: a call takes ten seconds, and a document has four at once.
"""

import heapq
import json
import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from tests.functions.bedrock import USAGE
from tests.functions.documents import Documents, cold, deliver, uploaded
from tests.functions.sqs import Sent, Sqs, reply

import attempt
import s3_client
import summary
from bedrock.model import model
from pieces import split_text

CALL = 10.0  # seconds
HOUR = 3600.0
POISON = "The model does not finish this."
CRASH = "crash"


class Crash(BaseException): ...


def document(number: int, size: int, *, poison: bool = False) -> str:
    """Return a text of so many bytes; each paragraph contains the document's number."""
    fact = "It tells of the number {}. " * 20
    paragraphs = [
        f"Document {number}, paragraph {at}. " + fact.format(*range(at, at + 20))
        for at in range(size // 540)
    ]
    return "\n\n".join(paragraphs)[:size] + (f"\n\nDocument {number}. {POISON}" * poison)


def calls_needed(text: str) -> int:
    """Return the calls for a document without a cache: its pieces, and one that joins them."""
    pieces = len(split_text(text))
    return pieces + (pieces > 1)


@dataclass
class Simulation:
    """Sequential invocations, in the order in which concurrent lanes become free."""

    sqs: Sqs
    documents: Documents
    timeout: float = 300
    lanes: int = 5
    throttled: tuple[float, float] = (0, 0)
    """From when until when the model throttles, in seconds from the start."""
    calls: Counter[int] = field(default_factory=Counter)
    """The paid answers for each document."""
    before_each: Callable[[], object] = lambda: None
    start: float = field(init=False)
    _began: float = 0.0
    _waves: Counter[bool] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.start = self.sqs.clock()

    @contextmanager
    def connected(self, patch: pytest.MonkeyPatch) -> Iterator["Simulation"]:
        """Connect the function to this clock and this model."""
        for variable in ("SUMMARY_TTL_IMMUTABLE", "LLM_CACHE_TTL_CEILING"):
            patch.setenv(variable, str(30 * 86_400))  # Redis's clock is real: nothing expires
        cold()
        patch.setattr(attempt, "clock", self.sqs.clock)
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
        model().client.meta.events.register_first("before-send.bedrock-runtime", self._answer)
        s3_client.s3().meta.events.register("before-call.s3.PutObject", self._crash)
        with self.sqs.connected(patch.setenv):
            yield self

    def upload(self, name: str, text: str) -> None:
        key = f"documents/{name}.txt"
        self.sqs.messages.send(uploaded(key, self.documents.put(key, text)))

    def run(self) -> None:
        """Invoke the function until the queue is empty."""
        lanes = [(self.sqs.clock(), lane) for lane in range(self.lanes)]
        while self.sqs.messages.messages:
            now, lane = heapq.heappop(lanes)
            self.sqs.clock.now = now
            if found := self.sqs.messages.receive():
                self._invoke(found)
            waiting = (it.visible for it in self.sqs.messages.messages)
            free = self.sqs.clock() if found else max(now, min(waiting, default=now))
            heapq.heappush(lanes, (free, lane))

    def _invoke(self, messages: list[Sent]) -> None:
        self._began, self._waves = self.sqs.clock(), Counter()
        self.before_each()
        try:
            failed = deliver(*(sent.record for sent in messages), left=self._left)
        except Crash:
            return
        assert self._left() >= 0, "Lambda would have ended this invocation"
        for sent in messages:
            if str(sent.number) not in failed:
                self.sqs.messages.delete(sent)

    def _left(self) -> float:
        return self.timeout - (self.sqs.clock() - self._began)

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        text = json.loads(request.body)["messages"][0]["content"][0]["text"]
        with self._lock:
            begin, end = self.throttled
            if begin <= self.sqs.clock() - self.start < end:
                return reply(429, {"message": "wait"}, "ThrottlingException")
            (number,) = set(re.findall(r"Document (\d+)", text))
            self._pass_time(joins=text.startswith("Summary"))
            self.calls[int(number)] += 1
        summary_text = f"Summary of Document {number}."
        content = {"role": "assistant", "content": [{"text": summary_text}]}
        body = {
            "output": {"message": content},
            "stopReason": "max_tokens" if POISON in text else "end_turn",
            "usage": USAGE,
            "metrics": {"latencyMs": 1},
        }
        return reply(200, body)

    def _pass_time(self, *, joins: bool) -> None:
        """Advance the clock by the time that the calls of this invocation take."""
        self._waves[joins] += 1
        waves = sum(math.ceil(calls / summary.AT_ONCE) for calls in self._waves.values())
        self.sqs.clock.now = max(self.sqs.clock(), self._began + CALL * waves)

    def _crash(self, params: dict[str, str], **_: object) -> None:
        if f"/{CRASH}" in params["url_path"]:
            raise Crash
