"""Signed and encrypted entries as text: round trips, forgeries, and keys."""

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
from llm_cache._entries import compression, envelope
from llm_cache._entries.dictionary import DICTIONARY
from llm_cache._entries.envelope import Entry, encode_body, metadata, tag_separator
from llm_cache._entries.opening import OPENING
from llm_cache._entries.protection import Protection

NEW, OLD = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
KEY, OTHER = "shop:entry:" + "a" * 64, "shop:entry:" + "b" * 64
TAG = tag_separator("0f" * 16) + "e2"
PROSE = "The capital of France is Paris. " * 100

Kind = Callable[[str], Protection]
KINDS: list[Kind] = [Signing, Encryption]
kinds = pytest.mark.parametrize("kind", KINDS)


def stored(protection: Protection, *answer: Any, key: str = KEY, epochs: str = "e1" + TAG) -> str:
    texts = [json.dumps(one) for one in answer or ("hi",)]
    return OPENING + epochs + protection.encode_body(key, metadata(1000.5, 60, "langchain"), texts)


def altered(text: str, field: str, value: object) -> str:
    fields = json.loads(text)
    assert field in fields
    return json.dumps({**fields, field: value}, separators=(",", ":"))


@kinds
@pytest.mark.parametrize("answer", [["hi"], [{"a": "é"}, None], [PROSE], [PROSE, "hi"]])
def test_protected_entry_is_decoded_as_it_was_encoded(kind: Kind, answer: list[Any]) -> None:
    text = stored(kind(NEW), *answer)
    assert text.isascii()
    assert kind(NEW).decode(KEY, text) == Entry(
        {"": "e1", "0f" * 16: "e2"}, 1000.5, 60, tuple(answer), "langchain"
    )


FROZEN: dict[Kind, str] = {
    Signing: '"by":"8cb647ab","mac":"m0sxi4w+rV1wc1SEZ2fE8CIfFXqSPWT2K9mndyB6kuA=",'
    '"created":1000.500,"ttl":60,"codec":"langchain","answer":["hi"]}',
    Encryption: '"by":"8cb647ab","created":1000.500,"ttl":60,"codec":"langchain",'
    '"box":"AQEBAQEBAQEBAQEBQlVCyaDIY7tR+afT2azf8TnEdqUVcQ=="}',
}


@kinds
def test_form_of_protected_entries_never_changes(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_bytes", lambda size: b"\x01" * size)
    assert stored(kind(NEW), epochs="e1") == OPENING + 'e1"},' + FROZEN[kind]


@kinds
@pytest.mark.parametrize("key", [OTHER, KEY.replace("shop", "shop2"), KEY[:-1], KEY + '"', "é"])
def test_entry_moved_to_another_key_is_forged(kind: Kind, key: str) -> None:
    with pytest.raises(ForgedEntry):
        kind(NEW).decode(key, stored(kind(NEW)))


def test_signature_separates_the_key_from_the_text() -> None:
    text, moved = stored(Signing(NEW), key="k"), '"created":1000.500'
    with pytest.raises(ForgedEntry):
        Signing(NEW).decode("k" + moved, text.replace(moved, "", 1))


MACS = ["A" * 43 + "=", "", None]
ALTERED: list[tuple[Kind, str, list[Any]]] = [
    (Signing, "created", [1000.501, 10**10]),
    (Signing, "ttl", [61]),
    (Signing, "answer", [["ho"], ["hi", "hi"]]),
    (Signing, "mac", [*MACS, "m0sxi4w+rV", "m0sxi4w+rV1wc1SEZ2fE8CIfFXqSPWT2K9mndyB6"]),
    (Encryption, "created", [1000.501]),
    (Encryption, "ttl", [61]),
    (Encryption, "box", ["A" * 80, "", "AQEBAQEBAQ", "AQEBAQEBAQEBAQEBQlVCyaDIY7tR+afT2azf8TnE"]),
]


@pytest.mark.parametrize(("kind", "field", "values"), ALTERED)
def test_entry_with_an_altered_field_is_forged(kind: Kind, field: str, values: list[Any]) -> None:
    text = stored(kind(NEW))
    assert altered(text, "v", 1) == text.replace("1000.500", "1000.5")
    for value in values:
        with pytest.raises(ForgedEntry):
            kind(NEW).decode(KEY, altered(text, field, value))


def test_encrypted_answer_with_a_character_outside_base64_is_forged() -> None:
    text = stored(Encryption(NEW)).replace('"box":"', '"box":"!')
    with pytest.raises(ForgedEntry, match="base64"):
        Encryption(NEW).decode(KEY, text)


def test_compressed_answer_is_signed_as_it_is_stored() -> None:
    text = stored(Signing(NEW), PROSE)
    other = json.loads(stored(Signing(NEW), PROSE + "!"))["z"]
    with pytest.raises(ForgedEntry):
        Signing(NEW).decode(KEY, altered(text, "z", other))


@kinds
def test_unprotected_entry_is_forged(kind: Kind) -> None:
    with pytest.raises(ForgedEntry, match="not protected"):
        kind(NEW).decode(
            KEY, OPENING + "e1" + encode_body(metadata(1.0, 60, "langchain"), ['"hi"'])
        )


EVIL = base64.b64encode(zlib.compress(b'["evil"]')).decode()


@kinds
@pytest.mark.parametrize("field", ['"answer":["evil"]', f'"z":"{EVIL}"', '"ttl":9'])
def test_field_inserted_before_the_protected_text_is_unreadable(kind: Kind, field: str) -> None:
    inserted = '"e1"},' + field + ',"x":{"":""},'
    text = stored(kind(NEW), epochs="e1").replace('"e1"},', inserted, 1)
    with pytest.raises(UnreadableEntry):
        kind(NEW).decode(KEY, text)


@kinds
def test_epochs_are_not_protected(kind: Kind) -> None:
    text = stored(kind(NEW)).replace('"e1"', '"c9"')
    assert kind(NEW).decode(KEY, text).epochs[""] == "c9"


@kinds
def test_two_keys_read_entries_of_both_and_write_with_the_first(kind: Kind) -> None:
    both = kind(f"{NEW} {OLD}")
    assert both.decode(KEY, stored(kind(OLD))).answer == ("hi",)
    assert kind(NEW).decode(KEY, stored(both)).answer == ("hi",)
    assert both.name_secret == kind(OLD).name_secret


@kinds
@pytest.mark.parametrize("keys", [NEW, f"{NEW} names:{OLD}"])
def test_entry_of_a_removed_key_is_unreadable_and_not_forged(kind: Kind, keys: str) -> None:
    with pytest.raises(UnreadableEntry, match="not configured") as raised:
        kind(keys).decode(KEY, stored(kind(OLD)))
    assert not isinstance(raised.value, ForgedEntry)


@kinds
def test_entry_with_the_id_of_another_key_is_forged(kind: Kind) -> None:
    by = json.loads(stored(kind(OLD)))["by"]
    with pytest.raises(ForgedEntry):
        kind(f"{NEW} {OLD}").decode(KEY, altered(stored(kind(NEW)), "by", by))


def test_signing_and_encryption_do_not_read_each_other() -> None:
    with pytest.raises(ForgedEntry):
        Encryption(NEW).decode(KEY, stored(Signing(NEW)))
    with pytest.raises(UnreadableEntry):
        Signing(NEW).decode(KEY, stored(Encryption(NEW)))


def test_reader_without_the_key_reads_a_signed_entry_but_no_encrypted_entry() -> None:
    assert envelope.decode(stored(Signing(NEW))).answer == ("hi",)
    with pytest.raises(UnreadableEntry):
        envelope.decode(stored(Encryption(NEW)))


@pytest.mark.parametrize("answer", ["a marker", "a marker " * 1000])
def test_encrypted_entry_shows_nothing_of_the_answer(answer: str) -> None:
    fields = json.loads(stored(Encryption(NEW), answer))
    assert fields.keys() == {"v", "epochs", "by", "created", "ttl", "codec", "box"}
    box = base64.b64decode(fields["box"])
    assert b"marker" not in box
    assert zlib.adler32(DICTIONARY).to_bytes(4, "big") not in box  # nor the head of a zlib stream


def test_every_encrypted_entry_has_its_own_nonce() -> None:
    protection = Encryption(NEW)
    nonces = {base64.b64decode(json.loads(stored(protection))["box"])[:12] for _ in range(100)}
    assert len(nonces) == 100


def test_answer_is_compressed_before_encryption_if_it_can_be_decompressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(stored(Encryption(NEW), PROSE)) < len(PROSE) / 2
    monkeypatch.setattr(compression, "MAX_ANSWER", len(PROSE))
    text = stored(Encryption(NEW), PROSE)
    assert len(text) > len(PROSE)
    assert Encryption(NEW).decode(KEY, text).answer == (PROSE,)


@kinds
@given(text=st.text() | st.binary() | st.none() | st.integers())
def test_random_value_is_unreadable(kind: Kind, text: object) -> None:
    with pytest.raises(UnreadableEntry):
        kind(NEW).decode(KEY, text)


@kinds
@pytest.mark.parametrize("letter", ["é", "\ud800"])
def test_protected_entry_with_a_non_ascii_letter_is_unreadable(kind: Kind, letter: str) -> None:
    text = stored(kind(NEW))
    at = text.rindex('"')
    with pytest.raises(UnreadableEntry):
        kind(NEW).decode(KEY, text[: at - 1] + letter + text[at:])


PROTECTED = {kind: stored(kind(NEW), "hi", {"n": 1}) for kind in KINDS}
PROTECTIONS = {kind: kind(NEW) for kind in KINDS}


@st.composite
def mutations(draw: st.DrawFn, text: str) -> str:
    """Return ``text`` with a slice replaced by a random text or by another slice."""
    begin = draw(st.integers(0, len(text)))
    end = draw(st.integers(begin, min(len(text), begin + draw(st.integers(0, 40)))))
    at = draw(st.integers(0, len(text)))
    own = text[at : at + draw(st.integers(0, 40))]
    return text[:begin] + draw(st.just(own) | st.text(max_size=5)) + text[end:]


@kinds
@given(data=st.data())
def test_mutated_entry_is_unreadable_or_unchanged(kind: Kind, data: st.DataObject) -> None:
    text = data.draw(mutations(PROTECTED[kind]))
    assume(text != PROTECTED[kind])
    try:
        found = PROTECTIONS[kind].decode(KEY, text)
    except UnreadableEntry:
        return
    assert (found.created, found.ttl, found.answer) == (1000.5, 60, ("hi", {"n": 1}))


def test_encryption_without_its_package_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    message = r"protection='Encryption'.*lambda-llm-cache\[encryption\]"
    with pytest.raises(InvalidSettings, match=message):
        Encryption(NEW)
    Signing(NEW)


@kinds
def test_invalid_key_is_refused_without_its_value(kind: Kind) -> None:
    secret = base64.b64encode(secrets.token_bytes(16)).decode()
    with pytest.raises(InvalidSettings, match=r"^keys='…' is not accepted") as raised:
        kind(secret)
    assert secret not in str(raised.value)
