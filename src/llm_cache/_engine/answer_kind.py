"""The protocol between the engine and a kind of answers."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from llm_cache._protocol.request import Codec
from llm_cache._reasons import Reason
from llm_cache._report import Outcome, Tokens

A = TypeVar("A")


class AnswerKind(Codec[A], Protocol[A]):
    """One kind of answers: its codec, which are uncacheable, and what a hit returns."""

    def uncacheable_reason(self, answer: Any) -> Reason | None:
        """Return why an answer may not be stored, or None."""

    def tokens(self, answer: A) -> Tokens:
        """Return the tokens that computing the answer took."""

    def served(self, answer: A, outcome: Outcome) -> A:
        """Return the answer as a hit serves it."""
