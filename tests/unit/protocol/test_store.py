from typing import Any

import pytest
from tests.unit.protocol.operations import ENTRY_KEY, EPOCH_KEY, LEASE_KEY, RED, drive, request

from llm_cache._entries.opening import OPENING
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.lookup import ANY_ENTRY, Epochs
from llm_cache._protocol.store import STORE, Unseen, store
from llm_cache._reasons import Reason

BODY = '"},"rest"'
RED_KEY = f"ns:epoch:{RED}"
BEFORE_RED = f'","{RED}":"'


def storing(
    epochs: Epochs | Unseen, *, tags: tuple[str, ...] = (), **fields: Any
) -> Operation[Reason | None]:
    return store(request(tags=tags), body=BODY, ttl=60, epochs=epochs, token="new", **fields)


@pytest.mark.parametrize(
    ("epochs", "marks"),
    [
        (("e1", "r1"), ("=e1", "=r1")),
        (("e1", None), ("=e1", "-")),
        ((None, "r1"), ("-", "=r1")),
        (Unseen.NOT_LOOKED_UP, ("?", "?")),
    ],
)
@pytest.mark.parametrize(
    "fields", [{}, {"fingerprint": ""}, {"fingerprint": "7:an entry", "lease": "mine"}]
)
def test_store_is_one_command_with_the_epochs_that_the_lookup_saw(
    epochs: Epochs | Unseen, marks: tuple[str, str], fields: dict[str, str]
) -> None:
    keys = (4, ENTRY_KEY, LEASE_KEY, EPOCH_KEY, RED_KEY)
    lease, fingerprint = fields.get("lease", ""), fields.get("fingerprint", ANY_ENTRY)
    args = ("fnew", 60, OPENING, BODY, lease, fingerprint, marks[0], "", marks[1], BEFORE_RED)
    steps, _ = drive(storing(epochs, tags=("red",), **fields), 1)
    assert steps == [("EVAL", STORE, *keys, *args)]


@pytest.mark.parametrize(
    ("reply", "refusal"), [(0, Reason.CLEARED_MEANWHILE), (1, None), (2, Reason.SUPERSEDED)]
)
def test_store_returns_why_the_script_did_not_store(reply: int, refusal: Reason | None) -> None:
    assert drive(storing(("e1",)), reply)[1] is refusal


@pytest.mark.parametrize("lease", [None, "mine"])
def test_store_after_a_failed_lookup_sends_no_command(lease: str | None) -> None:
    assert drive(storing(Unseen.LOOKUP_FAILED, lease=lease)) == ([], Reason.LOOKUP_FAILED)


@pytest.mark.parametrize("epochs", [(), ("e1",), ("e1", None, "r1")])
def test_store_refuses_epochs_of_other_tags(epochs: Epochs) -> None:
    with pytest.raises(ValueError, match="zip"):
        drive(storing(epochs, tags=("red",)))
