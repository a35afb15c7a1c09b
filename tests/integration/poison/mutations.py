"""Random mutations of texts; the same random number generator makes the same mutations.

Three of ten mutations of a JSON text change the text, the others its values: a field is deleted,
renamed, repeated, or gets another value.
"""

import base64
import json
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

from llm_cache._entries.dictionary import DICTIONARY

SECRET = "POISON_SECRET"  # an environment variable that no entry may read


def _loads(id_: str, **kwargs: Any) -> str:
    """Return JSON that LangChain's loader turns into an object."""
    made = {"lc": 1, "type": "constructor", "id": id_.split("."), "kwargs": kwargs}
    return json.dumps(made, separators=(",", ":"))


# JSON that harms Python's parser, LangChain's loader or other deserializers.
TRAPS = (
    "NaN", "-Infinity", "1e999", "-0", "-1", "0", "true", "null", "1" * 400, "9" * 5_000, "1E+30",
    '""', '"\\ud800"', '"\\ud83d"', '"\\u0000"', '"\U0001f600"', f'"{"a" * 5_000}"', "[]", "{}",
    "[" * 60 + "]" * 60, "[" * 5_000 + "]" * 5_000, '{"a":' * 900 + "1" + "}" * 900,
    '{"kind":"Generation","kind":"object"}', '{"":"e1","":"e2"}', '["Generation"]', '"object"',
    '{"kind":"HumanMessage","fields":{"content":"a"}}', '{"kind":"__class__","fields":{}}',
    _loads("langchain_core.messages.AIMessage", content="a"),
    _loads("langchain_core.prompts.PromptTemplate", template="{a.__class__}", format="jinja2"),
    _loads("langchain_openai.ChatOpenAI", base_url="http://127.0.0.1:9"),
    _loads("subprocess.Popen", args=["true"]),
    f'{{"lc":1,"type":"secret","id":["{SECRET}"]}}',
    '{"lc":1,"type":"not_implemented","id":["os"],"repr":"x"}',
    '{"py/object":"os.system"}', '{"__reduce__":["os.system",["id"]]}', '{"__class__":"os"}',
    '[{"type":"tool_call","id":{},"name":[],"args":7}]', '{"tool_calls":7}', '{"tool_calls":[7]}',
    '[{"function":{"name":"f","arguments":"{"}}]', '[{"function":{"name":[],"arguments":{}}}]',
    '[{"name":"f","args":"{\\"a\\":[","id":null,"index":0}]',
    '{"output_version":"v1","model_provider":"os"}', '{"total_tokens":1}',
    '{"input_tokens":1,"output_tokens":1,"total_tokens":1e30}',
    '{"hit":true,"stale":false,"age":0,"ttl":1,"key":"k","usage":7}',
)  # fmt: skip
NAMES = (
    "kind", "fields", "message", "info", "text", "content", "content_blocks", "tool_calls", "self",
    "invalid_tool_calls", "tool_call_chunks", "additional_kwargs", "response_metadata", "__class__",
    "usage_metadata", "chunk_position", "type", "id", "name", "lc", "kwargs", "epochs", "",
    "answer", "created", "ttl", "v", "z", "by", "mac", "box", "cache", "parsed", "__dict__",
    "model_copy",
)  # fmt: skip
CLASSES = (
    "Generation", "GenerationChunk", "ChatGeneration", "ChatGenerationChunk", "AIMessage",
    "AIMessageChunk", "HumanMessage", "ToolMessage", "BaseMessage", "object",
)  # fmt: skip
PIECES = (
    '"', "\\", "'", "{", "}", "[", "]", ",", ":", "---", "\\u0000", "\ud800", "\udc00", "\x00", "é",
    "\U0001f600", "\n", " ", "0", "1e9", "=", "<class 'os.system'>", "<class 'builtins.license'>",
    "<function f at 0x1>", "('stop', None)", "('timeout', ", *TRAPS[:6],
)  # fmt: skip
_MARK = "\ue000"


def of_json(random: Random, text: str) -> str:
    """Return a JSON text after up to four mutations of its text or its values."""
    if random.random() < 0.1:
        text = text.replace(random.choice(CLASSES), random.choice(CLASSES))
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        text = of_text(random, text) if random.random() < 0.3 else _of_values(random, text)
    return text


def of_text(random: Random, text: str) -> str:
    """Return a text with a slice deleted, or replaced by a piece or another slice."""
    begin = random.randint(0, len(text))
    end = min(len(text), begin + random.choice((0, 0, 1, 1, 2, 8, 40)))
    at = random.randint(0, len(text))
    match random.randrange(6):
        case 0:
            new = ""
        case 1:
            new = text[at : at + random.randint(1, 40)]
        case 2:
            new = chr(random.choice((random.randrange(128), random.randrange(0x110000))))
        case 3:
            return text[:begin]
        case _:
            new = random.choice(PIECES)
    return text[:begin] + new + text[end:]


def value(random: Random) -> Any:
    """Return the value of a trap, or another value if the trap cannot be parsed."""
    text = random.choice(TRAPS)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return random.choice((None, 7, -1.5, True, "text", [], {}, 10**400, 10**5_000, _DEEP))


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


_DEEP = _nested(5_000)


def packed(text: str) -> str:
    """Return the field ``z`` of an answer."""
    stream = zlib.compressobj(zdict=DICTIONARY)
    data = stream.compress(text.encode("utf-8", "surrogatepass")) + stream.flush()
    return base64.b64encode(data).decode()


def _of_values(random: Random, text: str) -> str:
    try:
        root = json.loads(text)
    except (ValueError, RecursionError):
        return of_text(random, text)
    if isinstance(root, dict) and isinstance(root.get("z"), str) and random.random() < 0.8:
        return _of_packed(random, root)
    places = list(_places(root))
    if not places:
        return random.choice(TRAPS)
    holder, name = random.choice(places)
    trap = random.choice(TRAPS)
    match random.randrange(6):
        case 0:
            del holder[name]
        case 1 if isinstance(holder, dict):
            holder[random.choice(NAMES)] = holder.pop(name)
        case 2 if isinstance(holder, dict):
            holder[random.choice(NAMES)] = _MARK
        case 3:
            other, at = random.choice(places)
            holder[name] = json.loads(json.dumps(other[at]))
        case 4:
            holder[name] = [holder[name]] if random.random() < 0.5 else {"a": holder[name]}
        case _:
            holder[name] = _MARK
    written = json.dumps(root, separators=(",", ":"))
    return written.replace(f'"{json.dumps(_MARK)[1:-1]}"', trap)


def _of_packed(random: Random, fields: dict[str, Any]) -> str:
    """Return an entry whose compressed answer is mutated."""
    try:
        stream = base64.b64decode(fields["z"])
        answer = zlib.decompressobj(zdict=DICTIONARY).decompress(stream).decode()
    except (ValueError, zlib.error):
        answer = "[]"
    return json.dumps({**fields, "z": packed(of_json(random, answer))}, separators=(",", ":"))


def _places(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the holder and the name of each value, to a depth of 20."""
    open_ = [(root, 0)] if isinstance(root, dict | list) else []
    while open_:
        holder, depth = open_.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for name, held in list(items):
            yield holder, name
            if isinstance(held, dict | list) and depth < 20:
                open_.append((held, depth + 1))
