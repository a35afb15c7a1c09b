"""The scenario of `make run`: ask, repeat, flush by schedule, ask again, summarize documents.

Each step states its expectation. `make run` names each failed expectation and exits with 1.
"""

import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from local_cloud.scenario.checked_scenario import CheckedScenario
from local_cloud.scenario.result_table import Column, seconds_cell
from local_cloud.scenario.slow_model_hint import SlowModelHint
from local_cloud.stack.ask_client import AskReply, ask, description_url
from local_cloud.stack.summary_client import SAMPLE_DOCUMENT, SummaryClient

CAPITAL = "What is the capital of France?"
PARAPHRASE = "Which city is France's capital?"
CHAT = ("Name a fruit.", "What colour is it?", "Name another of that colour.")
NEW_QUESTION = "What is a good name for a cat?"
CALLERS = 10
COLUMNS = (
    Column("step", 50, "<"),
    Column("status", 8, "<"),
    Column("TTL left", 9),
    Column("time", 9),
    Column("speed-up", 9),
    Column("tokens saved", 12),
)


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one step; a value of None gives an empty cell."""

    step: str
    status: str = ""
    ttl: float | None = None
    seconds: float | None = None
    speed_up: float | None = None
    tokens: int | None = None

    def cells(self) -> Sequence[str]:
        """Return the cells as text, in the order of `COLUMNS`."""
        return (
            self.step,
            self.status,
            "" if self.ttl is None else _duration(self.ttl),
            seconds_cell(self.seconds),
            "" if self.speed_up is None else f"{self.speed_up:.0f}x",
            "" if not self.tokens else str(self.tokens),
        )


@dataclass(slots=True)
class MainScenario(CheckedScenario[Row]):
    """The steps of `make run`; `failures` is empty if every expectation was met."""

    answer: str = ""
    """The model's answer to the first question."""
    hint: SlowModelHint = field(init=False)

    def __post_init__(self) -> None:
        self.hint = SlowModelHint(self.cloud.model.name)

    def run(self) -> None:
        """Run all steps."""
        self.start_cold()
        miss = self.question("a question", CAPITAL, "miss")
        self.answer = miss.body.get("answer", "")
        hit = self.question("the same question again", CAPITAL, "hit", baseline=miss)
        same = {**miss.body, "cache": hit.cache, "usage": hit.body.get("usage")}
        self.expect("the same question again", "the same answer", hit.body == same)
        self.question("a paraphrase", PARAPHRASE, "miss")
        self.conversation()
        self.short_ttl()
        self.many_callers(miss)
        self.flush()
        self.question("the question after the flush", CAPITAL, "miss")
        self.documents()

    def start_cold(self) -> None:
        """Start the function without a question, so that no later row includes the start."""
        step, stack = "cold start of ask, without a question", self.cloud.stack
        began = time.perf_counter()
        reply = stack.request("GET", description_url(stack))
        seconds = time.perf_counter() - began
        ready = reply.is_success and "/ask" in reply.text
        self.show(Row(step, "ready" if ready else str(reply.status_code), seconds=seconds))
        self.expect(step, "the description of the routes", ready, reply.text)

    def question(
        self,
        step: str,
        question: str,
        status: str,
        *,
        baseline: AskReply | None = None,
        **body: Any,
    ) -> AskReply:
        """Ask, show the row, and check the cache status and the number of model calls."""
        before, calls = self.cloud.model.calls, int(status != "hit")
        with self.hint.waiting(calls):
            reply = ask(self.cloud.stack, question, **body)
        saved = reply.body.get("usage", {}).get("saved_tokens")
        speed_up = baseline.seconds / reply.seconds if baseline else None
        self.show(Row(step, reply.status, reply.cache.get("ttl"), reply.seconds, speed_up, saved))
        self.expect(step, status, reply.cache.get("status") == status, reply.body)
        self._expect_calls(step, before, calls)
        return reply

    def conversation(self) -> None:
        """Hold a chat of three turns, then replay it word for word."""
        firsts: list[AskReply] = []
        turns: list[dict[str, Any]] = []
        for number, question in enumerate(CHAT, 1):
            step = f"chat, turn {number}"
            firsts.append(self.question(step, question, "miss", messages=list(turns)))
            turns += _turns(question, firsts[-1])
        turns = []
        for number, (question, first) in enumerate(zip(CHAT, firsts, strict=True), 1):
            step = f"chat replayed, turn {number}"
            again = self.question(step, question, "hit", baseline=first, messages=list(turns))
            turns += _turns(question, again)

    def short_ttl(self) -> None:
        """Ask with a TTL of two seconds, before and after it expires."""
        short: dict[str, Any] = {"cache": {"ttl": 2}}
        miss = self.question("a TTL of 2 seconds", "Name a colour.", "miss", **short)
        self.question("within the 2 seconds", "Name a colour.", "hit", baseline=miss, **short)
        time.sleep(2.1)
        self.question("after the 2 seconds", "Name a colour.", "miss", **short)

    def many_callers(self, miss: AskReply) -> None:
        """Ask from ten callers at once: cold, warm, and with a question that is not cached."""
        self._at_once(f"{CALLERS} callers at once, {CALLERS - 1} start cold (median)")
        self._at_once(f"{CALLERS} callers at once, again (median)", baseline=miss)
        self._at_once(f"{CALLERS} callers, a new question (median)", NEW_QUESTION, calls=1)

    def _at_once(
        self,
        step: str,
        question: str = CAPITAL,
        *,
        calls: int = 0,
        baseline: AskReply | None = None,
    ) -> None:
        before = self.cloud.model.calls
        with self.hint.waiting(calls), ThreadPoolExecutor(CALLERS) as pool:
            replies = list(pool.map(lambda _: ask(self.cloud.stack, question), range(CALLERS)))
        hits = [reply for reply in replies if reply.cache.get("status") in ("hit", "collapsed")]
        median = statistics.median(reply.seconds for reply in replies)
        ttl = min((reply.cache["ttl"] for reply in hits), default=None)
        speed_up = baseline.seconds / median if baseline else None
        saved = sum(reply.body["usage"]["saved_tokens"] for reply in hits)
        self.show(Row(step, f"{len(hits)} hits", ttl, median, speed_up, saved))
        bodies = [reply.body for reply in replies]
        self.expect(step, f"{CALLERS - calls} hits", len(hits) == CALLERS - calls, bodies)
        self._expect_calls(step, before, calls)
        answers = {body.get("answer") for body in bodies}
        self.expect(step, "one answer", len(answers) == 1, bodies)

    def flush(self) -> None:
        """Let EventBridge Scheduler run the flush function, as it does every night."""
        began = time.perf_counter()
        lines = self.cloud.stack.fire_schedule()
        flushed = [json.loads(line) for line in lines if '"flushed"' in line]
        removed = flushed[0].get("removed") if flushed else None
        self.show(Row("the scheduled flush", "flushed", seconds=time.perf_counter() - began))
        self.expect("the scheduled flush", "entries reclaimed", bool(removed), "\n".join(lines))

    def documents(self) -> None:
        """Upload a document under two names, then send a message without a document."""
        summaries = SummaryClient(self.cloud.stack)
        self._document("a document is uploaded and summarized", "report.txt", calls=1)
        self._document("the same text under another name", "copy.txt", calls=0)
        step, body = "a message that names no document", "no document"
        began, before = time.perf_counter(), self.cloud.model.calls
        summaries.send(body)
        failed = summaries.wait_for_dead_letters()
        self.show(Row(step, "in DLQ", seconds=time.perf_counter() - began))
        self.expect(step, "one dead letter", failed == [body], failed)
        self._expect_calls(step, before, 0)

    def _document(self, step: str, name: str, *, calls: int) -> None:
        summaries, before = SummaryClient(self.cloud.stack), self.cloud.model.calls
        began = time.perf_counter()
        with self.hint.waiting(calls):
            written = summaries.upload_and_wait(name, SAMPLE_DOCUMENT)
        seconds, made = time.perf_counter() - began, self.cloud.model.calls - before
        self.show(Row(step, "hit" if made == 0 else "miss", seconds=seconds))
        self._expect_calls(step, before, calls)
        self.expect(step, "a summary", bool(written.get("summary")), written)

    def _expect_calls(self, step: str, before: int, expected: int) -> None:
        made = self.cloud.model.calls - before
        self.expect(step, f"{expected} model calls", made == expected, f"{made} model calls")


def _turns(question: str, reply: AskReply) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": reply.body.get("answer", "")},
    ]


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 120:  # noqa: PLR2004
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"  # noqa: PLR2004
