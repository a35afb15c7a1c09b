import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_cache import UnreadableEntry
from llm_cache.entry import HEAD, Entry, before_tag, body, decode

NINE = ",".join(f'"{number:032x}":"e"' for number in range(9))
TOO_MANY_TAGS = f'{{"v":1,"epochs":{{"":"e",{NINE}}},"created":1,"ttl":1,"answer":[1]}}'


def test_an_entry_comes_back_as_it_was_stored() -> None:
    text = HEAD + "ab12" + body(1000.5, 60, ['{"a": "é"}', "2"])
    assert decode(text) == Entry({"": "ab12"}, 1000.5, 60, ({"a": "é"}, 2))


def test_an_entry_carries_the_epochs_of_its_tags() -> None:
    text = HEAD + "ab12" + before_tag("0f" * 16) + "cd34" + body(1.0, 60, ["1"])
    assert decode(text).epochs == {"": "ab12", "0f" * 16: "cd34"}


def test_a_stored_entry_is_ascii_that_begins_with_its_epoch() -> None:
    assert (HEAD + "ab12" + body(1.0, 60, ["1"])).startswith('{"v":1,"epochs":{"":"ab12"')


def test_age_is_never_negative_when_clocks_disagree() -> None:
    entry = Entry({"": "e"}, created=100.0, ttl=10, answer=(1,))
    assert (entry.age(103.0), entry.age(90.0)) == (3.0, 0.0)
    assert (entry.remaining(103.0), entry.remaining(111.0)) == (7.0, -1.0)


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "{",
        "[]",
        "an answer in plain text",
        '{"v":2,"epochs":{"":"e"},"created":1,"ttl":1,"answer":[1]}',
        '{"v":1,"created":1,"ttl":1,"answer":[1]}',
        '{"v":1,"epochs":{"00ff":"e"},"created":1,"ttl":1,"answer":[1]}',
        '{"v":1,"epochs":{"":7},"created":1,"ttl":1,"answer":[1]}',
        '{"v":1,"epochs":{"":"e","any key":"e"},"created":1,"ttl":1,"answer":[1]}',
        '{"v":1,"epochs":{"":"e","' + "0" * 32 + '":7},"created":1,"ttl":1,"answer":[1]}',
        TOO_MANY_TAGS,
        '{"v":1,"epochs":{"":"e"},"created":"1","ttl":1,"answer":[1]}',
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":null,"answer":[1]}',
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":1,"answer":[]}',
        '{"v":1,"epochs":{"":"e"},"created":1,"ttl":1,"answer":"text"}',
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
