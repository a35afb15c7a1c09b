"""LangChain's generations to JSON and back, against an explicit list of classes.

Nothing is built from what Redis holds but these six, each by its own pydantic model. LangChain's
``load`` reads more than that (CVE-2025-68664), warns at each call, and takes ten times as long.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llm_cache.bounds import bounded, few
from llm_cache.entry import Entry, readable
from llm_cache.errors import UnreadableEntry
from llm_cache.hits import marked, unmarked
from llm_cache.junk import junk
from llm_cache.parsed import unparsed
from llm_cache.reason import UNCACHEABLE, Reason
from llm_cache.report import Outcome, Tokens

PLAIN = {kind.__name__: kind for kind in (Generation, GenerationChunk)}
CHAT = {kind.__name__: kind for kind in (ChatGeneration, ChatGenerationChunk)}
MESSAGES = {kind.__name__: kind for kind in (AIMessage, AIMessageChunk)}


def serialize(generations: Sequence[Generation]) -> tuple[str, ...] | None:
    """Return each generation as JSON text, or None when one would not come back as it is now.

    What a hit has marked is stored as it was computed (see ``hits.unmarked``), and what came
    parsed as a dict (see ``parsed``).
    """
    answer = [unparsed(unmarked(generation)) for generation in generations]
    try:
        texts = tuple(json.dumps(_dumped(generation)) for generation in answer)
        revived = [_revived(json.loads(text)) for text in few(texts)]
    except (TypeError, ValueError, RecursionError, KeyError):
        return None
    return texts if texts and revived == answer and readable(texts) else None


def read(entry: Entry) -> list[Generation]:
    """Return the generations of a stored entry; raise ``UnreadableEntry`` for anything else."""
    try:
        return [_revived(value) for value in few(entry.answer)]
    except Exception as error:
        raise UnreadableEntry(f"not generations: {type(error).__name__}") from error


def tokens(generations: Sequence[Generation]) -> Tokens:
    """Return the tokens that computing ``generations`` took, none where the model did not say."""
    messages = (g.message for g in generations if isinstance(g, ChatGeneration))
    told = [m.usage_metadata for m in messages if isinstance(m, AIMessage) and m.usage_metadata]
    return Tokens(sum(u["input_tokens"] for u in told), sum(u["output_tokens"] for u in told))


@dataclass(frozen=True, slots=True)
class Generations:
    """Answers of LangChain's models: which are not stored, and whether a hit says that it is one.

    ``read`` raises ``UnreadableEntry`` for anything else.
    """

    codec: ClassVar[str] = "langchain"
    do_not_store: frozenset[Reason] = UNCACHEABLE
    mark_hits: bool = True

    serialize = staticmethod(serialize)
    read = staticmethod(read)
    tokens = staticmethod(tokens)

    def unwanted(self, answer: Sequence[Generation]) -> Reason | None:
        """Return the first reason of ``do_not_store`` for which an answer may not be kept."""
        found = (reason for one in answer for reason in junk(one))
        return next((reason for reason in found if reason in self.do_not_store), None)

    def served(self, answer: list[Generation], outcome: Outcome) -> list[Generation]:
        """Return the answer of a hit, marked if hits are."""
        return marked(answer, outcome) if self.mark_hits else answer


def _dumped(generation: Generation) -> dict[str, Any]:
    """Name the classes and dump their fields; what JSON does not know raises ``TypeError``."""
    dumped = {"kind": type(generation).__name__, "info": generation.generation_info}
    if not isinstance(generation, ChatGeneration):
        return {**dumped, "text": generation.text}
    message = generation.message
    fields = message.model_dump(exclude_defaults=True, warnings=False)
    return {**dumped, "message": {"kind": type(message).__name__, "fields": fields}}


def _revived(value: Any) -> Generation:
    kind, info = value["kind"], value["info"]
    if kind in PLAIN:
        return PLAIN[kind](text=value["text"], generation_info=info)
    of = value["message"]["kind"]
    message = MESSAGES[of].model_validate(bounded(of, value["message"]["fields"]))
    return CHAT[kind].model_validate({"message": message, "generation_info": info})
