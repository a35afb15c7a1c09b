"""Name `MODEL=echo` to a user who waits for the model."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from local_cloud.model.model_process import ModelName
from local_cloud.progress import to_stderr

WAIT_SECONDS = 10.0


class Timer(Protocol):
    """Calls a function after a delay, as `threading.Timer` does."""

    def start(self) -> None:
        """Begin the delay."""

    def cancel(self) -> None:
        """End the delay without a call."""


@dataclass(slots=True)
class SlowModelHint:
    """Reports one hint, at the first model call that takes longer than WAIT_SECONDS."""

    model: ModelName
    report: Callable[[str], None] = to_stderr
    timer: Callable[[float, Callable[[], None]], Timer] = threading.Timer
    reported: bool = False

    @contextlib.contextmanager
    def waiting(self, calls: int) -> Iterator[None]:
        """Report the hint during a block that expects `calls` model calls, if it takes long."""
        timer = self.timer(WAIT_SECONDS, self._report_once)
        if calls and self.model != "echo":
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _report_once(self) -> None:
        if not self.reported:
            self.reported = True
            self.report(
                f"the model has not answered for {WAIT_SECONDS:.0f} s;"
                " MODEL=echo make run uses no model"
            )
