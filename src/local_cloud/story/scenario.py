"""The main job, told as one story: ask, ask again, let the scheduler flush, ask, summarize.

Every line states what it expects; an expectation that fails is named, and the run exits with 1.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from local_cloud.stack.asking import Reply, ask, url
from local_cloud.stack.summaries import REPORT, Summaries
from local_cloud.story.story import Story
from local_cloud.story.table import Column, seconds

CAPITAL = "What is the capital of France?"
PARAPHRASE = "Which city is France's capital?"
CHAT = ("Name a fruit.", "What colour is it?", "Name another of that colour.")
NEWS = "What is a good name for a cat?"
CALLERS = 10
COLUMNS = (
    Column("what", 50, "<"),
    Column("status", 8, "<"),
    Column("TTL left", 9),
    Column("time", 9),
    Column("speed-up", 9),
    Column("tokens saved", 12),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened; a cell left at None stays empty."""

    what: str
    status: str = ""
    ttl: float | None = None
    seconds: float | None = None
    speed_up: float | None = None
    tokens: int | None = None

    def cells(self) -> Sequence[str]:
        """Return the cells as text, in the order of ``COLUMNS``."""
        return (
            self.what,
            self.status,
            "" if self.ttl is None else _duration(self.ttl),
            seconds(self.seconds),
            "" if self.speed_up is None else f"{self.speed_up:.0f}x",
            "" if not self.tokens else str(self.tokens),
        )


@dataclass(slots=True)
class Scenario(Story[Row]):
    """The main job's story; ``failures`` is empty when all came true."""

    answer: str = ""
    """What the model said to the first question."""

    def run(self) -> None:
        """Tell the whole story."""
        self.start_cold()
        miss = self.question("a question", CAPITAL, "miss")
        self.answer = miss.body.get("answer", "")
        hit = self.question("the same question again", CAPITAL, "hit", beside=miss)
        self.expect(
            "the same question again",
            "the same answer",
            hit.body == {**miss.body, "cache": hit.cache, "usage": hit.body.get("usage")},
        )
        self.question("a paraphrase", PARAPHRASE, "miss")
        self.conversation()
        self.short_lived()
        self.many_callers(miss)
        self.flush()
        self.question("the question after the flush", CAPITAL, "miss")
        self.documents()

    def start_cold(self) -> None:
        """Load the function by a request without a question, so that no later row pays for it."""
        what = "cold start (no question: 422)"
        began = time.perf_counter()
        reply = self.cloud.stack.request("POST", url(self.cloud.stack), body={})
        self.show(Row(what, str(reply.status_code), seconds=time.perf_counter() - began))
        self.expect(what, "422", reply.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, reply.text)

    def question(
        self, what: str, question: str, status: str, *, beside: Reply | None = None, **body: Any
    ) -> Reply:
        """Ask, show the row, and expect a status and just the model call that it implies."""
        before = self.cloud.model.calls
        reply = self.ask(question, **body)
        self._show(what, reply, beside)
        self.expect(what, status, reply.cache.get("status") == status, reply.body)
        calls, due = self.cloud.model.calls - before, int(status != "hit")
        self.expect(what, f"{due} model calls", calls == due, f"{calls} model calls")
        return reply

    def conversation(self) -> None:
        """Hold a chat of three turns, then replay it word for word."""
        asked: list[Reply] = []
        turns: list[dict[str, Any]] = []
        for number, question in enumerate(CHAT, 1):
            what = f"chat, turn {number}"
            asked.append(self.question(what, question, "miss", messages=list(turns)))
            turns += _turns(question, asked[-1])
        turns = []
        for number, (question, first) in enumerate(zip(CHAT, asked, strict=True), 1):
            what = f"chat replayed, turn {number}"
            again = self.question(what, question, "hit", beside=first, messages=list(turns))
            turns += _turns(question, again)

    def short_lived(self) -> None:
        """Ask with a TTL of two seconds, before and after they have passed."""
        short: dict[str, Any] = {"cache": {"ttl": 2}}
        miss = self.question("a TTL of 2 seconds", "Name a colour.", "miss", **short)
        self.question("within the 2 seconds", "Name a colour.", "hit", beside=miss, **short)
        time.sleep(2.1)
        self.question("after the 2 seconds", "Name a colour.", "miss", **short)

    def many_callers(self, miss: Reply) -> None:
        """Let ten callers ask at once: what the cache knows, and what it does not.

        At first, most of them find no environment. What is new is asked of the model once.
        """
        self._at_once(f"{CALLERS} callers at once, {CALLERS - 1} start cold (median)")
        self._at_once(f"{CALLERS} callers at once, again (median)", beside=miss)
        self._at_once(f"{CALLERS} callers, a new question (median)", NEWS, calls=1)

    def _at_once(
        self, what: str, question: str = CAPITAL, *, calls: int = 0, beside: Reply | None = None
    ) -> None:
        """Ask ten times at once: ``calls`` callers ask the model, the others get what it said."""
        before = self.cloud.model.calls
        with ThreadPoolExecutor(CALLERS) as pool:
            replies = list(pool.map(lambda _: self.ask(question), range(CALLERS)))
        hits = [reply for reply in replies if reply.cache.get("status") in ("hit", "collapsed")]
        median = statistics.median(reply.seconds for reply in replies)
        self.show(
            Row(
                what,
                f"{len(hits)} hits",
                min((reply.cache["ttl"] for reply in hits), default=None),
                median,
                beside.seconds / median if beside else None,
                sum(reply.body["usage"]["saved_tokens"] for reply in hits),
            )
        )
        due, came = CALLERS - calls, [reply.body for reply in replies]
        self.expect(what, f"{due} hits", len(hits) == due, came)
        self.expect(what, f"{calls} model calls", self.cloud.model.calls - before == calls)
        self.expect(what, "one answer", len({one.get("answer") for one in came}) == 1, came)

    def flush(self) -> None:
        """Let EventBridge Scheduler run the flush function, as it does every night."""
        began = time.perf_counter()
        lines = self.cloud.stack.fire_schedule()
        flushed = [json.loads(line) for line in lines if '"flushed"' in line]
        removed = flushed[0].get("removed") if flushed else None
        self.show(Row("the scheduled flush", "flushed", seconds=time.perf_counter() - began))
        self.expect("the scheduled flush", "entries reclaimed", bool(removed), "\n".join(lines))

    def documents(self) -> None:
        """Upload a document twice under two names, and send a message that names none."""
        summaries = Summaries(self.cloud.stack)
        self._document("a document is uploaded, its summary is there", "report.txt", calls=1)
        self._document("the same text under another name", "copy.txt", calls=0)
        what, poison = "a message that names no document", "no document"
        began, calls = time.perf_counter(), self.cloud.model.calls
        summaries.send(poison)
        kept = summaries.failed()
        self.show(Row(what, "in DLQ", seconds=time.perf_counter() - began))
        self.expect(what, "one dead letter", kept == [poison], kept)
        self.expect(what, "no model call", self.cloud.model.calls == calls)

    def _document(self, what: str, name: str, *, calls: int) -> None:
        summaries, before = Summaries(self.cloud.stack), self.cloud.model.calls
        began = time.perf_counter()
        written = summaries.of(name, summaries.upload(name, REPORT))
        taken, made = time.perf_counter() - began, self.cloud.model.calls - before
        self.show(Row(what, "hit" if made == 0 else "miss", seconds=taken))
        self.expect(what, f"{calls} model calls", made == calls, f"{made} model calls")
        self.expect(what, "a summary", bool(written.get("summary")), written)

    def ask(self, question: str, **body: Any) -> Reply:
        """Send one question to the Function URL, signed."""
        return ask(self.cloud.stack, question, **body)

    def _show(self, what: str, reply: Reply, beside: Reply | None) -> None:
        saved = reply.body.get("usage", {}).get("saved_tokens")
        faster = beside.seconds / reply.seconds if beside else None
        self.show(Row(what, reply.status, reply.cache.get("ttl"), reply.seconds, faster, saved))


def _turns(question: str, reply: Reply) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": reply.body.get("answer", "")},
    ]


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 120:  # noqa: PLR2004
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"  # noqa: PLR2004
