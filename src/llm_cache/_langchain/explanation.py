"""The parts of a model call's key, read from the texts that enter it. Loaded on use.

A text that cannot be written again exactly from its parts is one part.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from llm_cache._engine.cache_call import CacheCall
from llm_cache._engine.explanation import Shown
from llm_cache._entries.keys import AS_WRITTEN, CANONICAL
from llm_cache._errors import Uncacheable
from llm_cache._langchain.conversation_key import conversation_text
from llm_cache._langchain.repr_parser import list_items, parse_literal
from llm_cache._langchain.settings_key import PARAMETER, encode, settings_texts

Write = Callable[[Any], str]
_SERIALISED = ("lc", "type", "id", "kwargs")


def describe(
    call: CacheCall[Any], prompt: str, llm_string: str, ignored_headers: frozenset[str], show: Shown
) -> dict[str, Any]:
    """Return the parts of a call's key by name; of an uncacheable call, without the settings."""
    try:
        form, *texts = call.key_parts(call.policy)
    except Uncacheable:
        return {"form": CANONICAL, **_prompt(conversation_text(prompt), encode, show)}
    if form == CANONICAL:
        salted = call.policy.salt is not None
        text, *schemas = settings_texts(llm_string, ignored_headers, salted=salted)
        parts = _prompt(conversation_text(prompt), encode, show) | _settings(text, encode, show)
        return {"form": form, **parts, "schemas": [_schema(each, show) for each in schemas]}
    if form == AS_WRITTEN:
        parts = _prompt(prompt, json.dumps, show) | _settings(llm_string, json.dumps, show)
        return {"form": form, **parts}
    return {"form": form, "own_key": show(texts[0])}


def _prompt(text: str, write: Write, show: Shown) -> dict[str, Any]:
    """Return each message of a conversation; other text whole."""
    try:
        messages = json.loads(text)
        all_objects = isinstance(messages, list) and all(isinstance(one, dict) for one in messages)
        if all_objects and messages and write(messages) == text:
            return {"messages": [_serialised(each, show, numbers=False) for each in messages]}
    except (ValueError, RecursionError):
        pass
    return {"prompt": show(text)}


def _settings(text: str, write: Write, show: Shown) -> dict[str, Any]:
    """Return the fields of the model and the parameters of the call; an unknown format whole."""
    try:
        parts, rest = _model(text, write, show) if text.startswith("{") else ({}, text)
        return parts | {"parameters": _parameters(list_items(rest), show)}
    except (ValueError, RecursionError):
        return {"settings": show(text)}


def _model(text: str, write: Write, show: Shown) -> tuple[dict[str, Any], str]:
    """Return the fields of the model, and the rest of the text."""
    model, end = json.JSONDecoder().raw_decode(text)
    separator, rest = text[end : end + 3], text[end + 3 :]
    if write(model) + separator != text[:end] + "---":
        raise ValueError("not written by langchain-core")
    return {"model": _serialised(model, show, numbers=True)}, rest


def _parameters(items: list[str], show: Shown) -> dict[str, Any]:
    found = [PARAMETER.fullmatch(item) for item in items]
    named = {parameter[1]: _literal(parameter[2], show) for parameter in found if parameter}
    if len(named) != len(items):
        raise ValueError("not a parameter, or two of one name")
    return named


def _literal(text: str, show: Shown) -> Any:
    """Return the value of a ``repr`` if it is one of JSON; else the text."""
    try:
        value = parse_literal(text)
        if repr(value) == text and json.loads(json.dumps(value)) == value:
            return show(value, numbers=True)
    except (ValueError, TypeError, RecursionError):
        pass
    return {"(python)": show(text)}


def _serialised(value: Any, show: Shown, *, numbers: bool) -> dict[str, Any]:
    """Return the fields of an object that langchain-core serialised, and its class."""
    match value:
        case {"lc": 1, "type": "constructor", "id": [*names], "kwargs": dict() as fields}:
            rest = {name: part for name, part in value.items() if name not in _SERIALISED}
            path = ".".join(map(str, names))
            if type(value["lc"]) is int and path.split(".") == names:
                others = {"(others)": show(rest, numbers=numbers)} if rest else {}
                return {"(class)": path, **others, **show(fields, numbers=numbers)}
    return {"(serialised)": show(value, numbers=numbers)}


def _schema(text: str, show: Shown) -> Any:
    """Return the name and the JSON schema of a class; its qualified name if it has no schema."""
    if not text.startswith("<schema "):
        return {"(class)": text}
    name, brace, rest = text.removeprefix("<schema ").removesuffix(">").partition(" {")
    try:
        schema = json.loads(brace.strip() + rest)
        if text == f"<schema {name} {json.dumps(schema)}>":
            return {"(class)": name, "schema": show(schema, numbers=True)}
    except (ValueError, RecursionError):
        pass
    return {"(schema)": show(text)}
