from typing import Any

import pytest
from tests.unit.protocol.operations import (
    ENTRY_KEY,
    EPOCH_KEY,
    LEASE_KEY,
    RED,
    drive,
    request,
)

from llm_cache._errors import StoreGarbled
from llm_cache._protocol.leases import HELD, RELEASE, RENEW, TAKE, TakeReply, release, renew, take


@pytest.mark.parametrize("tags", [(), ("red",)])
def test_take_reads_the_epochs_and_the_entry_in_one_command(tags: tuple[str, ...]) -> None:
    epochs = (EPOCH_KEY, f"ns:epoch:{RED}")[: 1 + len(tags)]
    keys = (2 + len(epochs), LEASE_KEY, *epochs, ENTRY_KEY)
    reply = [HELD, *epochs, None]
    steps, reply_of_take = drive(iter(take(request(tags=tags), "mine", 60)), reply)
    assert steps == [("EVAL", TAKE, *keys, "mine", 10_000, 10_000)]
    assert reply_of_take == TakeReply(HELD, epochs, None)


@pytest.mark.parametrize(
    "reply", [None, [], "0", [0, "e1"], [0, "e1", "r1", "text"], ["0", "e", ""]]
)
def test_reply_of_another_shape_is_garbled(reply: Any) -> None:
    with pytest.raises(StoreGarbled):
        drive(iter(take(request(), "mine", 60)), reply)


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(120, 10_000), (10, 10_000), (4, 4000), (1.5, 1500), (0.0001, 1), (-1, 1)],
)
def test_lease_is_taken_and_renewed_for_ten_seconds_at_most(
    seconds: float, milliseconds: int
) -> None:
    assert take(request(), "mine", seconds).args[-2:] == (milliseconds, 10_000)
    steps, held = drive(renew(request(), "mine", seconds), 1)
    assert steps == [("EVAL", RENEW, 1, LEASE_KEY, "mine", milliseconds)]
    assert held is True


def test_lease_of_another_leader_is_not_renewed() -> None:
    assert drive(renew(request(), "mine", 10), 0)[1] is False


@pytest.mark.parametrize(("uncacheable", "mark"), [(False, ""), (True, "-")])
def test_release_is_one_command(uncacheable: bool, mark: str) -> None:
    steps, _ = drive(release(request(), "mine", uncacheable=uncacheable), 1)
    assert steps == [("EVAL", RELEASE, 1, LEASE_KEY, "mine", mark)]
