import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_cache import UnreadableEntry
from llm_cache._entries.envelope import (
    Entry,
    decode,
    encode_body,
    fingerprint,
    fits,
    metadata,
    tag_separator,
)
from llm_cache._entries.opening import OPENING

TAGS = {f"{number:032x}": f"e{number}" for number in range(10)}
ONE = encode_body(metadata(1.0, 60, "langchain"), ["1"])
FIELDS = {"v": 1, "epochs": {"": "e"}, "created": 1, "ttl": 1, "codec": "x", "answer": [1]}
MISSING = object()


def entry(**changes: object) -> str:
    fields = {**FIELDS, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not MISSING})


def test_entry_is_decoded_as_it_was_encoded() -> None:
    body = encode_body(metadata(1000.5, 60, "langchain"), [json.dumps({"a": "é"}), "2"], "0f" * 32)
    assert decode(OPENING + "ab12" + body) == Entry(
        {"": "ab12"}, 1000.5, 60, ({"a": "é"}, 2), "langchain", "0f" * 8
    )


def test_body_of_an_entry_never_changes() -> None:
    body = encode_body(metadata(1000.5, 60, "langchain"), ['"hi"'], "0f" * 32)
    assert OPENING + "ab12" + body == (
        '{"v":1,"epochs":{"":"ab12"},"asked":"0f0f0f0f0f0f0f0f",'
        '"created":1000.500,"ttl":60,"codec":"langchain","answer":["hi"]}'
    )


@pytest.mark.parametrize("count", [1, 9])
def test_entry_carries_the_epochs_of_its_tags(count: int) -> None:
    tags = dict([*TAGS.items()][:count])
    epochs = "".join(tag_separator(tag) + epoch for tag, epoch in tags.items())
    assert decode(OPENING + "ab12" + epochs + ONE).epochs == {"": "ab12", **tags}


def test_age_is_never_negative_when_clocks_disagree() -> None:
    entry = Entry({"": "e"}, created=100.0, ttl=10, answer=(1,))
    assert (entry.age(103.0), entry.age(90.0)) == (3.0, 0.0)
    assert (entry.remaining(103.0), entry.remaining(111.0)) == (7.0, -1.0)


@pytest.mark.parametrize(("created", "ttl"), [(0, 0), (10**11, 10**11), (0.5, 1)])
def test_entry_of_any_time_is_decoded(created: float, ttl: int) -> None:
    found = decode(entry(created=created, ttl=ttl))
    assert (found.created, found.ttl) == (created, ttl)


NO_TIMES: list[Any] = [float("nan"), float("inf"), -float("inf"), 10**400, -1, 10**11 + 1, "1"]
NO_TIMES += [None, True]


@pytest.mark.parametrize(
    "text",
    [
        *(entry(created=value) for value in NO_TIMES),
        *(entry(ttl=value) for value in [*NO_TIMES, 1.5]),
        *(None, 7, "", "{", "[]", "an answer in plain text", "[" * 100_000),
        entry(v=2),
        entry(epochs=MISSING),
        entry(epochs={}),
        entry(epochs={"00ff": "e"}),
        entry(epochs={"": 7}),
        entry(epochs={"": "e", "any key": "e"}),
        entry(epochs={"": "e", "0" * 32: 7}),
        entry(epochs={"": "e", **TAGS}),
        entry(codec=MISSING),
        entry(codec=7),
        OPENING + "e" + encode_body(metadata(1.0, 60, "é"), ["1"]),
        entry(answer=[]),
        entry(answer="text"),
        entry(asked=7),
    ],
)
def test_text_that_is_not_an_entry_is_unreadable(text: object) -> None:
    assert decode(entry()).answer == (1,)
    with pytest.raises(UnreadableEntry):
        decode(text)


@given(st.text() | st.binary())
def test_random_text_or_bytes_are_unreadable(text: object) -> None:
    with pytest.raises(UnreadableEntry):
        decode(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, ""), ("", ""), ("ab", "2:ab"), ("a" * 1024 + "b", "1025:" + "a" * 1024)],
)
def test_fingerprint_is_the_length_and_the_beginning(text: str | None, expected: str) -> None:
    assert fingerprint(text) == expected


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
@example('""')
def test_body_fits_up_to_its_size_in_the_request(body: str) -> None:
    size = len(json.dumps(body, ensure_ascii=False)) - 2  # without the quotes around it
    assert fits(body, size)
    assert not fits(body, size - 1)
