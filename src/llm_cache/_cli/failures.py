"""The exit codes of the commands, and the line that a failed command prints."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import typer

from llm_cache._errors import InvalidValue, LlmCacheError
from llm_cache._stack.command_failure import CommandFailure


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    NO = 1  # a check failed, there is no such entry, a lookup would miss
    USAGE = 2  # an argument, a variable or an extra
    FAILED = 3  # Upstash, AWS or a function failed
    INTERRUPTED = 130  # 128 + SIGINT, as in a shell


EXIT_CODES = (
    "0 done; 1 the result is negative (a failed check, no such entry, a miss); 2 wrong usage or "
    "configuration; 3 Upstash or AWS failed; 130 interrupted"
)


def reported(command: Callable[..., int | None]) -> Callable[..., None]:
    """Return the command so that it exits with its code, and prints an error as one line."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        raise typer.Exit(_exit_code(functools.partial(command, *args, **options)))

    return run


def failed(message: object, code: ExitCode = ExitCode.FAILED) -> int:
    """Print an error and return its exit code."""
    print(f"llm-cache: {message}", file=sys.stderr, flush=True)
    return code


def _exit_code(command: Callable[[], int | None]) -> int:
    try:
        return int(command() or 0)
    except InvalidValue as error:
        return failed(error, ExitCode.USAGE)
    except (LlmCacheError, CommandFailure) as error:
        return failed(error)
    except KeyboardInterrupt:
        return failed("interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:  # of `llm-cache ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except typer.Exit:
        raise
    except Exception as error:  # noqa: BLE001  a defect is raised again
        return failed(_aws_failure(error))


def _aws_failure(error: Exception) -> str:
    """Return the message of an error of AWS's client; raise every other error, a defect."""
    if type(error).__module__.partition(".")[0] not in {"botocore", "boto3"}:
        raise error
    from llm_cache._stack.aws_errors import explain

    return explain(error, os.environ.get("AWS_REGION"))
