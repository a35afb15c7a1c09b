"""Long texts are split completely, within limits, and with the same pieces around an edit."""

import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.functions.documents import paragraphs

from pieces import LEAST, MOST, split_text

COUNT = 200


def edited(text: list[str], at: int) -> list[str]:
    return [*text[:at], text[at] + " And then something happened.", *text[at + 1 :]]


def inserted(text: list[str], at: int) -> list[str]:
    return [*text[:at], "A new paragraph. " * 60, *text[at:]]


def deleted(text: list[str], at: int) -> list[str]:
    return [*text[:at], *text[at + 1 :]]


@pytest.mark.parametrize("change", [edited, inserted, deleted])
@pytest.mark.parametrize("separator", ["\n\n", "\n"])
def test_change_of_one_paragraph_changes_few_pieces(
    change: Callable[[list[str], int], list[str]], separator: str
) -> None:
    text = paragraphs(COUNT)
    before = set(split_text(separator.join(text)))
    new = [len({*split_text(separator.join(change(text, at)))} - before) for at in range(COUNT)]
    assert len(before) > 10
    assert statistics.mean(new) < 2
    assert max(new) < len(before) / 2


HOSTILE = ["a\n\n" * 100_000, "\n" * 300_000, "x" * 300_000, " \n" * 100_000, "日本\r" * 50_000]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:4]))
def test_hostile_text_is_split_within_limits(text: str) -> None:
    pieces = split_text(text)
    assert "".join(pieces) == text
    assert all(LEAST <= len(piece) <= MOST for piece in pieces[:-1])
    assert len(pieces[-1]) <= MOST


@given(st.lists(st.sampled_from(["a", "b\n", "\n\n", "word " * 900, "line\n" * 900]), max_size=30))
def test_joined_pieces_are_the_text(parts: list[str]) -> None:
    text = "".join(parts)
    assert "".join(split_text(text)) == text
    assert all(0 < len(piece) <= MOST for piece in split_text(text))


def test_paragraphs_are_not_split_if_they_fit() -> None:
    pieces = split_text("\n\n".join(paragraphs(COUNT)))
    assert all(piece.startswith("Paragraph ") for piece in pieces)


def test_piece_ends_with_a_paragraph_although_another_line_has_a_lower_hash() -> None:
    lines = [f"Line {number}. It tells of the number {number * 7919}." for number in range(2_000)]
    text = "\n\n".join("\n".join(lines[at : at + 40]) for at in range(0, len(lines), 40))
    pieces = split_text(text)
    assert len(pieces) > 5
    assert all(piece.endswith("\n\n") for piece in pieces[:-1])


def test_short_text_is_one_piece() -> None:
    assert split_text("A line.\n\nAnother.") == ["A line.\n\nAnother."]
    assert split_text("") == []
