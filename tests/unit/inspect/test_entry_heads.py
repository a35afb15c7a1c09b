from typing import Any

import pytest
from tests.integration.entries.protected_cache import KINDS, NEW, Kind
from tests.unit.protocol.operations import ENTRY_KEY, NOW, RED, entry, request

from llm_cache import Signing
from llm_cache._entries.envelope import EPOCHS_END, encode_body, metadata
from llm_cache._entries.opening import OPENING
from llm_cache._errors import StoreGarbled
from llm_cache._inspect.entry_heads import HEADS, Found, Head, heads, parse_head

PLAIN = Head({"": "e1"}, NOW - 5, 60, "greeting", None, "answer")
LONG = ["long " * 500]


def test_head_of_an_entry_has_everything_but_the_answer() -> None:
    assert parse_head(entry()) == PLAIN
    assert parse_head(entry(asked="b" * 64)) == PLAIN
    assert parse_head(entry(red="r1")) == PLAIN._replace(epochs={"": "e1", RED: "r1"})


@pytest.mark.parametrize("kind", KINDS)
def test_head_of_a_protected_entry_names_its_key_and_its_protection(kind: Kind) -> None:
    protected = request().protected(kind(NEW))
    text = OPENING + "e1" + protected.encode(metadata(NOW, 60, "json"), ['"hi"'])
    head = parse_head(text)
    assert head is not None
    assert f'"by":"{head.key_id}"' in text
    assert head.protection == ("signed" if kind is Signing else "encrypted")
    assert head.compressed is (False if kind is Signing else None)


def test_head_tells_whether_the_answer_is_compressed() -> None:
    body = encode_body(metadata(NOW, 60, "json"), [f'"{LONG}"'])
    head = parse_head(OPENING + "e1" + body)
    assert head is not None
    assert (head.compressed, head.protection) == (True, "plain")
    assert PLAIN.compressed is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        OPENING,
        entry().replace('"v":1', '"v":2'),
        entry().replace('"created":', '"created":123456789'),  # 12 digits
        entry(codec="a\x1b[31m"),
        entry().replace('"answer"', '"other"'),
        f'{OPENING}e1{EPOCHS_END}"by":"xyz",{metadata(NOW, 60, "json")},"answer":[]}}',
    ],
)
def test_text_that_the_cache_did_not_write_has_no_head(text: str) -> None:
    assert parse_head(text) is None


def test_heads_of_many_entries_are_read_by_one_command() -> None:
    command = heads([ENTRY_KEY, "other"])
    assert command.args[:5] == ("EVAL", HEADS, 2, ENTRY_KEY, "other")
    found = command.parse([f"187 2500 {entry()}", "0 -1 "])
    assert found == [Found(ENTRY_KEY, 187, 2.5, PLAIN), Found("other", 0, None, None)]
    assert [each.tags for each in found] == [{""}, ()]


def test_entry_that_is_gone_is_left_out() -> None:
    assert heads([ENTRY_KEY]).parse(["0 -2 "]) == []


@pytest.mark.parametrize("reply", [None, [], [None], ["x"], ["12"], ["1 2 ", "1 2 "], [7]])
def test_reply_of_another_shape_is_garbled(reply: Any) -> None:
    with pytest.raises(StoreGarbled):
        heads([ENTRY_KEY]).parse(reply)
