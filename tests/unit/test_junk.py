from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache.junk import ENDINGS, REASONS, junk
from llm_cache.reason import Reason

CALL: Any = {"name": "f", "args": {}, "id": "1"}


def chat(content: Any = "hi", **fields: Any) -> ChatGeneration:
    return ChatGeneration(message=AIMessage(content, **fields))


@pytest.mark.parametrize("kind", ENDINGS)
@pytest.mark.parametrize("name", REASONS)
def test_a_providers_word_for_a_bad_end_is_known(kind: Reason, name: str) -> None:
    for reason in ENDINGS[kind]:
        assert list(junk(chat(response_metadata={name: reason.upper()}))) == [kind]
        assert list(junk(Generation(text="hi", generation_info={name: reason}))) == [kind]


@pytest.mark.parametrize(
    "reason", ["stop", "end_turn", "tool_calls", "completed", None, 7, ["length"]]
)
def test_a_good_end_is_no_junk(reason: object) -> None:
    assert list(junk(chat(response_metadata={"finish_reason": reason}))) == []


@pytest.mark.parametrize(
    ("generation", "found"),
    [
        (Generation(text="hi"), []),
        (Generation(text=""), [Reason.EMPTY]),
        (chat(""), [Reason.EMPTY]),
        (chat([]), [Reason.EMPTY]),
        (chat([{"type": "text", "text": ""}]), [Reason.EMPTY]),
        (chat("", tool_calls=[CALL]), []),
        (chat([{"type": "image", "base64": "AAAA"}]), []),
        (chat([{"type": "refusal", "refusal": "I will not."}]), [Reason.WITHHELD]),
        (chat("", additional_kwargs={"refusal": "I will not."}), [Reason.WITHHELD, Reason.EMPTY]),
        (chat("{}", additional_kwargs={"refusal": None}), []),
        (chat(response_metadata={"cache": {"hit": False, "stale": True}}), [Reason.STALE]),
        (chat(response_metadata={"cache": {"hit": True, "stale": False}}), []),
        (chat(response_metadata={"cache": "stale"}), []),
        (chat("hi", invalid_tool_calls=[{**CALL, "args": "{"}]), [Reason.INVALID_TOOL_CALL]),
        (chat("", invalid_tool_calls=[{**CALL, "args": "{"}]), [Reason.INVALID_TOOL_CALL]),
    ],
)
def test_what_an_answer_holds_is_looked_at(generation: Generation, found: list[Reason]) -> None:
    assert list(junk(generation)) == found
