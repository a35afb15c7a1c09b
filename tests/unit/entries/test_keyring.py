"""How keys are written, what is made of them, and that no message shows one."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from llm_cache import InvalidSettings
from llm_cache._entries.keyring import Keyring

NEW, OLD, OLDER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))


def ids(text: str) -> list[str]:
    return list(Keyring.parse("keys", text).subkeys("sign"))


def names(text: str) -> bytes:
    return Keyring.parse("keys", text).names


def test_the_first_key_writes_and_both_read() -> None:
    assert ids(f"{NEW} {OLD}") == [*ids(NEW), *ids(OLD)]
    assert ids(f"\t{NEW}\n{OLD}\n") == ids(f"{NEW} {OLD}")


def test_names_do_not_change_while_keys_are_rotated() -> None:
    assert names(OLD) == names(f"{NEW} {OLD}") == names(f"{NEW} names:{OLD}")
    assert names(OLD) == names(f"names:{OLD} {OLDER} {NEW}")
    assert names(OLD) != names(NEW)


def test_a_key_for_names_reads_no_entry() -> None:
    assert ids(f"{NEW} names:{OLD}") == ids(NEW)


def test_every_use_has_a_subkey_of_its_own() -> None:
    ring = Keyring.parse("keys", NEW)
    made = {ring.names, *ring.subkeys("sign").values(), *ring.subkeys("encrypt").values()}
    assert len(made) == 3
    assert base64.b64decode(NEW) not in made


def test_a_subkey_is_the_first_block_of_hkdf() -> None:
    # no release may change it: what is stored could not be read, nor found
    made = hmac.new(base64.b64decode(NEW), b"llm_cache names\x01", hashlib.sha256).digest()
    assert names(NEW) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        NEW[:-1],
        NEW[:-2],
        NEW + "A",
        base64.b64encode(b"k" * 31).decode(),
        base64.b64encode(b"k" * 33).decode(),
        base64.b64encode(b"\xff" * 32).decode().replace("/", "_"),
        "open-sesame-and-a-secret",
        "é" * 44,
        f"{NEW},{OLD}",
        f"{NEW} {OLD} {OLDER}",
        f"names:{NEW}",
        f"{NEW} names:",
        f"{NEW} names:{OLD[:-2]}",
        f"{NEW} names:{OLD} names:{OLDER}",
        base64.b64decode(NEW),
        None,
        [NEW],
    ],
)
def test_what_is_no_key_is_refused_by_name_and_not_shown(text: Any) -> None:
    with pytest.raises(InvalidSettings) as raised:
        Keyring.parse("LLM_CACHE_SIGNING_KEY", text)
    told = str(raised.value)
    assert told.startswith("LLM_CACHE_SIGNING_KEY='…' is not accepted: one or two keys of 32")
    assert not [word for word in str(text).split() if len(word) > 9 and word in told]
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_keys_are_in_no_repr() -> None:
    ring = Keyring.parse("keys", f"{NEW} {OLD}")
    assert NEW not in repr(ring)
    assert repr(b"\x01\x01")[2:-1] not in repr(ring)
