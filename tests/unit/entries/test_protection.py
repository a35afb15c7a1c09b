"""Signed and encrypted entries, as text: what is read back, and what never is."""

import base64
import json
import secrets
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_cache import Encryption, ForgedEntry, InvalidSettings, Signing, UnreadableEntry
from llm_cache._entries import envelope as entries
from llm_cache._entries.dictionary import DICTIONARY
from llm_cache._entries.envelope import HEAD, Entry, before_tag
from llm_cache._entries.protection import Protection

NEW, OLD = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
KEY, OTHER = "shop:entry:" + "a" * 64, "shop:entry:" + "b" * 64
TAG = before_tag("0f" * 16) + "e2"
PLAIN = entries.body(entries.head(1.0, 60, "langchain"), ['"hi"'])
PROSE = "The capital of France is Paris. " * 100

KINDS: list[Callable[[str], Protection]] = [Signing, Encryption]
kinds = pytest.mark.parametrize("kind", KINDS)


def stored(protection: Protection, *answer: Any, key: str = KEY, epochs: str = "e1" + TAG) -> str:
    texts = [json.dumps(one) for one in answer or ("hi",)]
    return HEAD + epochs + protection.body(key, entries.head(1000.5, 60, "langchain"), texts)


@kinds
@pytest.mark.parametrize("answer", [["hi"], [{"a": "é"}, None], [PROSE], [PROSE, "hi"]])
def test_an_entry_comes_back_as_it_was_protectioned(
    kind: Callable[[str], Protection], answer: list[Any]
) -> None:
    text = stored(kind(NEW), *answer)
    assert text.isascii()
    assert kind(NEW).decode(KEY, text) == Entry(
        {"": "e1", "0f" * 16: "e2"}, 1000.5, 60, tuple(answer), "langchain"
    )


@kinds
@pytest.mark.parametrize("key", [OTHER, KEY.replace("shop", "shop2"), KEY[:-1], KEY + '"', "é"])
def test_an_entry_under_another_key_is_forged(kind: Callable[[str], Protection], key: str) -> None:
    with pytest.raises(ForgedEntry):
        kind(NEW).decode(key, stored(kind(NEW)))


def test_no_trick_with_delimiters_moves_an_entry() -> None:
    text, moved = stored(Signing(NEW), key="k"), '"created":1000.500'
    with pytest.raises(ForgedEntry):
        Signing(NEW).decode("k" + moved, text.replace(moved, "", 1))


def altered(text: str, field: str, value: object) -> str:
    fields = json.loads(text)
    assert field in fields
    return json.dumps({**fields, field: value}, separators=(",", ":"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("created", 1000.501),
        ("created", 10**10),
        ("ttl", 61),
        ("answer", ["ho"]),
        ("answer", ["hi", "hi"]),
        ("mac", "A" * 43 + "="),
        ("mac", ""),
        ("mac", None),
    ],
)
def test_a_signed_entry_with_a_field_altered_is_forged(field: str, value: object) -> None:
    text = stored(Signing(NEW))
    assert altered(text, "v", 1) == text.replace("1000.500", "1000.5")
    with pytest.raises(ForgedEntry):
        Signing(NEW).decode(KEY, altered(text, field, value))


@pytest.mark.parametrize(
    ("field", "value"), [("created", 1000.501), ("ttl", 61), ("box", "A" * 80), ("box", "")]
)
def test_an_encrypted_entry_with_a_field_altered_is_forged(field: str, value: object) -> None:
    with pytest.raises(ForgedEntry):
        Encryption(NEW).decode(KEY, altered(stored(Encryption(NEW)), field, value))


def test_a_compressed_answer_is_signed_as_it_is_stored() -> None:
    text = stored(Signing(NEW), PROSE)
    other = json.loads(stored(Signing(NEW), PROSE + "!"))["z"]
    assert Signing(NEW).decode(KEY, text).answer == (PROSE,)
    with pytest.raises(ForgedEntry):
        Signing(NEW).decode(KEY, altered(text, "z", other))


@kinds
@pytest.mark.parametrize("length", [0, 10, 40])
def test_a_truncated_protection_is_forged(kind: Callable[[str], Protection], length: int) -> None:
    text = stored(kind(NEW))
    field = "mac" if kind is Signing else "box"
    with pytest.raises(ForgedEntry):
        kind(NEW).decode(KEY, altered(text, field, json.loads(text)[field][:length]))


@kinds
def test_an_entry_that_nobody_has_protectioned_is_forged(kind: Callable[[str], Protection]) -> None:
    with pytest.raises(ForgedEntry, match="nobody"):
        kind(NEW).decode(KEY, HEAD + "e1" + PLAIN)


EVIL = base64.b64encode(zlib.compress(b'["evil"]')).decode()


@kinds
@pytest.mark.parametrize(
    "extra",
    [
        '"answer":["evil"],"x":{"":"',
        f'"z":"{EVIL}","x":{{"":"',
        '"ttl":9,"x":{"":"',
    ],
)
def test_what_is_slipped_in_before_a_protection_is_not_read(
    kind: Callable[[str], Protection], extra: str
) -> None:
    text = stored(kind(NEW), epochs="e1").replace('"e1"},', '"e1"},' + extra + '"},', 1)
    with pytest.raises(UnreadableEntry):
        kind(NEW).decode(KEY, text)


@kinds
def test_the_epochs_are_redis_own_to_write(kind: Callable[[str], Protection]) -> None:
    text = stored(kind(NEW)).replace('"e1"', '"c9"')
    assert kind(NEW).decode(KEY, text).epochs[""] == "c9"


@kinds
def test_keys_are_rotated_without_losing_an_entry(kind: Callable[[str], Protection]) -> None:
    both = kind(f"{NEW} {OLD}")
    assert both.decode(KEY, stored(kind(OLD))).answer == ("hi",)
    assert kind(NEW).decode(KEY, stored(both)).answer == ("hi",)
    assert both.names == kind(OLD).names


@kinds
@pytest.mark.parametrize("keys", [NEW, f"{NEW} names:{OLD}"])
def test_an_entry_of_a_key_that_is_gone_is_unreadable(
    kind: Callable[[str], Protection], keys: str
) -> None:
    with pytest.raises(UnreadableEntry, match="not configured") as raised:
        kind(keys).decode(KEY, stored(kind(OLD)))
    assert not isinstance(raised.value, ForgedEntry)


@kinds
def test_an_entry_that_names_another_key_than_its_own_is_forged(
    kind: Callable[[str], Protection],
) -> None:
    by = json.loads(stored(kind(OLD)))["by"]
    with pytest.raises(ForgedEntry):
        kind(f"{NEW} {OLD}").decode(KEY, altered(stored(kind(NEW)), "by", by))


def test_a_signed_entry_is_no_encrypted_one_and_the_other_way_round() -> None:
    with pytest.raises(ForgedEntry):
        Encryption(NEW).decode(KEY, stored(Signing(NEW)))
    with pytest.raises(UnreadableEntry):
        Signing(NEW).decode(KEY, stored(Encryption(NEW)))


def test_without_a_protection_a_signed_entry_can_be_read_and_an_encrypted_one_cannot() -> None:
    assert entries.decode(stored(Signing(NEW))).answer == ("hi",)
    with pytest.raises(UnreadableEntry):
        entries.decode(stored(Encryption(NEW)))


@pytest.mark.parametrize("answer", ["a marker", "a marker " * 1000])
def test_nothing_of_an_encrypted_answer_can_be_read(answer: str) -> None:
    fields = json.loads(stored(Encryption(NEW), answer))
    assert fields.keys() == {"v", "epochs", "by", "created", "ttl", "codec", "box"}
    box = base64.b64decode(fields["box"])
    assert b"marker" not in box
    assert zlib.adler32(DICTIONARY).to_bytes(4, "big") not in box  # nor the head of a zlib stream


def test_no_two_entries_are_encrypted_alike() -> None:
    protection = Encryption(NEW)
    nonces = {base64.b64decode(json.loads(stored(protection))["box"])[:12] for _ in range(100)}
    assert len(nonces) == 100


def test_an_answer_is_compressed_before_it_is_encrypted() -> None:
    assert len(stored(Encryption(NEW), PROSE)) < len(PROSE) / 2


def test_what_is_too_long_to_be_read_back_is_not_compressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entries, "MAX_ANSWER", len(PROSE))
    text = stored(Encryption(NEW), PROSE)
    assert len(text) > len(PROSE)
    assert Encryption(NEW).decode(KEY, text).answer == (PROSE,)


@kinds
@given(text=st.text() | st.binary() | st.none() | st.integers())
def test_no_text_makes_decoding_fail_in_another_way(
    kind: Callable[[str], Protection], text: object
) -> None:
    with pytest.raises(UnreadableEntry):
        kind(NEW).decode(KEY, text)


@kinds
@pytest.mark.parametrize("letter", ["é", "\ud800"])
def test_an_entry_with_a_letter_that_no_entry_holds_is_not_read(
    kind: Callable[[str], Protection], letter: str
) -> None:
    text = stored(kind(NEW))
    at = text.rindex('"')
    with pytest.raises(UnreadableEntry):
        kind(NEW).decode(KEY, text[: at - 1] + letter + text[at:])


PROTECTED = {kind: stored(kind(NEW), "hi", {"n": 1}) for kind in KINDS}
PROTECTIONS = {kind: kind(NEW) for kind in KINDS}


@st.composite
def mutations(draw: st.DrawFn, text: str) -> str:
    """Return ``text`` with a slice of it replaced, by its own text or by any other."""
    begin = draw(st.integers(0, len(text)))
    end = draw(st.integers(begin, min(len(text), begin + draw(st.integers(0, 40)))))
    at = draw(st.integers(0, len(text)))
    own = text[at : at + draw(st.integers(0, 40))]
    return text[:begin] + draw(st.just(own) | st.text(max_size=5)) + text[end:]


@kinds
@given(data=st.data())
def test_a_mutated_entry_says_the_same_or_nothing(
    kind: Callable[[str], Protection], data: st.DataObject
) -> None:
    text = data.draw(mutations(PROTECTED[kind]))
    assume(text != PROTECTED[kind])
    try:
        found = PROTECTIONS[kind].decode(KEY, text)
    except UnreadableEntry:
        return
    assert (found.created, found.ttl, found.answer) == (1000.5, 60, ("hi", {"n": 1}))


def test_encryption_without_its_package_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(
        InvalidSettings, match=r"protection='Encryption'.*lambda-llm-cache\[encryption\]"
    ):
        Encryption(NEW)
    Signing(NEW)


@kinds
def test_keys_that_are_none_are_refused(kind: Callable[[str], Protection]) -> None:
    secret = base64.b64encode(secrets.token_bytes(16)).decode()
    with pytest.raises(InvalidSettings, match=r"^keys='…' is not accepted") as raised:
        kind(secret)
    assert secret not in str(raised.value)
