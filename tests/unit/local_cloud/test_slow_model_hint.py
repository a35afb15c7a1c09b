"""The hint at `MODEL=echo` during a slow model call."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from local_cloud.model.model_process import ModelName
from local_cloud.scenario.slow_model_hint import SlowModelHint


@dataclass
class Time:
    """A clock that tests move; it calls the functions of the running timers."""

    now: float = 0.0
    running: dict[float, Callable[[], None]] = field(default_factory=dict)

    def timer(self, seconds: float, function: Callable[[], None]) -> "FakeTimer":
        return FakeTimer(self, self.now + seconds, function)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.running if moment <= self.now]:
            self.running.pop(moment)()


@dataclass
class FakeTimer:
    time: Time
    moment: float
    function: Callable[[], None]

    def start(self) -> None:
        self.time.running[self.moment] = self.function

    def cancel(self) -> None:
        self.time.running.pop(self.moment, None)


def hints(*calls: tuple[int, float], model: ModelName = "smollm2") -> list[list[str]]:
    """Return the hints after each block, which expects some calls and takes some seconds."""
    reported: list[str] = []
    time, after = Time(), []
    hint = SlowModelHint(model, reported.append, time.timer)
    for number, seconds in calls:
        with hint.waiting(number):
            time.pass_by(seconds)
            after.append(list(reported))
        time.pass_by(100)
    assert reported == after[-1]
    return after


def test_hint_is_reported_while_the_call_still_runs() -> None:
    ((hint,),) = hints((1, 10))
    assert hint == "the model has not answered for 10 s; MODEL=echo make run uses no model"


def test_hint_is_reported_once() -> None:
    assert [len(reported) for reported in hints((1, 9), (1, 11), (1, 12))] == [0, 1, 1]


@pytest.mark.parametrize(("calls", "model"), [(0, "smollm2"), (1, "echo")])
def test_wait_without_the_real_model_gives_no_hint(calls: int, model: ModelName) -> None:
    assert hints((calls, 60), model=model) == [[]]
