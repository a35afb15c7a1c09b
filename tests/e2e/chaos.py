"""Callers of the deployed `ask`, while its environments are frozen, killed and out of time.

Some lanes run what was deployed under AWS's own runtime client, where an environment can be frozen
and thawed; the others send signed requests to the Function URL. Beside them documents are uploaded,
and those killed who summarize them. In the middle the schedule clears the cache. What each caller
got is written down, and judged afterwards.
"""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Self

import httpx

from local_cloud.cloud import LocalCloud
from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment
from local_cloud.model.bedrock_faults import BedrockFault
from local_cloud.stack.invocation import Invocation
from local_cloud.stack.lambda_events import function_url, signed_by
from local_cloud.stack.summary_client import SAMPLE_DOCUMENT, SummaryClient
from model_call import TASK
from upstash_endpoint.children import PartFailed

CALLERS = ("alice", "bob", "carol")
COUNTRIES = """
France Germany Italy Spain Portugal Greece Poland Norway Sweden Finland Denmark Austria Hungary
Ireland Japan China India Egypt Kenya Peru Chile Cuba Canada Mexico Iceland Belgium Romania
Bulgaria Croatia Serbia Estonia Latvia Lithuania Ukraine Turkey Israel Jordan Lebanon Iraq Iran
Nepal Thailand Vietnam Laos Cambodia Malaysia Indonesia Australia Brazil Argentina Uruguay
Paraguay Bolivia Ecuador Colombia Venezuela Panama Jamaica Haiti Morocco Algeria Tunisia Libya
Sudan Ethiopia Somalia Uganda Rwanda Tanzania Zambia Zimbabwe Botswana Namibia Angola Ghana
Mali
"""
COMMON = 20  # questions that everybody asks; of the others each is asked by all lanes at once
ENDING = 200  # tokens; an answer of more might have been cut short, and is not stored then
RUNTIME_LANES, HTTP_LANES = 3, 2
LANES = RUNTIME_LANES + HTTP_LANES
BURSTS = 4  # of so many rounds of all lanes, one asks the same new question at once
FATES = {"": 84, "frozen": 8, "killed": 4, "out of time": 4}  # of a request, in percent
SOON = 0.4  # seconds after the start of a request, at most, that its environment is killed
SLEEP = 1.0  # seconds that an environment is frozen, at most
DRAG = 0.3  # seconds that each call of the model takes longer, so that others come meanwhile
SHORT = (0.2, 2.0)  # seconds of an invocation that runs out of time
DOCUMENTS = 20
PAUSE = 4.0  # seconds from one to the next, at most
SEEN_AGAIN = 60  # seconds after which a message comes again whose environment was killed
SUMMARIZED = 300  # seconds that a summary may take on a busy machine, with a few kills
BATCH = 5  # messages, at most
COMPUTED = {"miss", "expired", "refreshed"}


def _report(number: int) -> str:
    return f"{SAMPLE_DOCUMENT} That was year {number}."


@dataclass(frozen=True)
class Asked:
    """One request, and what came of it; ``status`` is empty where there was no answer."""

    caller: str
    question: str
    began: float
    ended: float
    harmed: bool
    status: str = ""
    answer: str = ""
    age: int = 0
    told: str = ""

    def __str__(self) -> str:
        seconds = f"{self.began:.2f} to {self.ended:.2f}"
        harmed = ", harmed" if self.harmed else ""
        came = f"{self.status}, {self.answer!r}" if self.status else self.told
        return f"\n    {seconds}: {self.caller} asked {self.question!r}{harmed}: {came}"


@dataclass
class Chaos:
    """The requests so far, and what was done to the environments."""

    cloud: LocalCloud
    deployed: DeployedFunction
    requests: int
    seed: int
    expected: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    flush: tuple[float, float] = (0.0, 0.0)
    calls: int = 0
    summaries: dict[str, str] = field(default_factory=dict)
    dead_letters: list[str] = field(default_factory=list)
    killed_with_documents: int = 0
    _numbers: Iterator[int] = field(default_factory=count)

    def run(self) -> None:
        """Ask each question once past the cache, and then all of them at random."""
        keys = {caller: _key(self.cloud, caller) for caller in CALLERS}
        for country in COUNTRIES.split():
            self._expect(f"What is the capital of {country}?")
        reports = [text for number in range(3 * DOCUMENTS) if self._ends(text := _report(number))]
        assert len(reports) >= DOCUMENTS, "the model finds an end for too few summaries"
        self.cloud.model.fail(BedrockFault.SLOW, seconds=DRAG)
        before = self.cloud.model.calls
        with ThreadPoolExecutor(LANES + 1) as pool:
            running = [pool.submit(self._lane, lane, keys) for lane in range(LANES)]
            running.append(pool.submit(self._documents, reports[:DOCUMENTS]))
        for lane in running:
            lane.result()
        self.calls = self.cloud.model.calls - before

    def _expect(self, question: str) -> None:
        """Note what the model says to a question; not if it finds no end."""
        asked = {"question": question, "cache": {"mode": "bypass"}}
        reply = self.cloud.stack.request("POST", _url(self.cloud), body=asked)
        assert reply.status_code == 200, reply.text
        if reply.json()["usage"]["output_tokens"] < ENDING:
            self.expected[question] = reply.json()["answer"]

    def _ends(self, text: str) -> bool:
        """Whether the model finds an end to the summary: one that was cut short is not kept."""
        reply = self.cloud.aws.client("bedrock-runtime").converse(
            modelId="amazon.nova-2-lite-v1:0",
            system=[{"text": TASK}],
            messages=[{"role": "user", "content": [{"text": text}]}],
            inferenceConfig={"maxTokens": 256, "temperature": 0},
        )
        return bool(reply["stopReason"] == "end_turn")

    def _question(self, number: int, dice: random.Random) -> tuple[str, str]:
        """Return who asks, and what."""
        common, new = [*self.expected][:COMMON], [*self.expected][COMMON:]
        rounds, of_round = divmod(number // LANES, BURSTS)
        if of_round == 0 and rounds < len(new):
            return CALLERS[0], new[rounds]
        often = min(int(dice.expovariate(0.2)), len(common) - 1)
        return dice.choice(CALLERS), common[often]

    def _documents(self, reports: list[str]) -> None:
        dice, versions = random.Random(f"{self.seed} documents"), {}
        summaries = SummaryClient(self.cloud.stack)
        with summaries.visibility_timeout(SEEN_AGAIN):
            for number, text in enumerate(reports):
                name = f"report {number}.txt"
                versions[name] = summaries.upload(name, text)
                time.sleep(dice.uniform(0, PAUSE))
                if number % BATCH == 0:
                    self.killed_with_documents += self.kill_environments("SummarizeFunction")
            for name, version in versions.items():
                with suppress(PartFailed):  # it is judged, as all that did not come
                    found = summaries.wait_for(name, version, seconds=SUMMARIZED)
                    self.summaries[name] = found["summary"]
        self.dead_letters = summaries.dead_letters()

    def kill_environments(self, function: str) -> int:
        try:
            return self.cloud.stack.kill_environments(function)
        except (PartFailed, ProcessLookupError):  # it ended by itself meanwhile, or was slow to
            return 1

    def _lane(self, lane: int, keys: dict[str, tuple[str, str]]) -> None:
        dice = random.Random(f"{self.seed} {lane}")
        with ExitStack() as stop:
            asking: Callable[[str, str, str], Asked]
            if lane < RUNTIME_LANES:
                asking = stop.enter_context(Runtime(self, dice)).ask
            else:
                asking = Url(self, dice, keys).ask
            while (number := next(self._numbers)) < self.requests:
                if number == self.requests // 2:
                    began = time.monotonic()
                    self.cloud.stack.fire_schedule()
                    self.flush = (began, time.monotonic())
                (fate,) = dice.choices([*FATES], [*FATES.values()])
                self.asked.append(asking(*self._question(number, dice), fate))


@dataclass
class Runtime:
    """A lane with an environment of its own, under AWS's runtime client."""

    chaos: Chaos
    dice: random.Random
    _environment: ExecutionEnvironment | None = None
    _stop: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()

    def ask(self, caller: str, question: str, fate: str) -> Asked:
        environment = self._environment or self._started()
        if fate == "frozen":
            environment.freeze()
            time.sleep(self.dice.uniform(0, SLEEP))
        seconds = self.dice.uniform(*SHORT) if fate == "out of time" else None
        environment.deployed = replace(
            self.chaos.deployed, timeout=seconds or self.chaos.deployed.timeout
        )
        event = function_url("POST", "/ask", {"question": question}, iam=signed_by(caller))
        began, pid = time.monotonic(), environment.pid()
        with _later(self.dice.uniform(0, SOON), lambda: _kill(pid), when=fate == "killed"):
            came = environment.invoke(event)
        if came.error or fate == "killed":
            self._stop.close()
            self._environment = None
        body = {} if came.error else json.loads(came.payload["body"])
        harmed = fate in {"killed", "out of time"}
        return _asked(caller, question, began, harmed, body, came)

    def _started(self) -> ExecutionEnvironment:
        self._environment = self._stop.enter_context(self.chaos.cloud.running(self.chaos.deployed))
        return self._environment


@dataclass
class Url:
    """A lane that sends signed requests to the Function URL."""

    chaos: Chaos
    dice: random.Random
    keys: dict[str, tuple[str, str]]

    def ask(self, caller: str, question: str, fate: str) -> Asked:
        stack, kills = self.chaos.cloud.stack, self.chaos.kills

        def kill() -> None:
            kills.append(time.monotonic())
            self.chaos.kill_environments("AskFunction")
            kills.append(time.monotonic())

        began, told = time.monotonic(), ""
        body: dict[str, Any] = {}
        with _later(self.dice.uniform(0, SOON), kill, when=fate == "killed"):
            try:
                reply = stack.request(
                    "POST",
                    _url(self.chaos.cloud),
                    body={"question": question},
                    by=self.keys[caller],
                )
                told = f"{reply.status_code} {reply.text}"
                body = reply.json() if reply.status_code == 200 else {}
            except httpx.HTTPError as error:
                told = repr(error)
        ended = time.monotonic()
        harmed = any(began - 0.1 <= kill <= ended + 0.1 for kill in kills)
        return _asked(f"{caller}, of the account", question, began, harmed, body, told)


def _asked(
    caller: str,
    question: str,
    began: float,
    harmed: bool,
    body: dict[str, Any],
    told: Invocation | str,
) -> Asked:
    asked = Asked(caller, question, began, time.monotonic(), harmed, told=str(told))
    if "answer" not in body:
        return asked
    cache = body["cache"]
    return replace(asked, status=cache["status"], answer=body["answer"], age=cache["age"] or 0)


@contextmanager
def _later(seconds: float, work: Callable[[], None], *, when: bool) -> Iterator[None]:
    """Do ``work`` so much later, but within the block's time at the latest."""
    timer = threading.Timer(seconds, work)
    if when:
        timer.start()
    try:
        yield
    finally:
        if when:
            timer.join()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _url(cloud: LocalCloud) -> str:
    return cloud.stack.outputs["AskUrl"] + "ask"


def _key(cloud: LocalCloud, caller: str) -> tuple[str, str]:
    iam = cloud.aws.client("iam")
    iam.create_user(UserName=caller)
    key = iam.create_access_key(UserName=caller)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def wrong(chaos: Chaos) -> list[str]:
    """Return what should not have been."""
    rules = (
        _unanswered,
        _not_as_the_model_says,
        _of_others,
        _old,
        _paid_twice,
        _not_accounted_for,
        _not_summarized,
    )
    return [said for rule in rules for said in rule(chaos)]


def _unanswered(chaos: Chaos) -> Iterator[str]:
    for asked in chaos.asked:
        if not asked.status and not asked.harmed:
            yield f"no answer, and nothing was done to its environment: {asked}"


def _not_as_the_model_says(chaos: Chaos) -> Iterator[str]:
    for asked in chaos.asked:
        if asked.status and asked.answer != chaos.expected[asked.question]:
            yield f"another answer than {chaos.expected[asked.question]!r}: {asked}"


def _of_others(chaos: Chaos) -> Iterator[str]:
    """Find who was served what nobody of the same tenant had asked."""
    for asked in chaos.asked:
        if asked.status and asked.status not in COMPUTED | {"error"}:
            own = (
                other
                for other in chaos.asked
                if other is not asked
                and (other.caller, other.question) == (asked.caller, asked.question)
            )
            if not any(other.began < asked.ended for other in own):
                yield f"served, and never asked by the same caller: {asked}"


def _old(chaos: Chaos) -> Iterator[str]:
    """Find who was served what was computed before the flush began, once it had ended."""
    began, ended = chaos.flush
    for asked in chaos.asked:
        if asked.status and asked.began > ended and asked.age > asked.ended - began + 1:
            yield f"older than the flush: {asked}"


def _paid_twice(chaos: Chaos) -> Iterator[str]:
    """Find what was computed twice, before the flush or after it, with nobody dying over it.

    Who has waited for another as long as anybody does, half of an invocation, may compute too.
    """
    began, ended = chaos.flush
    patience = chaos.deployed.timeout / 2
    for phase in (lambda a: a.ended < began, lambda a: a.began > ended):
        by_question: dict[tuple[str, str], list[Asked]] = {}
        for asked in filter(phase, chaos.asked):
            by_question.setdefault((asked.caller, asked.question), []).append(asked)
        for those in by_question.values():
            paid = [asked for asked in those if asked.status in COMPUTED]
            soon = [asked for asked in paid if asked.ended - asked.began < patience]
            if len(soon) > 1 + sum(asked.harmed for asked in those):
                yield f"paid for {len(paid)} times: {''.join(map(str, those))}"


def _not_accounted_for(chaos: Chaos) -> Iterator[str]:
    """Find calls of the model that nobody can have made who computed, failed or died."""
    may = sum(asked.status in COMPUTED | {"error"} or asked.harmed for asked in chaos.asked)
    may += DOCUMENTS + BATCH * chaos.killed_with_documents
    if chaos.calls > may:
        yield f"{chaos.calls} calls of the model, of which {may} are accounted for"


def _not_summarized(chaos: Chaos) -> Iterator[str]:
    """Find documents whose message was lost, or given up on."""
    if missing := DOCUMENTS - sum(map(bool, chaos.summaries.values())):
        yield f"{missing} documents have no summary"
    if chaos.dead_letters:
        yield f"given up on: {chaos.dead_letters}"
