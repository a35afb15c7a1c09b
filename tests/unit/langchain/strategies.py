"""Generated texts and conversations."""

from typing import Any

from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

TEXT = st.text(st.characters(exclude_categories=[]), max_size=80)
NAMES = st.sampled_from(["f", "g", "0"])
IDS = ["0", "1", "2", "call_a"]
SMALL = st.sampled_from(["", "a", "b", "0", "1", '"', "é", "e\u0301"])
ARGS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    SMALL, st.sampled_from([1, 1.0, True, "1", None, [], {}]), max_size=2
)
CALLS = st.builds(
    lambda name, args, id_: {"name": name, "args": args, "id": id_, "type": "tool_call"},
    NAMES,
    ARGS,
    st.sampled_from(IDS),
)
MARKER = {"cache_control": {"type": "ephemeral"}}
GENERATED_ID = {"id": "lc_00000000-0000-0000-0000-000000000000"}
BLOCK = st.builds(
    lambda text, ignored, kept: {"type": "text", "text": text} | ignored | kept,
    SMALL,
    st.sampled_from([{}, MARKER, {"extras": MARKER}, GENERATED_ID]),
    st.sampled_from([{}, {"citations": [1]}]),
)
POINT = {"cachePoint": {"type": "default"}}
CONTENT = SMALL | st.lists(BLOCK | st.just(POINT), min_size=1, max_size=3)
MESSAGES = st.lists(
    st.builds(HumanMessage, CONTENT, name=st.none() | SMALL)
    | st.builds(SystemMessage, CONTENT | st.lists(SMALL, max_size=2))
    | st.builds(AIMessage, CONTENT, tool_calls=st.lists(CALLS, max_size=2))
    | st.builds(ToolMessage, CONTENT, tool_call_id=st.sampled_from(IDS), artifact=st.none() | ARGS),
    min_size=1,
    max_size=3,
)
