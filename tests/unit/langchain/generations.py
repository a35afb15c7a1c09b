"""Answers of every kind, in the forms in which LangChain's integrations return them."""

from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import invalid_tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

USAGE: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
CALL: Any = {
    "name": "f",
    "args": {"city": "Zürich \U0001f600", "n": [1, 1.0, True]},
    "id": "call_1",
}
CITATION: Any = {
    "type": "citation",
    "url": "https://example.org",
    "cited_text": "blue",
    "start_index": 0,
    "end_index": 4,
    "extras": {"file_id": "f1"},
}
CALL_CHUNK = tool_call_chunk(name="f", args='{"a": 1}', id="1", index=0)
FULL = AIMessage(
    content=[
        {"type": "text", "text": "a é"},
        {"type": "reasoning", "reasoning": "because"},
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
    ],
    id="run-1",
    name="bob",
    tool_calls=[{"name": "f", "args": {"x": [1.5, None, {"y": True}]}, "id": "t1"}],
    invalid_tool_calls=[{"name": "g", "args": "{", "id": "t2", "error": "cut"}],
    usage_metadata={**USAGE, "input_token_details": {"cache_read": 1}},
    response_metadata={"model": {"stop": ["a", 1]}},
    additional_kwargs={"extra": 1},
)
MESSAGES: dict[str, AIMessage] = {
    "everything at once": FULL,
    "nothing": AIMessage(""),
    "text of many kinds": AIMessage('a\x00b\u2028\U0001f600\u0301 </script> "{}"', id=""),
    "tool calls": AIMessage("", tool_calls=[CALL, {**CALL, "id": None}, {**CALL, "args": {}}]),
    "invalid tool calls": AIMessage(
        "",
        tool_calls=[CALL],
        invalid_tool_calls=[
            invalid_tool_call(name="g", args='{"a', id="call_2", error="cut"),
            invalid_tool_call(name=None, args=None, id=None, error=None),
        ],
    ),
    "Anthropic's thinking": AIMessage(
        [
            {"type": "thinking", "thinking": "Hm.", "signature": "Eq==", "index": 0},
            {"type": "redacted_thinking", "data": "Zm9v"},
            {"type": "text", "text": "Blue.", "citations": [{"type": "char_location"}]},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}, "caller": None},
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"url": "u"}]},
        ],
        tool_calls=[{"name": "f", "args": {"a": 1}, "id": "toolu_1"}],
        response_metadata={"model_provider": "anthropic", "stop_sequence": None},
    ),
    "OpenAI's reasoning items": AIMessage(
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": "gAAA",
            },
            {"type": "text", "text": "Blue.", "annotations": [CITATION], "id": "msg_1"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc"},
            {"type": "image_generation_call", "id": "ig_1", "result": "iVBORw0KGgo="},
        ],
        tool_calls=[{"name": "f", "args": {}, "id": "c1"}],
        additional_kwargs={"reasoning": {"id": "rs_1"}},
        response_metadata={"model_provider": "openai", "id": "resp_1", "status": "completed"},
    ),
    "standard blocks": AIMessage(
        content_blocks=[
            {"type": "reasoning", "reasoning": "Hm.", "id": "lc_1", "extras": {"signature": "s"}},
            {"type": "text", "text": "Blue.", "annotations": [CITATION]},
            {"type": "tool_call", "name": "f", "args": {}, "id": "c1"},
            {"type": "non_standard", "value": {"own": [None]}},
        ],
        response_metadata={"output_version": "v1"},
    ),
    "media": AIMessage(
        [
            {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
            {"type": "image", "url": "https://example.org/a.png"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
            {"type": "file", "file_id": "file_1"},
            {"type": "video", "url": "https://example.org/a.mp4"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ],
        additional_kwargs={
            "audio": {"id": "a1", "data": "AAAA", "expires_at": 1, "transcript": ""}
        },
    ),
    "strings among blocks": AIMessage(["a", {"type": "text", "text": "b"}, ""]),
    "usage with details": AIMessage(
        "a",
        usage_metadata={
            **USAGE,
            "input_token_details": {"audio": 1, "cache_read": 0, "priority": 2},
            "output_token_details": {"reasoning": 3},
        },
    ),
    "bytes everywhere": AIMessage(
        [{"type": "image", "data": [b"", b"\x89PNG"]}],
        additional_kwargs={"raw": {"deep": [{"data": b"a"}]}},
        response_metadata={"raw": b"b"},
        tool_calls=[{**CALL, "args": {"data": b"c"}}],
    ),
    "objects that look like bytes, and bytes": AIMessage(
        [{"bytes 0": "YQ=="}, {"bytes 1": "YQ=="}, {"bytes": "bytes 2"}, {"data": b"a"}],
        additional_kwargs={"bytes 2": {"bytes 3": "YQ=="}},
    ),
    "objects that look like bytes": AIMessage(
        [{"bytes 0": "YQ=="}], response_metadata={"bytes": "x"}
    ),
    "fields of its own": AIMessage("a", reasoning={"text": "Hm."}, score=1.5),
    "a chunk": AIMessageChunk(content="part", tool_call_chunks=[CALL_CHUNK], usage_metadata=USAGE),
    "a whole chunk": AIMessageChunk(
        content=[{"type": "text", "text": "a", "index": 0}],
        tool_call_chunks=[CALL_CHUNK],
        chunk_position="last",
    ),
}
INFO = {"finish_reason": "stop", "logprobs": None}
ANSWERS: dict[str, list[Generation]] = {
    "text": [Generation(text="a", generation_info={"reason": "stop"}), Generation(text="")],
    "text with bytes": [Generation(text="a bytes 0", generation_info={"raw": b"a"})],
    "text in chunks": [GenerationChunk(text="a\u2028")],
    "several choices": [ChatGeneration(message=m, generation_info=INFO) for m in MESSAGES.values()],
    **{name: [ChatGeneration(message=message)] for name, message in MESSAGES.items()},
    **{
        f"{name} of a stream": [ChatGenerationChunk(message=message, generation_info=INFO)]
        for name, message in MESSAGES.items()
        if isinstance(message, AIMessageChunk)
    },
}
