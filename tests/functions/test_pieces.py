"""How long texts are cut: wholly, within bounds, and alike on both sides of an edit."""

import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pieces import LEAST, MOST, split_text

COUNT = 200


def paragraphs() -> list[str]:
    return [
        f"Paragraph {number}. " + f"It tells of the number {number * 7919}. " * 20
        for number in range(COUNT)
    ]


def edited(text: list[str], at: int) -> list[str]:
    return [*text[:at], text[at] + " And then something happened.", *text[at + 1 :]]


def inserted(text: list[str], at: int) -> list[str]:
    return [*text[:at], "A new paragraph. " * 60, *text[at:]]


def deleted(text: list[str], at: int) -> list[str]:
    return [*text[:at], *text[at + 1 :]]


@pytest.mark.parametrize("change", [edited, inserted, deleted])
@pytest.mark.parametrize("between", ["\n\n", "\n"])
def test_a_change_of_one_paragraph_changes_one_piece_or_a_few(
    change: Callable[[list[str], int], list[str]], between: str
) -> None:
    before = set(split_text(between.join(paragraphs())))
    new = [
        len(set(split_text(between.join(change(paragraphs(), at)))) - before) for at in range(COUNT)
    ]
    assert len(before) > 10
    assert statistics.mean(new) < 2
    assert max(new) < len(before) / 2


HOSTILE = ["a\n\n" * 100_000, "\n" * 300_000, "x" * 300_000, " \n" * 100_000, "日本\r" * 50_000]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:4]))
def test_any_text_is_cut_within_bounds(text: str) -> None:
    pieces = split_text(text)
    assert "".join(pieces) == text
    assert all(LEAST <= len(piece) <= MOST for piece in pieces[:-1])
    assert len(pieces[-1]) <= MOST


@given(st.lists(st.sampled_from(["a", "b\n", "\n\n", "word " * 900, "line\n" * 900]), max_size=30))
def test_the_pieces_are_the_text(parts: list[str]) -> None:
    text = "".join(parts)
    assert "".join(split_text(text)) == text
    assert all(0 < len(piece) <= MOST for piece in split_text(text))


def test_paragraphs_stay_whole_where_they_can() -> None:
    pieces = split_text("\n\n".join(paragraphs()))
    assert all(piece.startswith("Paragraph ") for piece in pieces)


def test_a_piece_ends_with_a_paragraph_where_a_line_within_reach_has_a_lesser_hash() -> None:
    lines = [f"Line {number}. It tells of the number {number * 7919}." for number in range(2_000)]
    text = "\n\n".join("\n".join(lines[at : at + 40]) for at in range(0, len(lines), 40))
    pieces = split_text(text)
    assert len(pieces) > 5
    assert all(piece.endswith("\n\n") for piece in pieces[:-1])


def test_a_short_text_is_one_piece() -> None:
    assert split_text("A line.\n\nAnother.") == ["A line.\n\nAnother."]
    assert split_text("") == []
