"""The JSON schemas of the classes that a model's settings name.

LangChain writes a class into the settings by its name alone, and two classes may share a name: one
made by ``create_model`` or inside a function, or one whose fields have changed. The key needs the
schema, so the class is looked up: among the live pydantic models, and in the loaded modules.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary, ref

from pydantic import BaseModel

from llm_cache._errors import Uncacheable
from llm_cache._reasons import Reason

# Each live class with abstract bases, so each model, holds one reference to this internal type.
_HELD_BY_EACH = type(vars(BaseModel)["_abc_impl"])


def schema(name: str, *, certain: bool = True, by_name: bool = False) -> str:
    """Return what a key says of the class with a qualified name: its own name and JSON schema.

    A class without a schema stays a name; so does an unknown name that is not ``certain`` to be a
    class. Raise ``Uncacheable`` where the name alone does not say which schema is meant, unless the
    caller allows the name (``by_name``).
    """
    text = f"<class '{name}'>"
    found = {*_models(text), *_loaded(text, name)}
    try:
        schemas = {_schema(model) or name for model in found}
        why = f"{len(schemas)} live classes of this name differ in their JSON schemas"
    except Exception as error:  # noqa: BLE001  a schema is made by code of any kind
        schemas, why = set(), f"its JSON schema cannot be made ({type(error).__name__})"
    if len(schemas) == 1:
        return schemas.pop()
    if by_name or not (found or "<locals>" in name or (certain and "." in name)):
        return name
    raise Uncacheable(
        Reason.AMBIGUOUS_SCHEMA,
        f"the class {name} in the model's settings is known by its name only: "
        f"{why if found else 'no live class has this name'}. Pass a JSON schema instead of the "
        "class, or tell the schemas apart with CachePolicy(salt=…) or CachePolicy(key=…)",
    )


def _models(text: str) -> Iterator[type]:
    """Yield the live pydantic models with a repr."""
    return (model for known in _walked(text, _births()) if (model := known()))


def _births() -> tuple[int, int]:
    """Return a value that changes when a model is made. Costs a microsecond.

    Classes refer to themselves, so they die in garbage collections only. While those have collected
    nothing, the number of classes can only grow.
    """
    return sys.getrefcount(_HELD_BY_EACH), sum(told["collected"] for told in gc.get_stats())


_qualname = vars(type)["__qualname__"].__get__


@lru_cache(maxsize=64)
def _walked(text: str, _births: tuple[int, int]) -> tuple[ref[type], ...]:
    found: list[ref[type]] = []
    level: set[type] = {BaseModel}
    name = text.removeprefix("<class '").removesuffix("'>")
    names = {name.split(".", dots)[-1] for dots in range(name.count(".") + 1)}
    while level:
        alike = [model for model in level if _qualname(model) in names]  # a repr takes longer
        found += [ref(model) for model in alike if type.__repr__(model) == text]
        level = set(chain.from_iterable(map(type.__subclasses__, level)))
    return tuple(found)


def _loaded(text: str, name: str) -> Iterator[type]:
    """Yield the class that a loaded module holds under its qualified name, if it is one."""
    found = _held(name if "." in name else f"builtins.{name}")
    # Of another object the repr is code that may do anything: builtins.license opens files.
    if isinstance(found, type) and type.__repr__(found) == text:
        yield found


def _held(name: str) -> Any:
    """Return what the loaded modules hold under a qualified name; import and run nothing."""
    if name in sys.modules:
        return sys.modules[name]
    holder, _, last = name.rpartition(".")
    found = _held(holder) if holder else None
    return vars(found).get(last) if isinstance(found, ModuleType | type) else None


def _schema(model: Any) -> str | None:
    """Return a class's name and schema; None if it has no schema."""
    if not hasattr(model, "model_json_schema"):
        return None
    made_of = _made_of(model)
    known = _made.get(model)
    if known and known[0] == made_of:
        return known[1]
    # Not sorted: a model answers in the order of the fields.
    schema = f"<schema {model.__name__} {json.dumps(model.model_json_schema())}>"
    if made_of:
        _made[model] = made_of, schema
    return schema


_made: WeakKeyDictionary[type, tuple[str, str]] = WeakKeyDictionary()
"""Of each live class: what its schema was made of, and the schema. A few kilobytes each."""


def _made_of(model: Any) -> str | None:
    """Return all that pydantic makes a schema of; None if code of another has a say in it."""
    core = vars(model).get("__pydantic_core_schema__")
    parts = [*_parts(core), model.model_json_schema]
    classes = dict.fromkeys(part for part in parts if isinstance(part, type))
    told = [(each.__name__, each.__doc__, getattr(each, "model_config", None)) for each in classes]
    code = [part for part in (*parts, *_parts(told)) if not isinstance(part, type)]
    own = all(str(part.__module__).partition(".")[0] in _PYDANTIC for part in code)
    return repr((core, told)) if own and isinstance(core, dict) else None


_PYDANTIC = ("pydantic", "pydantic_core")


def _parts(node: Any, name: object = "") -> Iterator[Any]:
    """Yield the classes in a core schema, and the code, but for what makes or checks values."""
    if isinstance(node, dict):
        for inner, part in node.items():
            yield from _parts(part, inner)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _parts(part)
    elif callable(node) and name not in ("function", "default_factory"):
        yield node
