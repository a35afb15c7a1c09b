"""Send requests to the deployed `ask` while its environments are frozen, killed and timed out.

Some lanes run the function under AWS's own runtime client, where an environment can be frozen and
thawed; the others send signed requests to the Function URL. Meanwhile documents are uploaded, and
the environments that summarize them are killed. In the middle the schedule clears the cache. All
results are recorded, and checked afterwards.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import httpx
import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment
from local_cloud.model.bedrock_faults import BedrockFault
from local_cloud.stack.ask_client import ask_url
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
COMMON = 20  # questions that all callers repeat; each other question is asked by all lanes at once
MAX_TOKENS = 200  # a longer answer may be truncated, and is not stored then
RUNTIME_LANES, HTTP_LANES = 3, 2
LANES = RUNTIME_LANES + HTTP_LANES
BURSTS = 4  # one of so many rounds asks a new question in all lanes at once
FATES = {"": 84, "frozen": 8, "killed": 4, "out of time": 4}  # of a request, in percent
KILL_SECONDS = 0.4  # latest time, after the start of a request, at which its environment is killed
FREEZE_SECONDS = 1.0  # longest time that an environment is frozen
MODEL_DELAY = 0.3  # seconds, so that calls overlap
SHORT = (0.2, 2.0)  # shortest and longest timeout of an invocation that is out of time
DOCUMENTS = 20
UPLOAD_SECONDS = 4.0  # longest time between two uploads
VISIBILITY_TIMEOUT = 60  # seconds until the message of a killed environment is retried
SUMMARY_SECONDS = 300  # for a summary on a busy machine, with a few kills
BATCH = 5  # most messages of an invocation
COMPUTED = {"miss", "expired", "refreshed"}


@dataclass(frozen=True)
class Asked:
    """A request and its result; `status` is empty if there was no answer.

    `harmed` is true if its environment was killed or ran out of time.
    """

    caller: str
    question: str
    began: float
    ended: float
    harmed: bool
    status: str = ""
    answer: str = ""
    age: int = 0
    raw: str = ""


@dataclass
class Chaos:
    """The requests so far, and the faults that were injected."""

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
        """Ask each question once without the cache, then all of them at random."""
        iam, keys = self.cloud.aws.client("iam"), {}
        for caller in CALLERS:
            iam.create_user(UserName=caller)
            key = iam.create_access_key(UserName=caller)["AccessKey"]
            keys[caller] = (key["AccessKeyId"], key["SecretAccessKey"])
        for country in COUNTRIES.split():
            self._expect(f"What is the capital of {country}?")
        texts = [f"{SAMPLE_DOCUMENT} That was year {year}." for year in range(3 * DOCUMENTS)]
        texts = [text for text in texts if self._ends(text)]
        assert len(texts) >= DOCUMENTS, "too many summaries are truncated"
        self.cloud.model.fail(BedrockFault.SLOW, seconds=MODEL_DELAY)
        before = self.cloud.model.calls
        with ThreadPoolExecutor(LANES + 1) as pool:
            running = [pool.submit(self._lane, lane, keys) for lane in range(LANES)]
            running.append(pool.submit(self._documents, texts[:DOCUMENTS]))
        for lane in running:
            lane.result()
        self.calls = self.cloud.model.calls - before

    def _expect(self, question: str) -> None:
        """Record the model's answer to a question, unless it may be truncated."""
        body = {"question": question, "cache": {"mode": "bypass"}}
        reply = self.cloud.stack.request("POST", ask_url(self.cloud.stack), body=body)
        assert reply.status_code == 200, reply.text
        if reply.json()["usage"]["output_tokens"] < MAX_TOKENS:
            self.expected[question] = reply.json()["answer"]

    def _ends(self, text: str) -> bool:
        """Return whether the model ends the summary itself; a truncated one is not stored."""
        reply = self.cloud.aws.client("bedrock-runtime").converse(
            modelId="amazon.nova-2-lite-v1:0",
            system=[{"text": TASK}],
            messages=[{"role": "user", "content": [{"text": text}]}],
            inferenceConfig={"maxTokens": 256, "temperature": 0},
        )
        return bool(reply["stopReason"] == "end_turn")

    def _question(self, number: int, dice: random.Random) -> tuple[str, str]:
        common, new = [*self.expected][:COMMON], [*self.expected][COMMON:]
        rounds, position = divmod(number // LANES, BURSTS)
        if position == 0 and rounds < len(new):
            return CALLERS[0], new[rounds]
        often = min(int(dice.expovariate(0.2)), len(common) - 1)
        return dice.choice(CALLERS), common[often]

    def _documents(self, texts: list[str]) -> None:
        dice, versions = random.Random(f"{self.seed} documents"), {}
        client = SummaryClient(self.cloud.stack)
        with client.visibility_timeout(VISIBILITY_TIMEOUT):
            for number, text in enumerate(texts):
                versions[f"report {number}.txt"] = client.upload(f"report {number}.txt", text)
                time.sleep(dice.uniform(0, UPLOAD_SECONDS))
                if number % BATCH == 0:
                    self.killed_with_documents += self.kill_environments("SummarizeFunction")
            for name, version in versions.items():
                with suppress(PartFailed):  # a missing summary is reported afterwards
                    found = client.wait_for(name, version, seconds=SUMMARY_SECONDS)
                    self.summaries[name] = found["summary"]
        self.dead_letters = client.dead_letters()

    def kill_environments(self, function: str) -> int:
        try:
            return self.cloud.stack.kill_environments(function)
        except (PartFailed, ProcessLookupError):  # it ended by itself, or slowly
            return 1

    def _lane(self, lane: int, keys: dict[str, tuple[str, str]]) -> None:
        dice = random.Random(f"{self.seed} {lane}")
        with ExitStack() as stop:
            ask: Callable[[str, str, str], Asked]
            if lane < RUNTIME_LANES:
                runtime = RuntimeLane(self, dice)
                stop.callback(runtime.stop)
                ask = runtime.ask
            else:
                ask = UrlLane(self, dice, keys).ask
            while (number := next(self._numbers)) < self.requests:
                if number == self.requests // 2:
                    began = time.monotonic()
                    self.cloud.stack.fire_schedule()
                    self.flush = (began, time.monotonic())
                (fate,) = dice.choices([*FATES], [*FATES.values()])
                self.asked.append(ask(*self._question(number, dice), fate))


@dataclass
class RuntimeLane:
    """Sends requests to its own environment, under AWS's runtime client."""

    chaos: Chaos
    dice: random.Random
    _environment: ExecutionEnvironment | None = None
    _started: ExitStack = field(default_factory=ExitStack)

    def stop(self) -> None:
        self._started.close()
        self._environment = None

    def ask(self, caller: str, question: str, fate: str) -> Asked:
        deployed = self.chaos.deployed
        if self._environment is None:
            self._environment = self._started.enter_context(self.chaos.cloud.running(deployed))
        environment = self._environment
        if fate == "frozen":
            environment.freeze()
            time.sleep(self.dice.uniform(0, FREEZE_SECONDS))
        timeout = self.dice.uniform(*SHORT) if fate == "out of time" else deployed.timeout
        environment.deployed = replace(deployed, timeout=timeout)
        event = function_url("POST", "/ask", {"question": question}, iam=signed_by(caller))
        began, pid = time.monotonic(), environment.pid()
        with _killing(self.dice, fate, lambda: _kill(pid)):
            reply = environment.invoke(event)
        if reply.error or fate == "killed":
            self.stop()
        body = {} if reply.error else json.loads(reply.payload["body"])
        harmed = fate in {"killed", "out of time"}
        return _asked(caller, question, began, harmed, body, str(reply))


@dataclass
class UrlLane:
    """Sends signed requests to the Function URL."""

    chaos: Chaos
    dice: random.Random
    keys: dict[str, tuple[str, str]]

    def ask(self, caller: str, question: str, fate: str) -> Asked:
        stack, kills = self.chaos.cloud.stack, self.chaos.kills

        def kill() -> None:
            kills.append(time.monotonic())
            self.chaos.kill_environments("AskFunction")
            kills.append(time.monotonic())

        sent, key = {"question": question}, self.keys[caller]
        body: dict[str, Any] = {}
        began = time.monotonic()
        with _killing(self.dice, fate, kill):
            try:
                reply = stack.request("POST", ask_url(stack), body=sent, by=key)
                raw = f"{reply.status_code} {reply.text}"
                body = reply.json() if reply.status_code == 200 else {}
            except httpx.HTTPError as error:
                raw = repr(error)
        ended = time.monotonic()
        harmed = any(began - 0.1 <= kill <= ended + 0.1 for kill in kills)
        return _asked(f"{caller}, of the account", question, began, harmed, body, raw)


def _asked(
    caller: str, question: str, began: float, harmed: bool, body: dict[str, Any], raw: str
) -> Asked:
    asked = Asked(caller, question, began, time.monotonic(), harmed, raw=raw)
    if "answer" not in body:
        return asked
    cache = body["cache"]
    return replace(asked, status=cache["status"], answer=body["answer"], age=cache["age"] or 0)


@contextmanager
def _killing(dice: random.Random, fate: str, kill: Callable[[], None]) -> Iterator[None]:
    """Call `kill` at a random time during the block, if that is the request's fate."""
    timer = threading.Timer(dice.uniform(0, KILL_SECONDS), kill)
    if fate == "killed":
        timer.start()
    try:
        yield
    finally:
        if fate == "killed":
            timer.join()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def violations(chaos: Chaos) -> list[str]:
    """Return a message for each violation of a rule."""
    rules = (
        _unanswered,
        _wrong_answers,
        _answers_of_other_tenants,
        _answers_from_before_the_flush,
        _computed_twice,
        _unexplained_calls,
        _missing_summaries,
    )
    return [message for rule in rules for message in rule(chaos)]


def _unanswered(chaos: Chaos) -> Iterator[str]:
    for asked in chaos.asked:
        if not asked.status and not asked.harmed:
            yield f"no answer, although its environment was not harmed: {asked}"


def _wrong_answers(chaos: Chaos) -> Iterator[str]:
    for asked in chaos.asked:
        if asked.status and asked.answer != chaos.expected[asked.question]:
            yield f"not the model's answer {chaos.expected[asked.question]!r}: {asked}"


def _answers_of_other_tenants(chaos: Chaos) -> Iterator[str]:
    for asked in chaos.asked:
        if asked.status and asked.status not in COMPUTED | {"error"}:
            others = [it for it in chaos.asked if it is not asked and it.began < asked.ended]
            if (asked.caller, asked.question) not in {(it.caller, it.question) for it in others}:
                yield f"a hit, although its caller has not asked before: {asked}"


def _answers_from_before_the_flush(chaos: Chaos) -> Iterator[str]:
    began, ended = chaos.flush
    for asked in chaos.asked:
        if asked.status and asked.began > ended and asked.age > asked.ended - began + 1:
            yield f"older than the flush: {asked}"


def _computed_twice(chaos: Chaos) -> Iterator[str]:
    """Find answers that were computed twice, before or after the flush, without a killed leader.

    A waiter that gave up after half of its timeout may compute, too.
    """
    began, ended = chaos.flush
    patience = chaos.deployed.timeout / 2
    for phase in (lambda a: a.ended < began, lambda a: a.began > ended):
        by_question: dict[tuple[str, str], list[Asked]] = defaultdict(list)
        for asked in filter(phase, chaos.asked):
            by_question[asked.caller, asked.question].append(asked)
        for requests in by_question.values():
            computed = [asked for asked in requests if asked.status in COMPUTED]
            soon = [asked for asked in computed if asked.ended - asked.began < patience]
            if len(soon) > 1 + sum(asked.harmed for asked in requests):
                yield f"computed {len(computed)} times: {requests}"


def _unexplained_calls(chaos: Chaos) -> Iterator[str]:
    """Find more model calls than computed, failed and harmed requests can have made."""
    most = sum(asked.status in COMPUTED | {"error"} or asked.harmed for asked in chaos.asked)
    most += DOCUMENTS + BATCH * chaos.killed_with_documents
    if chaos.calls > most:
        yield f"{chaos.calls} model calls, of which {most} are explained"


def _missing_summaries(chaos: Chaos) -> Iterator[str]:
    if missing := DOCUMENTS - sum(map(bool, chaos.summaries.values())):
        yield f"{missing} documents have no summary"
    if chaos.dead_letters:
        yield f"dead letters: {chaos.dead_letters}"


REQUESTS = 1000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no runtime client elsewhere")


def test_thousand_requests_under_faults_break_no_rule() -> None:
    seed = int(os.environ.get("CHAOS_SEED") or int.from_bytes(os.urandom(4)))
    print(f"CHAOS_SEED={seed}")
    with LocalCloud.start(model="smollm2") as cloud, cloud.downloaded("AskFunction") as deployed:
        chaos = Chaos(cloud, deployed, REQUESTS, seed)
        chaos.run()
    assert len(chaos.asked) == REQUESTS
    assert any(asked.harmed and not asked.status for asked in chaos.asked)
    found = violations(chaos)
    print(*found, sep="\n")
    assert not found, f"{len(found)} violations, printed above"
