"""Parsing of keys, the subkeys derived from them, and errors without a key."""

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


def name_secret(text: str) -> bytes:
    return Keyring.parse("keys", text).name_secret


def test_first_key_writes_and_both_read() -> None:
    assert ids(f"{NEW} {OLD}") == ids(f"\t{NEW}\n{OLD}\n") == [*ids(NEW), *ids(OLD)]


def test_names_do_not_change_while_keys_are_rotated() -> None:
    assert name_secret(OLD) == name_secret(f"{NEW} {OLD}") == name_secret(f"{NEW} names:{OLD}")
    assert name_secret(OLD) == name_secret(f"names:{OLD} {OLDER} {NEW}") != name_secret(NEW)


def test_key_for_names_reads_no_entry() -> None:
    assert ids(f"{NEW} names:{OLD}") == ids(NEW)


def test_every_use_has_its_own_subkey() -> None:
    keyring = Keyring.parse("keys", NEW)
    subkeys = {*keyring.subkeys("sign").values(), *keyring.subkeys("encrypt").values()}
    assert len({keyring.name_secret, base64.b64decode(NEW), *subkeys}) == 4


def test_subkey_is_the_first_block_of_hkdf() -> None:
    # No release may change it: stored entries could be neither found nor read.
    def block(label: bytes) -> bytes:
        return hmac.new(base64.b64decode(NEW), label, hashlib.sha256).digest()

    assert name_secret(NEW) == block(b"llm_cache names\x01")
    key_id = block(b"llm_cache id\x01").hex()[:8]
    assert Keyring.parse("keys", NEW).subkeys("sign") == {key_id: block(b"llm_cache sign\x01")}


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", NEW[:-1], NEW[:-2], NEW + "A"),
        *(base64.b64encode(b"k" * size).decode() for size in (31, 33)),
        base64.b64encode(b"\xff" * 32).decode().replace("/", "_"),
        *("open-sesame-and-a-secret", "é" * 44),
        *(f"{NEW},{OLD}", f"{NEW} {OLD} {OLDER}"),
        *(f"names:{NEW}", f"{NEW} names:", f"{NEW} names:{OLD[:-2]}"),
        f"{NEW} names:{OLD} names:{OLDER}",
        *(base64.b64decode(NEW), None, [NEW]),
    ],
)
def test_invalid_key_is_refused_by_name_without_its_value(text: Any) -> None:
    with pytest.raises(InvalidSettings) as raised:
        Keyring.parse("LLM_CACHE_SIGNING_KEY", text)
    message = str(raised.value)
    assert message.startswith("LLM_CACHE_SIGNING_KEY='…' is not accepted: one or two keys of 32")
    assert not [word for word in str(text).split() if len(word) > 9 and word in message]
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_repr_shows_no_key() -> None:
    keyring = Keyring.parse("keys", f"{NEW} {OLD}")
    assert NEW not in repr(keyring)
    assert repr(b"\x01\x01")[2:-1] not in repr(keyring)
