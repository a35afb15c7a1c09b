"""What of a model's settings, langchain-core's ``llm_string``, enters the key.

It is ``json(model)---str(sorted(parameters))``, or the parameters alone where the model is not
serialisable (langchain-core, ``BaseChatModel._get_llm_string`` and, for text, ``get_prompts``).

What leaves: ``TRANSPORT``; a model's own ``name``; secrets, which langchain-core masks, so that
how the credentials came is all they tell; headers, unless one matches ``STEERING``; the address of
a function with a name of its own. Regions, endpoints, clients and ``config`` stay, for they may
reach another model. So do the addresses of other objects, lambdas and local functions: two of them
may differ in what their text does not show. Functions of one qualified name count as one.

A class with ``model_json_schema`` enters by that schema if a loaded module holds it under its name.
One made inside a function, or by ``create_model``, enters by its repr: a changed schema then keeps
the key. That is so where a class is bound as it is; ``ChatBedrockConverse`` binds structured output
as schemas, and those stay in full and in order.
"""

from __future__ import annotations

import json
import re
import sys
from functools import lru_cache
from typing import Any

TRANSPORT = frozenset({
    "cache", "callback_manager", "callbacks", "connect_timeout", "credentials_profile_name",
    "custom_get_token_ids", "default_request_timeout", "max_retries", "metadata", "rate_limiter",
    # Of the provider's own prompt cache: they change its price and speed.
    "cache_control", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "read_timeout", "request_metadata", "request_timeout", "stream_chunk_timeout", "tags",
    "timeout", "verbose",
})  # fmt: skip
HEADERS = frozenset({"custom_headers", "default_headers", "extra_headers", "headers"})
STEERING = re.compile("beta|config|feature|guard|model|prompt|provider|rout|tier|version|virtual")

_STRING = r"""(?<!\w)b?(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")(?!\w)"""
_TOKEN = re.compile(rf"""{_STRING}|[\[({{]|[\])}}]|['"]""", re.DOTALL)
_PARAMETER = re.compile(r"\('([^'\\]*)', (.*)\)", re.DOTALL)
_FUNCTION = re.compile(rf"{_STRING}|<function ([\w.]+) at 0x[0-9a-fA-F]+>", re.DOTALL)
_CLASS = re.compile(rf"{_STRING}|<class '([\w.]+)'>", re.DOTALL)


def settings(llm_string: str) -> str:
    """Return what of ``llm_string`` can change an answer; one that is not clear, as it is."""
    try:
        text = _settled(llm_string)
    except (ValueError, RecursionError):
        return llm_string
    return _CLASS.sub(_by_schema, text) if "<class '" in text else text


@lru_cache(maxsize=16)
def _settled(llm_string: str) -> str:
    """Do what is the same each time; a schema is not, for its class may be made anew."""
    if not llm_string.startswith("{"):
        return _parameters(llm_string)
    model, end = _decoder.raw_decode(llm_string)
    if not llm_string.startswith("---", end):
        raise ValueError("no parameters")
    return f"{encode(_model(model))}---{_parameters(llm_string[end + 3 :])}"


def _model(model: Any) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in constructor_fields(model).items()
        if name != "name" and not _is(value, "secret") and not _passes(name, encode(value))
    }
    return {name: value for name, value in model.items() if name != "name"} | {"kwargs": kept}


def _parameters(text: str) -> str:
    """Drop the parameters that do not matter; raise ``ValueError`` if the text is not clear."""
    kept = []
    for item in _items(text):
        parameter = _PARAMETER.fullmatch(item)
        if parameter is None:
            raise ValueError("not a parameter")
        if not _passes(*parameter.groups()):
            kept.append(_FUNCTION.sub(_without_address, item))
    return f"[{', '.join(kept)}]"


def _items(text: str) -> list[str]:
    """Split the repr of a list where it is a list, and not within strings or other brackets."""
    items, depth, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "'\"":
            raise ValueError("a quote that no string explains")
        if token[0] in "([{":
            start, depth = (token.start() if depth == 1 else start), depth + 1
        elif token[0] in ")]}":
            depth -= 1
            if depth == 1:
                items.append(text[start : token.end()])
    if text != f"[{', '.join(items)}]":
        raise ValueError("more than a list")
    return items


def _is_clear(text: str) -> bool:
    """Whether strings explain all quotes; else a search from each would take quadratic time."""
    return all(token[0] not in "'\"" for token in _TOKEN.finditer(text))


def _passes(name: str, value: str) -> bool:
    """Whether a setting concerns the transport alone."""
    return name in TRANSPORT or (name in HEADERS and not STEERING.search(value.lower()))


def _without_address(match: re.Match[str]) -> str:
    return f"<function {match[1]}>" if match[1] else match[0]


def _by_schema(match: re.Match[str]) -> str:
    try:
        found: Any = _loaded(match[1]) if match[1] else None
        # Of another object the repr is code that may do anything: builtins.license opens files.
        if not isinstance(found, type) or repr(found) != match[0]:
            return match[0]
        # Not sorted: a model answers in the order of the fields.
        return f"<schema {json.dumps(found.model_json_schema())}>"  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001  a schema is made by code of any kind
        return match[0]


def _loaded(name: str) -> Any:
    """Return what the loaded modules hold under a qualified name; import and run nothing."""
    if name in sys.modules:
        return sys.modules[name]
    holder, _, last = name.rpartition(".")
    return vars(_loaded(holder)).get(last) if holder else None


def constructor_fields(item: Any) -> dict[str, Any]:
    """Return the arguments of a serialised object (langchain-core, ``SerializedConstructor``)."""
    fields = item.get("kwargs") if _is(item, "constructor") else None
    if isinstance(fields, dict):
        return fields
    raise ValueError("not a serialised object")


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, dict) and value.get("lc") == 1 and value.get("type") == kind


def _addressless(node: dict[str, Any]) -> dict[str, Any]:
    """Take the addresses of functions out of an object that langchain-core cannot serialise."""
    text = node.get("repr") if _is(node, "not_implemented") else None
    if isinstance(text, str) and _is_clear(text):
        node["repr"] = _FUNCTION.sub(_without_address, text)
    return node


_decoder = json.JSONDecoder(object_hook=_addressless)
encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode
