"""What of a model's settings, langchain-core's ``llm_string``, enters the key.

It is ``json(model)---str(sorted(parameters))``, or the parameters alone where the model is not
serialisable (langchain-core, ``BaseChatModel._get_llm_string`` and, for text, ``get_prompts``).

- These leave: ``TRANSPORT``; a model's own ``name``; known credentials, which langchain-core masks;
  markers of the provider's own prompt cache in ``tools`` (``markers``);
  headers of credentials, tracing and transport (``headers``); the address of a function with a name
  of its own. Functions of one qualified name count as one.
- Regions, endpoints, clients, ``config`` and all other headers stay: they may reach another model.
  The addresses of other objects, lambdas and local functions stay: two of them may differ in what
  their text does not show.
- A class enters by its JSON schema (``schemas``).
- A call is uncacheable if a class in it has no certain schema, or if a setting is masked that is no
  known credential. The policy's ``salt`` allows both, for it tells such calls apart.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from llm_cache._errors import Uncacheable
from llm_cache._langchain import header_key, repr_parser, schema_key
from llm_cache._langchain.prompt_cache_markers import MARKERS, without_markers
from llm_cache._reasons import Reason

TRANSPORT = frozenset({
    "cache", "callback_manager", "callbacks", "connect_timeout", "credentials_profile_name",
    "custom_get_token_ids", "default_request_timeout", "max_retries", "metadata", "rate_limiter",
    # Of the provider's own prompt cache: they change its price and speed.
    "cache_control", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "read_timeout", "request_metadata", "request_timeout", "stream_chunk_timeout", "tags",
    "timeout", "verbose",
})  # fmt: skip
_ARGUMENTS = re.compile("kwargs|args|options")  # settings that hold settings of the request
_CREDENTIAL = re.compile(
    r"(.*_)?(api_?key|(access|private|secret|subscription)_key(_id)?|secret(_id|_access_key)?"
    r"|token|password|credentials)"
)

_PARAMETER = re.compile(r"\('([^'\\]*)', (.*)\)", re.DOTALL)
_OBJECT = re.compile(
    rf"{repr_parser.STRING}|<function ([\w.]+) at 0x[0-9a-fA-F]+>|<class '([^'\n]+)'>"
    # in a generic alias: list[app.Form], app.Form | None
    r"|(?:(?<=\[)|(?<=[,:|] ))([A-Za-z_]\w*(?:\.(?:\w+|<locals>))+)(?=[\[\],)}]| \|)",
    re.DOTALL,
)
_CLASS = re.compile(r"()<class '((?:[^<\n]|<locals>)+?)'>")  # groups as those before
_MASKED = re.compile(r"""(?:['"]([\w.-]+)['"](?:: |, )|\b(\w+)=)?\bSecret\w*\(b?'\*+'\)""")


def settings_key(
    llm_string: str, ignored_headers: frozenset[str] = frozenset(), *, salted: bool = False
) -> str:
    """Return what of ``llm_string`` can change an answer.

    Raise ``Uncacheable`` if another call may look the same, unless a salt tells them apart.
    """
    text, classes = _settled(llm_string, ignored_headers, salted)
    named = (schema_key.schema(name, certain=certain, by_name=salted) for name, certain in classes)
    return "\n".join([text, *named])


@lru_cache(maxsize=16)
def _settled(
    llm_string: str, ignored_headers: frozenset[str], salted: bool
) -> tuple[str, tuple[tuple[str, bool], ...]]:
    """Do what is the same each time; a schema is not, for its class may be made anew."""
    reading = _Reading(ignored_headers, salted)
    try:
        text = reading.settings(llm_string)
    except (ValueError, RecursionError):  # not clear: all of it stays
        reading = _Reading(ignored_headers, salted)
        text = reading.object("", llm_string)
    return text, tuple(reading.classes)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One pass over settings; it notes which classes they name, and whether each surely is one."""

    ignored_headers: frozenset[str]
    salted: bool
    classes: list[tuple[str, bool]] = field(default_factory=list)

    def settings(self, text: str) -> str:
        """Return what enters; raise ``ValueError`` if the text is not clear."""
        if not text.startswith("{"):
            return self._parameters(text)
        model, end = json.JSONDecoder().raw_decode(text)
        if not text.startswith("---", end):
            raise ValueError("no parameters")
        return f"{encode(self._model(model))}---{self._parameters(text[end + 3 :])}"

    def _model(self, model: Any) -> dict[str, Any]:
        left_out = TRANSPORT | {"name"}
        fields = {k: v for k, v in constructor_fields(model).items() if k not in left_out}
        kept = self._kept("", fields, sent=True)
        return {name: value for name, value in model.items() if name != "name"} | {"kwargs": kept}

    def _parameters(self, text: str) -> str:
        kept = []
        for item in repr_parser.items(text):
            parameter = _PARAMETER.fullmatch(item)
            if parameter is None:
                raise ValueError("not a parameter")
            kept.append(self._parameter(*parameter.groups()))
        return f"[{', '.join(filter(None, kept))}]"

    def _parameter(self, name: str, text: str) -> str:
        if name in TRANSPORT:
            return ""
        if header_key.NAMES.fullmatch(name) or (_ARGUMENTS.search(name) and "headers" in text):
            with suppress(ValueError):
                kept = self._kept("", {name: repr_parser.literal(text)}, sent=True)
                return f"({name!r}, {kept[name]!r})" if kept else ""
        if name == "tools" and any(marker in text for marker in MARKERS):
            with suppress(ValueError):
                text = repr(without_markers(repr_parser.literal(text)))
        return self.object(name, f"({name!r}, {text})")

    def _kept(self, name: str, value: Any, *, sent: bool) -> Any:
        """Return what of a value enters; ``sent``: headers in it are those of the request."""
        if _is(value, "secret"):
            self._refuse_masked(name)
        if _is(value, "not_implemented") and isinstance(value.get("repr"), str):
            return value | {"repr": self.object(name, value["repr"])}
        if isinstance(value, list):
            return [self._kept(name, item, sent=False) for item in value]
        return self._fields(value, sent=sent) if isinstance(value, dict) else value

    def _fields(self, fields: dict[str, Any], *, sent: bool) -> dict[str, Any]:
        kept = {}
        for name, value in fields.items():
            held = sent and isinstance(name, str) and not _is(value, "secret")
            if held and header_key.NAMES.fullmatch(name):
                value = header_key.entering(value, self.ignored_headers)  # noqa: PLW2901
                if not value:
                    continue
            enters = self._kept(name, value, sent=held and bool(_ARGUMENTS.search(name)))
            if not _is(value, "secret") and not (value and enters == {}):
                kept[name] = enters
        return kept

    def object(self, name: str, text: str) -> str:
        """Take the addresses of functions and the names of classes out of a repr."""
        for masked in _MASKED.finditer(text):
            self._refuse_masked(masked[1] or masked[2] or name)
        return (_OBJECT if repr_parser.is_clear(text) else _CLASS).sub(self._noted, text)

    def _noted(self, match: re.Match[str]) -> str:
        if match[1]:
            return f"<function {match[1]}>"
        if name := match[2] or match[3]:
            self.classes.append((name, bool(match[2])))
            return "<class>"
        return match[0]

    def _refuse_masked(self, name: str) -> None:
        if (
            not self.salted
            and not _CREDENTIAL.fullmatch(name.lower())
            and not header_key.passes(name)
        ):
            raise Uncacheable(
                Reason.MASKED_SETTING,
                f"the setting {name} is masked, so calls that differ in it look the same. "
                "Tell them apart with CachePolicy(salt=…) or CachePolicy(key=…)",
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
