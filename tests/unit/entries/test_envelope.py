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
from llm_cache._entries import envelope as entries
from llm_cache._entries.dictionary import DICTIONARY
from llm_cache._entries.envelope import HEAD, Entry, before_tag, body, decode, fits, head, inflated
from llm_cache._entries.keys import KEY_VERSION
from llm_cache._langchain.codec import serialize

TEN = ",".join(f'"{number:032x}":"e"' for number in range(10))
TOO_MANY_TAGS = f'{{"v":1,"epochs":{{"":"e",{TEN}}},"created":1,"ttl":1,"codec":"x","answer":[1]}}'


ONE = body(head(1.0, 60, "langchain"), ["1"])


def test_an_entry_comes_back_as_it_was_stored() -> None:
    text = HEAD + "ab12" + body(head(1000.5, 60, "langchain"), [json.dumps({"a": "é"}), "2"])
    assert decode(text) == Entry({"": "ab12"}, 1000.5, 60, ({"a": "é"}, 2), "langchain")


@pytest.mark.parametrize("count", [1, 9])
def test_an_entry_carries_the_epochs_of_its_tags(count: int) -> None:
    tags = {f"{number:032x}": f"e{number}" for number in range(count)}
    told = "".join(before_tag(tag) + epoch for tag, epoch in tags.items())
    assert decode(HEAD + "ab12" + told + ONE).epochs == {
        "": "ab12",
        **tags,
    }


def test_a_stored_entry_is_ascii_that_begins_with_its_epoch() -> None:
    assert (HEAD + "ab12" + ONE).startswith('{"v":1,"epochs":{"":"ab12"')


def test_age_is_never_negative_when_clocks_disagree() -> None:
    entry = Entry({"": "e"}, created=100.0, ttl=10, answer=(1,))
    assert (entry.age(103.0), entry.age(90.0)) == (3.0, 0.0)
    assert (entry.remaining(103.0), entry.remaining(111.0)) == (7.0, -1.0)


def timed(created: object, ttl: object) -> str:
    return f'{{"v":1,"epochs":{{"":"e"}},"created":{created},"ttl":{ttl},"codec":"x","answer":[1]}}'


@pytest.mark.parametrize(("created", "ttl"), [(0, 0), (10**11, 10**11), (0.5, 1)])
def test_an_entry_of_any_time_is_read(created: float, ttl: int) -> None:
    read = decode(timed(created, ttl))
    assert (read.created, read.ttl) == (created, ttl)


HUGE = "1" + "0" * 400  # too large for a float
NO_TIMES = ["NaN", "Infinity", "-Infinity", HUGE, -1, 10**11 + 1]


@pytest.mark.parametrize(
    "text",
    [
        *(timed(no_time, 60) for no_time in NO_TIMES),
        *(timed(1.5, no_time) for no_time in NO_TIMES),
        None,
        7,
        "",
        "{",
        "[]",
        "an answer in plain text",
        '{"v":2,"epochs":{"":"e"},"created":1,"ttl":1,"codec":"x","answer":[1]}',
        '{"v":1,"created":1,"ttl":1,"codec":"x","answer":[1]}',
        '{"v":1,"epochs":{},"created":1,"ttl":1,"codec":"x","answer":[1]}',
        '{"v":1,"epochs":{"00ff":"e"},"created":1,"ttl":1,"codec":"x","answer":[1]}',
        '{"v":1,"epochs":{"":7},"created":1,"ttl":1,"codec":"x","answer":[1]}',
        '{"v":1,"epochs":{"":"e","any key":"e"},"created":1,"ttl":1,"codec":"x","answer":[1]}',
        '{"v":1,"epochs":{"":"e","'
        + "0" * 32
        + '":7},"created":1,"ttl":1,"codec":"x","answer":[1]}',
        TOO_MANY_TAGS,
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":1,"answer":[1]}',
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":1,"codec":7,"answer":[1]}',
        HEAD + "e" + body(head(1.0, 60, "é"), ["1"]),
        '{"v":1,"epochs":{"":"e"},"created":"1","ttl":1,"codec":"x","answer":[1]}',
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":null,"codec":"x","answer":[1]}',
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":1,"codec":"x","answer":[]}',
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":1,"codec":"x","answer":"text"}',
        '{"v":1,"epochs":{"":"e"},"asked":7,"created":1,"ttl":1,"codec":"x","answer":[1]}',
        "[" * 100_000,
    ],
)
def test_what_this_version_did_not_write_is_unreadable(text: object) -> None:
    with pytest.raises(UnreadableEntry):
        decode(text)


@given(st.text() | st.binary())
def test_no_text_makes_decoding_fail_in_another_way(text: object) -> None:
    with pytest.raises(UnreadableEntry):
        decode(text)


def stored(answer: Any) -> str:
    return HEAD + "ab12" + body(head(1.0, 60, "langchain"), [json.dumps(one) for one in answer])


def compressed(plain: bytes, dictionary: bytes = DICTIONARY) -> bytes:
    stream = zlib.compressobj(zdict=dictionary)
    return stream.compress(plain) + stream.flush()


def packed(plain: bytes, after: bytes = b"") -> str:
    return base64.b64encode(compressed(plain) + after).decode()


def holding(z: object) -> str:
    return f'{HEAD}ab12"}},"created":1.0,"ttl":60,"codec":"langchain","z":{json.dumps(z)}}}'


PROSE = "The capital of France is Paris. " * 100


def test_a_long_answer_is_stored_compressed_and_comes_back() -> None:
    text = stored([PROSE])
    assert decode(text).answer == (PROSE,)
    assert len(text) < len(PROSE) / 2
    assert json.loads(text).keys() == {"v", "epochs", "created", "ttl", "codec", "z"}


@pytest.mark.parametrize(("length", "compressed"), [(256, False), (257, True)])
def test_a_short_answer_is_stored_as_it_is(length: int, compressed: bool) -> None:
    text = stored(["a" * (length - 4)])  # two brackets and two quotes
    assert ("z" in json.loads(text)) == compressed


def noise(length: int) -> str:
    return base64.b64encode(random.Random(1).randbytes(length)).decode()


def test_an_answer_that_compression_hardly_shortens_is_stored_as_it_is() -> None:
    assert json.loads(stored([noise(4_000)]))["answer"] == [noise(4_000)]


def test_an_answer_is_compressed_where_that_leaves_four_fifths() -> None:
    mixed = noise(4_000) + "a" * 1_700  # 0.77 of it
    assert "z" in json.loads(stored([mixed]))
    assert "answer" in json.loads(stored([noise(4_000) + "a" * 1_000]))  # 0.86 of it


@pytest.mark.parametrize("spare", [0, 1])
def test_what_is_too_long_to_be_read_back_is_not_compressed(
    monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    monkeypatch.setattr(entries, "MAX_ANSWER", len(json.dumps([PROSE])) - 1 + spare)
    assert ("z" in json.loads(stored([PROSE]))) == bool(spare)
    assert decode(stored([PROSE])).answer == (PROSE,)


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
    text = body(head(1.0, 60, "langchain"), texts)
    assert len(json.loads(HEAD + text)["z"]) < len(texts[0]) / 2


FROZEN = "6a0c70f5630852261e1194fe637962a0405aae25a99bc219af2f01a5d50f82f6"


def test_dictionary_never_changes_under_one_version_of_the_keys() -> None:
    told = KEY_VERSION, hashlib.sha256(DICTIONARY).hexdigest()
    assert told == (4, FROZEN), "a new dictionary needs a new KEY_VERSION: raise it, pin both here"


def test_compressed_answer_holds_the_id_of_its_dictionary() -> None:
    stream = base64.b64decode(json.loads(stored([PROSE]))["z"])
    assert stream[2:6] == zlib.adler32(DICTIONARY).to_bytes(4, "big")  # RFC 1950: DICTID


def test_answer_compressed_with_another_dictionary_is_unreadable() -> None:
    stream = compressed(b'["hi"]', DICTIONARY[1:])
    with pytest.raises(UnreadableEntry, match="another dictionary"):
        decode(holding(base64.b64encode(stream).decode()))
    with pytest.raises(UnreadableEntry, match="another dictionary"):
        inflated(stream)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@given(st.lists(json_values, min_size=1, max_size=4), st.integers(0, 3_000))
def test_whatever_is_stored_comes_back(answer: list[Any], padding: int) -> None:
    padded = [*answer, "word " * padding]
    assert decode(stored(padded)).answer == tuple(padded)


GOOD = packed(b'["hi"]')


def test_a_compressed_answer_of_any_length_is_read() -> None:
    assert decode(holding(GOOD)) == Entry({"": "ab12"}, 1.0, 60, ("hi",), "langchain")


@pytest.mark.parametrize(
    "z",
    [
        None,
        7,
        ["hi"],
        "",
        "?",
        "é" + GOOD,
        GOOD + "\n",
        GOOD + GOOD,
        GOOD[:-4],
        GOOD[:8],
        base64.b64encode(b"not a zlib stream").decode(),
        packed(b'["hi"]', after=b"more"),
        packed(b""),
        packed(b"hi"),
        packed(b'"hi"'),
        packed(b'{"hi": 1}'),
        packed(b"[]"),
        packed(b'["\xff"]'),
        packed(b"[" * 100_000),
    ],
)
def test_a_damaged_or_foreign_compressed_answer_is_unreadable(z: object) -> None:
    with pytest.raises(UnreadableEntry):
        decode(holding(z))


@pytest.mark.parametrize(
    ("name", "value", "most"), [("MAX_ANSWER", 4_000, 4_000), ("MAX_RATIO", 20, 65_536)]
)
@pytest.mark.parametrize(("excess", "readable"), [(0, True), (1, False)])
def test_a_compressed_answer_is_read_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch, name: str, value: int, most: int, excess: int, readable: bool
) -> None:
    monkeypatch.setattr(entries, name, value)
    z = packed(b'["' + b"a" * (most - 4 + excess) + b'"]')
    if readable:
        assert len(decode(holding(z)).answer[0]) == most - 4
    else:
        with pytest.raises(UnreadableEntry, match="too long"):
            decode(holding(z))


@pytest.mark.parametrize("item", ["0", "[]", "{}", '{"a":[0]}'])
def test_a_small_entry_holds_few_values(item: str) -> None:
    texts = [",".join([item] * 20_000)]
    stored = HEAD + "ab12" + body(head(1.0, 60, "langchain"), texts)
    assert len(decode(stored).answer) == 20_000  # a writer leaves plain what is too dense
    with pytest.raises(UnreadableEntry, match="too many values"):
        decode(holding(packed(f"[{texts[0]}]".encode()[:65_000].rpartition(b",")[0] + b"]")))


@pytest.mark.parametrize("data", [b'["\xff"]', compressed(b'["\xff"]'), b"", b"?"])
def test_what_was_no_text_before_it_was_encrypted_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableEntry):
        inflated(data)


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    bomb = zlib.compressobj(9, zdict=DICTIONARY)
    z = b"".join(bomb.compress(b" " * 1_000_000) for _ in range(200)) + bomb.flush()
    tracemalloc.start()
    with pytest.raises(UnreadableEntry):
        decode(holding(base64.b64encode(z).decode()))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16_000_000


@given(st.binary())
def test_no_compressed_bytes_make_decoding_fail_in_another_way(plain: bytes) -> None:
    with pytest.raises(UnreadableEntry):
        decode(holding(packed(b"!" + plain)))
    with pytest.raises(UnreadableEntry):
        decode(holding(base64.b64encode(b"!" + plain).decode()))


@given(st.text(st.characters(max_codepoint=126)))
def test_an_entry_fits_up_to_the_bytes_it_takes_in_the_request(text: str) -> None:
    text = body(head(1.0, 60, "langchain"), [json.dumps(text)])
    sent = len(json.dumps(text, ensure_ascii=False)) - 2  # as the client does; its quotes apart
    assert fits(text, sent)
    assert not fits(text, sent - 1)
