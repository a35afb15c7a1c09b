"""Key a class in a model's settings by its JSON schema.

LangChain writes only the name of a class into the settings. Classes made by ``create_model`` or
inside a function may share a name, and the fields behind a name may change. So the class is looked
up among the live pydantic models and in the loaded modules.
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


def schema_key(name: str, *, certain: bool = True, by_name: bool = False) -> str:
    """Return the key text of the class with a qualified name: its own name and JSON schema.

    Return ``name`` for a class without a schema, and for an unknown name unless it is ``certain``
    to be a class. Raise ``Uncacheable`` if the name does not identify one schema; ``by_name``
    returns the name instead.
    """
    text = f"<class '{name}'>"
    found = {*_live_models(text), *_loaded_class(text, name)}
    try:
        schemas = {_schema(model) or name for model in found}
        why = f"{len(schemas)} live classes of this name differ in their JSON schemas"
    except Exception as error:  # noqa: BLE001  user code may take part in making a schema
        schemas, why = set(), f"its JSON schema cannot be made ({type(error).__name__})"
    if len(schemas) == 1:
        return schemas.pop()
    if by_name or not (found or "<locals>" in name or (certain and "." in name)):
        return name
    raise Uncacheable(
        Reason.AMBIGUOUS_SCHEMA,
        f"the class {name} in the model's settings has no unambiguous JSON schema: "
        f"{why if found else 'no live class has this name'}. Pass a JSON schema instead of the "
        "class, or set CachePolicy(salt=…) or CachePolicy(key=…) for each schema",
    )


def _live_models(text: str) -> Iterator[type]:
    return (model for known in _find_models(text, _model_counts()) if (model := known()))


# Each live class with abstract bases, so each model, holds one reference to this internal type.
_ABC_DATA = type(vars(BaseModel)["_abc_impl"])


def _model_counts() -> tuple[int, int]:
    """Return a value that changes when a model is made. Costs a microsecond.

    Classes refer to themselves, so only garbage collection removes them. Until a collection has
    collected anything, the number of classes can only grow.
    """
    return sys.getrefcount(_ABC_DATA), sum(each["collected"] for each in gc.get_stats())


_qualname = vars(type)["__qualname__"].__get__


@lru_cache(maxsize=64)
def _find_models(text: str, _model_counts: tuple[int, int]) -> tuple[ref[type], ...]:
    found: list[ref[type]] = []
    level: set[type] = {BaseModel}
    name = text.removeprefix("<class '").removesuffix("'>")
    names = {name.split(".", dots)[-1] for dots in range(name.count(".") + 1)}
    while level:
        alike = [model for model in level if _qualname(model) in names]  # a repr takes longer
        found += [ref(model) for model in alike if type.__repr__(model) == text]
        level = set(chain.from_iterable(map(type.__subclasses__, level)))
    return tuple(found)


def _loaded_class(text: str, name: str) -> Iterator[type]:
    found = _loaded(name if "." in name else f"builtins.{name}")
    # The repr of any other object may run code: builtins.license opens files.
    if isinstance(found, type) and type.__repr__(found) == text:
        yield found


def _loaded(name: str) -> Any:
    """Return the object with a qualified name in the loaded modules; import and run nothing."""
    if name in sys.modules:
        return sys.modules[name]
    holder, _, last = name.rpartition(".")
    found = _loaded(holder) if holder else None
    return vars(found).get(last) if isinstance(found, ModuleType | type) else None


_schemas: WeakKeyDictionary[type, tuple[str, str]] = WeakKeyDictionary()
"""The inputs of each live class's schema, and the schema. A few kilobytes each."""


def _schema(model: Any) -> str | None:
    """Return a class's name and schema; None if it has no schema."""
    if not hasattr(model, "model_json_schema"):
        return None
    inputs = _schema_inputs(model)
    known = _schemas.get(model)
    if known and known[0] == inputs:
        return known[1]
    # Not sorted: a model answers in the order of the fields.
    schema = f"<schema {model.__name__} {json.dumps(model.model_json_schema())}>"
    if inputs:
        _schemas[model] = inputs, schema
    return schema


def _schema_inputs(model: Any) -> str | None:
    """Return all inputs of a schema; None if code outside pydantic takes part in making it."""
    core = vars(model).get("__pydantic_core_schema__")
    parts = [*_classes_and_code(core), model.model_json_schema]
    classes = dict.fromkeys(part for part in parts if isinstance(part, type))
    texts = [(each.__name__, each.__doc__, getattr(each, "model_config", None)) for each in classes]
    code = [part for part in (*parts, *_classes_and_code(texts)) if not isinstance(part, type)]
    known = all(str(part.__module__).partition(".")[0] in _PYDANTIC for part in code)
    return repr((core, texts)) if known and isinstance(core, dict) else None


_PYDANTIC = ("pydantic", "pydantic_core")


def _classes_and_code(node: Any, name: object = "") -> Iterator[Any]:
    """Yield the classes and callables in a core schema, except code that makes or checks values."""
    if isinstance(node, dict):
        for inner, part in node.items():
            yield from _classes_and_code(part, inner)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _classes_and_code(part)
    elif callable(node) and name not in ("function", "default_factory"):
        yield node
