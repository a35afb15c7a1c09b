import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from llm_cache._protocol.daemon_thread import in_daemon_thread
from llm_cache._protocol.drivers import arun, clean_up, run
from llm_cache._protocol.effects import Command, Operation, Pause
from llm_cache._protocol.redis_commands import mget, unlink

DRIVERS = pytest.mark.parametrize("asynchronous", [False, True])


def driven(operation: Operation[Any], execute: Any, *, asynchronous: bool) -> Any:
    async def aexecute(command: Command[Any]) -> Any:
        return execute(command)

    return asyncio.run(arun(operation, aexecute)) if asynchronous else run(operation, execute)


@DRIVERS
def test_operation_gets_replies_and_errors_and_waits_until_a_future_is_done(
    monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    def operation() -> Operation[Any]:
        with pytest.raises(OSError, match="k"):
            yield from unlink("k")
        yield Pause(0.0)
        threading.Timer(0.01, until.set_result, ["done"]).start()
        yield Pause(60, until)
        return (yield from mget("k")), until.done()

    def execute(command: Command[Any]) -> Any:
        if command.args[0] == "UNLINK":
            raise OSError("k")
        return ["value"]

    until: Future[str] = Future()
    slept: list[float] = []
    monkeypatch.setattr("llm_cache._protocol.drivers.time.sleep", slept.append)
    assert driven(operation(), execute, asynchronous=asynchronous) == (["value"], True)
    assert slept == ([] if asynchronous else [0.0])


@DRIVERS
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_interrupted_operation_is_closed_at_once(
    asynchronous: bool, error: type[BaseException]
) -> None:
    def operation() -> Operation[None]:
        try:
            yield from unlink("k")
        except GeneratorExit:
            closed.append(True)
            raise

    def interrupted(_: Command[Any]) -> Any:
        raise error

    closed: list[bool] = []
    with pytest.raises(error) as caught:
        driven(operation(), interrupted, asynchronous=asynchronous)
    assert closed
    assert caught  # its traceback keeps the operation from being collected


@pytest.mark.parametrize(
    ("wait", "on_loop", "waits"),
    [(True, False, True), (False, False, False), (True, True, False), (False, True, False)],
)
def test_cleanup_never_blocks_a_loop_and_raises_nothing(
    wait: bool, on_loop: bool, waits: bool
) -> None:
    def execute(_: Command[Any]) -> Any:
        threads.append(threading.current_thread())
        done.set()
        raise OSError

    async def on_a_loop() -> None:
        clean_up(iter(unlink("k")), execute, wait=wait)

    threads: list[threading.Thread] = []
    done = threading.Event()
    if on_loop:
        asyncio.run(on_a_loop())
    else:
        clean_up(iter(unlink("k")), execute, wait=wait)
    assert done.wait(60)
    assert (threads[0] is threading.main_thread()) == waits
    assert threads[0].daemon == (not wait and not on_loop)


def test_daemon_thread_passes_on_result_and_error() -> None:
    assert in_daemon_thread(lambda: threading.current_thread().daemon).result(60)
    with pytest.raises(ZeroDivisionError):
        in_daemon_thread(lambda: 1 / 0).result(60)
