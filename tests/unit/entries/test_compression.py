"""Compressed answers: their size, what is compressed, and hostile or damaged streams."""

import base64
import hashlib
import json
import random
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

from llm_cache import UnreadableEntry
from llm_cache._entries import compression
from llm_cache._entries.compression import compress, decompress
from llm_cache._entries.dictionary import DICTIONARY
from llm_cache._entries.envelope import Entry, decode, encode_body, metadata
from llm_cache._entries.keys import KEY_VERSION
from llm_cache._entries.opening import OPENING
from llm_cache._langchain.codec import serialize

PROSE = "The capital of France is Paris. " * 100


def stored(*answer: Any) -> str:
    texts = [json.dumps(one) for one in answer]
    return OPENING + "ab12" + encode_body(metadata(1.0, 60, "langchain"), texts)


def deflated(plain: bytes, dictionary: bytes = DICTIONARY) -> bytes:
    stream = zlib.compressobj(zdict=dictionary)
    return stream.compress(plain) + stream.flush()


def packed(plain: bytes, after: bytes = b"") -> str:
    return base64.b64encode(deflated(plain) + after).decode()


def entry(z: object) -> str:
    return f'{OPENING}ab12"}},"created":1.0,"ttl":60,"codec":"langchain","z":{json.dumps(z)}}}'


def noise(length: int) -> str:
    return base64.b64encode(random.Random(1).randbytes(length)).decode()


def test_long_answer_is_stored_compressed() -> None:
    text = stored(PROSE)
    assert decode(text).answer == (PROSE,)
    assert len(text) < len(PROSE) / 2
    assert json.loads(text).keys() == {"v", "epochs", "created", "ttl", "codec", "z"}


@pytest.mark.parametrize(
    ("text", "is_compressed"),
    [
        ("a" * 252, False),  # 256 characters with brackets and quotes
        ("a" * 253, True),
        (noise(4_000), False),
        (noise(4_000) + "a" * 1_000, False),  # to 86 %
        (noise(4_000) + "a" * 1_700, True),  # to 77 %
    ],
)
def test_answer_is_compressed_above_256_characters_and_to_at_most_four_fifths(
    text: str, is_compressed: bool
) -> None:
    assert ("z" in json.loads(stored(text))) == is_compressed
    assert decode(stored(text)).answer == (text,)


@pytest.mark.parametrize("length", [256, 257])
def test_array_to_encrypt_is_compressed_above_256_bytes(length: int) -> None:
    text = json.dumps(["a" * (length - 4)])
    assert compress(text).startswith(b"[") == (length == 256)
    assert decompress(compress(text)) == text


@pytest.mark.parametrize("spare", [0, 1])
def test_answer_too_long_to_be_decompressed_is_stored_plain(
    monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    monkeypatch.setattr(compression, "MAX_ANSWER", len(json.dumps([PROSE])) - 1 + spare)
    assert ("z" in json.loads(stored(PROSE))) == bool(spare)
    assert decode(stored(PROSE)).answer == (PROSE,)
    array = json.dumps([PROSE])
    assert (len(compress(array)) < len(array)) == bool(spare)
    assert decompress(compress(array)) == array


SHORT = AIMessage(
    "The capital of France is Paris.",
    tool_calls=[{"name": "look_up", "args": {"city": "Paris"}, "id": "tooluse_dLk2x8QXS4mP"}],
    usage_metadata={"input_tokens": 93, "output_tokens": 52, "total_tokens": 145},
    response_metadata={
        "stopReason": "tool_use",
        "metrics": {"latencyMs": [811]},
        "model_provider": "bedrock_converse",
        "model_name": "us.anthropic.claude-sonnet-4-20250514-v1:0",
    },
)


def test_short_chat_answer_is_stored_in_half_of_its_text() -> None:
    texts = serialize([ChatGeneration(message=SHORT)])
    assert texts is not None
    text = encode_body(metadata(1.0, 60, "langchain"), texts)
    assert len(json.loads(OPENING + text)["z"]) < len(texts[0]) / 2


FROZEN = "6a0c70f5630852261e1194fe637962a0405aae25a99bc219af2f01a5d50f82f6"


def test_dictionary_never_changes_within_a_key_version() -> None:
    found = KEY_VERSION, hashlib.sha256(DICTIONARY).hexdigest()
    assert found == (4, FROZEN), "a new dictionary needs a new KEY_VERSION: raise it, pin both here"


def test_compressed_answer_holds_the_id_of_its_dictionary() -> None:
    stream = base64.b64decode(json.loads(stored(PROSE))["z"])
    assert stream[2:6] == zlib.adler32(DICTIONARY).to_bytes(4, "big")  # RFC 1950: DICTID


@pytest.mark.parametrize(("size", "window"), [(8_192, 13), (8_193, 15)])
def test_small_answer_is_compressed_with_a_small_window(size: int, window: int) -> None:
    stream = compress(json.dumps(["a" * (size - 4)]))
    assert (stream[0] >> 4) + 8 == window  # RFC 1950: CINFO


def test_answer_compressed_with_another_dictionary_is_unreadable() -> None:
    stream = deflated(b'["hi"]', DICTIONARY[1:])
    for read in (
        lambda: decode(entry(base64.b64encode(stream).decode())),
        lambda: decompress(stream),
    ):
        with pytest.raises(UnreadableEntry, match="another dictionary"):
            read()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@given(st.lists(json_values, min_size=1, max_size=4), st.integers(0, 3_000))
def test_any_json_answer_is_decoded_as_it_was_encoded(answer: list[Any], padding: int) -> None:
    padded = [*answer, "word " * padding]
    assert decode(stored(*padded)).answer == tuple(padded)


GOOD = packed(b'["hi"]')


def test_compressed_answer_of_any_length_is_decoded() -> None:
    assert decode(entry(GOOD)) == Entry({"": "ab12"}, 1.0, 60, ("hi",), "langchain")


@pytest.mark.parametrize(
    "z",
    [
        *(None, 7, ["hi"], "", "?"),
        *("é" + GOOD, GOOD + "\n", GOOD + GOOD, GOOD[:-4], GOOD[:8]),
        base64.b64encode(b"not a zlib stream").decode(),
        packed(b'["hi"]', after=b"more"),
        *map(packed, (b"", b"hi", b'"hi"', b'{"hi": 1}', b"[]", b'["\xff"]', b"[" * 100_000)),
    ],
)
def test_damaged_compressed_answer_is_unreadable(z: object) -> None:
    with pytest.raises(UnreadableEntry):
        decode(entry(z))


@pytest.mark.parametrize(
    ("name", "value", "most"), [("MAX_ANSWER", 4_000, 4_000), ("MAX_RATIO", 20, 65_536)]
)
def test_compressed_answer_is_decoded_up_to_a_size(
    monkeypatch: pytest.MonkeyPatch, name: str, value: int, most: int
) -> None:
    monkeypatch.setattr(compression, name, value)
    assert len(decode(entry(packed(b'["' + b"a" * (most - 4) + b'"]'))).answer[0]) == most - 4
    with pytest.raises(UnreadableEntry, match="too long"):
        decode(entry(packed(b'["' + b"a" * (most - 3) + b'"]')))


@pytest.mark.parametrize("item", ["0", "[]", "{}", '{"a":[0]}'])
def test_compressed_answer_of_many_values_is_unreadable(item: str) -> None:
    array = ",".join([item] * 20_000)
    text = OPENING + "ab12" + encode_body(metadata(1.0, 60, "langchain"), [array])
    assert len(decode(text).answer) == 20_000  # the writer left it plain
    dense = f"[{array}]".encode()[:65_000].rpartition(b",")[0] + b"]"
    for read in (lambda: decode(entry(packed(dense))), lambda: decompress(deflated(dense))):
        with pytest.raises(UnreadableEntry, match="too many values"):
            read()


@pytest.mark.parametrize("data", [b'["\xff"]', deflated(b'["\xff"]'), b"", b"?"])
def test_decrypted_bytes_that_are_not_text_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableEntry):
        decompress(data)


def test_compression_bomb_is_unreadable_in_bounded_memory() -> None:
    bomb = zlib.compressobj(9, zdict=DICTIONARY)
    z = b"".join(bomb.compress(b" " * 1_000_000) for _ in range(200)) + bomb.flush()
    tracemalloc.start()
    with pytest.raises(UnreadableEntry):
        decode(entry(base64.b64encode(z).decode()))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16_000_000


@given(st.binary())
def test_random_compressed_bytes_are_unreadable(plain: bytes) -> None:
    for z in (packed(b"!" + plain), base64.b64encode(b"!" + plain).decode()):
        with pytest.raises(UnreadableEntry):
            decode(entry(z))
