"""``llm-cache warm``."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator
from typing import Annotated

import httpx
import typer

from llm_cache._cli import options
from llm_cache._cli.failures import ExitCode, failed
from llm_cache._cli.output import Output
from llm_cache._cli.question_file import Question, open_questions
from llm_cache._cli.scanning import Report, progress
from llm_cache._cli.warmed import Warmed
from llm_cache._stack.ask_call import ANSWER_SECONDS, AskCall, AskReply
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.stack_access import StackAccess

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help='Questions, one a line: "Who?" or {"question": "Who?", "cache": {"ttl": 60}}; '
        "- reads stdin.",
    ),
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", metavar="N", min=1, max=100, help="Questions at once.")
]
FromLine = Annotated[
    int, typer.Option("--from-line", metavar="N", min=1, help="Continue at this line.")
]
Show = Callable[[Question, AskReply], None]


def warm(
    file: File,
    *,
    stack: options.RequiredStack,
    concurrency: Concurrency = 4,
    from_line: FromLine = 1,
    json: options.Json = False,
) -> int:
    """Ask a deployed stack many questions, so that later callers hit: after a deploy, for example.

    Each answer that is not in the cache costs a model call. All lines are checked before the first
    question is sent. A line is a JSON string, or an object as `POST /ask` takes it. By default
    only the caller that stored an answer hits it: see the stack's parameter ShareAnswers.

    A throttled question (429, 503) is sent again, five times at most. Ctrl-C prints what was done
    and the command that continues. The exit code is 1 if a question got no answer.
    """
    access, output = StackAccess.open(stack), Output(json)
    call = AskCall.of(access)
    with open_questions(file) as questions:
        warmed = Warmed(questions.check(from_line), from_line)
        if access.stack.parameters.get("ShareAnswers") == "nobody":
            output.warn("the stack has ShareAnswers=nobody: no other caller will hit the answers")
        stop = _run(call, questions.questions(from_line), warmed, output, concurrency)
    if stop is not None:
        command = f"llm-cache warm {shlex.quote(file)} --stack {stack}"
        warmed.then = f"{command} --from-line {warmed.next_line}"
    output.show({"summary": warmed.as_dict()}, str(warmed))
    return _exit_code(stop, warmed)


def _exit_code(stop: CommandFailure | KeyboardInterrupt | None, warmed: Warmed) -> int:
    match stop:
        case None:
            return ExitCode.NO if warmed.failed else ExitCode.DONE
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
    return failed(stop)


def _run(
    call: AskCall,
    questions: Iterator[Question],
    warmed: Warmed,
    output: Output,
    concurrency: int,
) -> CommandFailure | KeyboardInterrupt | None:
    """Send the questions; return what stopped it before the last one."""
    with progress() as report:
        sending = _send_all(call, questions, warmed, _shown(warmed, output, report), concurrency)
        try:
            asyncio.run(sending)
        except (CommandFailure, KeyboardInterrupt) as stop:
            return stop
    return None


def _shown(warmed: Warmed, output: Output, report: Report) -> Show:
    def show(question: Question, reply: AskReply) -> None:
        if output.as_json:
            answered = {**reply.cache, "failure": reply.failure}
            output.show({"line": question.line, **answered}, "")
        report(warmed.progress)

    return show


async def _send_all(
    call: AskCall, questions: Iterator[Question], warmed: Warmed, show: Show, concurrency: int
) -> None:
    """Send the questions, ``concurrency`` at once; Ctrl-C gives up those without a reply."""
    limits = httpx.Limits(max_connections=concurrency)

    async def work() -> None:
        for question in questions:  # shared: each worker takes the next one
            warmed.begin(question.line)
            reply = await call.send_patiently(client, question.body)
            warmed.end(question.line, reply.cache, reply.failure)
            show(question, reply)

    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, limits=limits) as client:
        await asyncio.gather(*(work() for _ in range(concurrency)))
