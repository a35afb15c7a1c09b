"""The part of a key for a model's settings, langchain-core's ``llm_string``.

It is ``json(model)---str(sorted(parameters))``, or the parameters alone for a model that cannot be
serialised (langchain-core, ``BaseChatModel._get_llm_string`` and, for text, ``get_prompts``).

Left out of the key:

- ``TRANSPORT``, a model's own ``name``, and known credentials, which langchain-core masks
- markers of the provider's prompt cache in ``tools`` (``prompt_cache_markers``)
- headers for credentials, tracing and transport (``header_key``)
- the address of a function with a name of its own; functions of one qualified name count as equal

Kept in the key:

- regions, endpoints, clients, ``config`` and all other headers: they may select another model
- addresses of other objects, lambdas and local functions: their text may hide a difference
- the JSON schema of each class (``schema_key``)

A call is uncacheable if a class has no unambiguous schema, or if a masked setting is not a known
credential. The policy's ``salt`` allows both, because it separates such calls.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from llm_cache._errors import Uncacheable
from llm_cache._langchain.header_key import HEADER_SETTINGS, header_key, is_ignored
from llm_cache._langchain.prompt_cache_markers import MARKERS, without_markers
from llm_cache._langchain.repr_parser import STRING, has_closed_strings, list_items, parse_literal
from llm_cache._langchain.schema_key import schema_key
from llm_cache._reasons import Reason

TRANSPORT = frozenset({
    "cache", "callback_manager", "callbacks", "connect_timeout", "credentials_profile_name",
    "custom_get_token_ids", "default_request_timeout", "max_retries", "metadata", "rate_limiter",
    # The provider's own prompt cache: these change its price and speed.
    "cache_control", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "read_timeout", "request_metadata", "request_timeout", "stream_chunk_timeout", "tags",
    "timeout", "verbose",
})  # fmt: skip
_REQUEST_SETTINGS = re.compile("kwargs|args|options")  # settings that hold settings of the request
_CREDENTIAL = re.compile(
    r"(.*_)?(api_?key|(access|private|secret|subscription)_key(_id)?|secret(_id|_access_key)?"
    r"|token|password|credentials)"
)

PARAMETER = re.compile(r"\('([^'\\]*)', (.*)\)", re.DOTALL)
_OBJECT = re.compile(
    rf"{STRING}|<function ([\w.]+) at 0x[0-9a-fA-F]+>|<class '([^'\n]+)'>"
    # in a generic alias: list[app.Form], app.Form | None
    r"|(?:(?<=\[)|(?<=[,:|] ))([A-Za-z_]\w*(?:\.(?:\w+|<locals>))+)(?=[\[\],)}]| \|)",
    re.DOTALL,
)
_CLASS = re.compile(r"()<class '((?:[^<\n]|<locals>)+?)'>")  # the same groups
_MASKED = re.compile(r"""(?:['"]([\w.-]+)['"](?:: |, )|\b(\w+)=)?\bSecret\w*\(b?'\*+'\)""")


def settings_key(
    llm_string: str, ignored_headers: frozenset[str] = frozenset(), *, salted: bool = False
) -> str:
    """Return the part of ``llm_string`` that can change an answer.

    Raise ``Uncacheable`` if a call with other settings may have the same text, unless ``salted``.
    """
    return "\n".join(settings_texts(llm_string, ignored_headers, salted=salted))


def settings_texts(llm_string: str, ignored_headers: frozenset[str], *, salted: bool) -> list[str]:
    """Return the lines of ``settings_key``: the settings, and the schema of each class in them."""
    text, classes = _text_and_classes(llm_string, ignored_headers, salted)
    schemas = (schema_key(name, certain=certain, by_name=salted) for name, certain in classes)
    return [text, *schemas]


@lru_cache(maxsize=16)
def _text_and_classes(
    llm_string: str, ignored_headers: frozenset[str], salted: bool
) -> tuple[str, tuple[tuple[str, bool], ...]]:
    """Return the part of the key that depends on its arguments alone, unlike the schemas."""
    reader = _SettingsReader(ignored_headers, salted)
    try:
        text = reader.settings(llm_string)
    except (ValueError, RecursionError):  # an unknown format enters whole
        reader = _SettingsReader(ignored_headers, salted)
        text = reader.object("", llm_string)
    return text, tuple(reader.classes)


@dataclass(frozen=True, slots=True)
class _SettingsReader:
    """Reads settings once, and collects the names of classes; True marks a certain class."""

    ignored_headers: frozenset[str]
    salted: bool
    classes: list[tuple[str, bool]] = field(default_factory=list)

    def settings(self, text: str) -> str:
        """Return the text for the key; raise ``ValueError`` for an unknown format."""
        if not text.startswith("{"):
            return self._parameters(text)
        model, end = json.JSONDecoder().raw_decode(text)
        if not text.startswith("---", end):
            raise ValueError("no parameters")
        return f"{encode(self._model(model))}---{self._parameters(text[end + 3 :])}"

    def _model(self, model: Any) -> dict[str, Any]:
        left_out = TRANSPORT | {"name"}
        fields = {k: v for k, v in constructor_fields(model).items() if k not in left_out}
        kept = self._kept("", fields, of_request=True)
        return {name: value for name, value in model.items() if name != "name"} | {"kwargs": kept}

    def _parameters(self, text: str) -> str:
        kept = []
        for item in list_items(text):
            parameter = PARAMETER.fullmatch(item)
            if parameter is None:
                raise ValueError("not a parameter")
            kept.append(self._parameter(*parameter.groups()))
        return f"[{', '.join(filter(None, kept))}]"

    def _parameter(self, name: str, text: str) -> str:
        if name in TRANSPORT:
            return ""
        if HEADER_SETTINGS.fullmatch(name) or (
            _REQUEST_SETTINGS.search(name) and "headers" in text
        ):
            with suppress(ValueError):
                kept = self._kept("", {name: parse_literal(text)}, of_request=True)
                return f"({name!r}, {kept[name]!r})" if kept else ""
        if name == "tools" and any(marker in text for marker in MARKERS):
            with suppress(ValueError):
                text = repr(without_markers(parse_literal(text)))
        return self.object(name, f"({name!r}, {text})")

    def _kept(self, name: str, value: Any, *, of_request: bool) -> Any:
        """Return the part of a value for the key; ``of_request``: it may hold HTTP headers."""
        if _is(value, "secret"):
            self._refuse_masked(name)
        if _is(value, "not_implemented") and isinstance(value.get("repr"), str):
            return value | {"repr": self.object(name, value["repr"])}
        if isinstance(value, list):
            return [self._kept(name, item, of_request=False) for item in value]
        return self._fields(value, of_request=of_request) if isinstance(value, dict) else value

    def _fields(self, fields: dict[str, Any], *, of_request: bool) -> dict[str, Any]:
        kept = {}
        for name, value in fields.items():
            request = of_request and isinstance(name, str) and not _is(value, "secret")
            if request and HEADER_SETTINGS.fullmatch(name):
                value = header_key(value, self.ignored_headers)  # noqa: PLW2901
                if not value:
                    continue
            inner = request and bool(_REQUEST_SETTINGS.search(name))
            part = self._kept(name, value, of_request=inner)
            if not _is(value, "secret") and not (value and part == {}):
                kept[name] = part
        return kept

    def object(self, name: str, text: str) -> str:
        """Return a repr without the addresses of functions and the names of classes."""
        for masked in _MASKED.finditer(text):
            self._refuse_masked(masked[1] or masked[2] or name)
        return (_OBJECT if has_closed_strings(text) else _CLASS).sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        if match[1]:
            return f"<function {match[1]}>"
        if name := match[2] or match[3]:
            self.classes.append((name, bool(match[2])))
            return "<class>"
        return match[0]

    def _refuse_masked(self, name: str) -> None:
        if not (self.salted or _CREDENTIAL.fullmatch(name.lower()) or is_ignored(name)):
            raise Uncacheable(
                Reason.MASKED_SETTING,
                f"the setting {name} is masked, so calls with different values look the same. "
                "Set CachePolicy(salt=…) or CachePolicy(key=…) for each value",
            )


def constructor_fields(item: Any) -> dict[str, Any]:
    """Return the arguments of a serialised object (langchain-core, ``SerializedConstructor``)."""
    fields = item.get("kwargs") if _is(item, "constructor") else None
    if isinstance(fields, dict):
        return fields
    raise ValueError("not a serialised object")


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, dict) and value.get("lc") == 1 and value.get("type") == kind


encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode
