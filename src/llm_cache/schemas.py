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
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from pydantic import BaseModel

from llm_cache.errors import Uncacheable
from llm_cache.reason import Reason

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


@lru_cache(maxsize=64)
def _walked(text: str, _births: tuple[int, int]) -> tuple[ref[type], ...]:
    found: list[ref[type]] = []
    level: set[type] = {BaseModel}
    while level:
        found += [ref(model) for model in level if type.__repr__(model) == text]
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


class _Made(NamedTuple):
    """A schema that was made, and what must be the same for it to be made again."""

    built: ref[Any]
    classes: tuple[ref[type], ...]
    told: str
    schema: str

    def holds(self, model: type) -> bool:
        """Whether pydantic has not rebuilt the model, and no docstring or setting has changed."""
        return self.built() is vars(model).get("__signature__") and self.told == _told(self.classes)


_made: WeakKeyDictionary[type, _Made] = WeakKeyDictionary()


def _schema(model: Any) -> str | None:
    """Return a class's name and schema; None if it has no schema."""
    if not hasattr(model, "model_json_schema"):
        return None
    known = _made.get(model)
    if known and known.holds(model):
        return known.schema
    # Not sorted: a model answers in the order of the fields.
    schema = f"<schema {model.__name__} {json.dumps(model.model_json_schema())}>"
    _remember(model, schema)
    return schema


def _remember(model: Any, schema: str) -> None:
    """Keep a schema, if nothing but pydantic's own code has a say in it."""
    core, built = (vars(model).get(f"__{name}__") for name in ("pydantic_core_schema", "signature"))
    parts = [*_parts(core), model.model_json_schema]
    classes = [part for part in parts if isinstance(part, type)]
    parts += chain.from_iterable(_parts(getattr(each, "model_config", {})) for each in classes)
    code = [str(part.__module__) for part in parts if not isinstance(part, type)]
    fixed = all(name.partition(".")[0] in ("pydantic", "pydantic_core") for name in code)
    if fixed and built is not None and isinstance(core, dict):
        weak = tuple(map(ref, classes))
        _made[model] = _Made(ref(built), weak, _told(weak), schema)


def _parts(node: Any, name: object = "") -> Iterator[Any]:
    """Yield the classes in a core schema, and the code, but for validators and serializers."""
    if isinstance(node, dict):
        for inner, part in node.items():
            yield from _parts(part, inner)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _parts(part)
    elif callable(node) and name not in ("function", "default_factory"):
        yield node


def _told(classes: tuple[ref[type], ...]) -> str:
    models = [known() for known in classes]
    return repr([(each.__doc__, getattr(each, "model_config", None)) for each in models if each])
