"""A class in a model's settings enters the key by its schema, or the call has no key."""

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import GenericAlias, ModuleType
from typing import Any, Generic, Literal, Optional, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import GenerateJsonSchema
from tests.unit.langchain.llm_strings import of_call, of_model
from typing_extensions import TypedDict

from llm_cache._errors import Uncacheable
from llm_cache._langchain.settings_key import settings_key
from llm_cache._reasons import Reason

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _no_class_of_another_test() -> Iterator[None]:
    """Collect a test's classes after it: a dead class counts until it is collected."""
    yield
    gc.collect()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loaded = ModuleType("jokes_of_a_test")
    monkeypatch.setitem(sys.modules, loaded.__name__, loaded)
    return loaded


def key(bound: object, *, salted: bool = False) -> str:
    """Return the settings of a call to which a class is bound, as ChatOpenAI binds it."""
    return settings_key(of_call(response_format=bound), salted=salted)


def uncacheable(bound: object) -> str:
    with pytest.raises(Uncacheable) as raised:
        key(bound)
    assert raised.value.reason is Reason.AMBIGUOUS_SCHEMA
    message = str(raised.value)
    assert all(word in message for word in ("CachePolicy(salt=…)", "CachePolicy(key=…)", "schema"))
    return message


def form(**fields: Any) -> type[BaseModel]:
    return create_model("Form", **fields)


def local(name: type = str, description: str | None = None) -> type[BaseModel]:
    kind = name

    class Form(BaseModel):
        name: kind = Field(description=description)  # type: ignore[valid-type]

    return Form


makers = pytest.mark.parametrize("make", [form, local])


class Joke(BaseModel):
    setup: str


class Box(BaseModel, Generic[T]):
    item: T


class Refusing(BaseModel):
    @classmethod
    def model_json_schema(cls, *_: Any, **_options: Any) -> dict[str, Any]:
        raise RuntimeError("no schema")


# One schema for a name.


def test_class_enters_by_its_name_and_schema(module: ModuleType) -> None:
    found = key(create_model("Joke", __module__=module.__name__, setup=str))
    assert '<schema Joke {"properties": {"setup": {"title": "Setup", "type": "string"}}' in found
    assert module.__name__ not in found


@makers
def test_class_made_again_with_the_same_schema_has_the_same_key(make: Any) -> None:
    keys = {key(make(name=str)) for _ in range(3)}
    older, newer = make(name=str), make(name=str)
    assert repr(older) == repr(newer)
    assert keys == {key(older)} == {key(newer)}


OPTIONAL = (str, "")  # a list of required fields would show the order too
TITLE = ConfigDict(title="T")
CLASSES: dict[str, tuple[int, list[Callable[[], type]]]] = {
    "type": (2, [lambda: form(name=str), lambda: form(name=int)]),
    "field": (2, [lambda: form(name=str), lambda: form(name=str, age=int)]),
    "description": (2, [lambda: local(description=None), lambda: local(description="d")]),
    "order": (2, [lambda: form(a=OPTIONAL, b=OPTIONAL), lambda: form(b=OPTIONAL, a=OPTIONAL)]),
    "name": (
        2,
        [
            lambda: create_model("One", __config__=TITLE, a=int),
            lambda: create_model("Other", __config__=TITLE, a=int),
        ],
    ),
    "module": (
        1,
        [
            lambda: create_model("Form", __module__="one.of", a=int),
            lambda: create_model("Form", __module__="other", a=int),
        ],
    ),
}


@pytest.mark.parametrize(("count", "makers"), CLASSES.values(), ids=CLASSES)
def test_key_depends_on_the_schema_and_the_name_alone(
    count: int, makers: list[Callable[[], type]]
) -> None:
    keys = set()
    for make in makers:
        keys.add(key(make()))
        gc.collect()
    assert len(keys) == count


def test_class_of_a_pydantic_generic_enters_by_its_schema() -> None:
    keys = {key(Box[int]), key(Box[str]), key(Box[Literal["it's"]]), key(Box[Literal["a"]])}
    assert len(keys) == 4
    assert all("<schema Box" in each for each in keys)


# Classes within other settings.


@pytest.mark.parametrize(
    "wrap",
    [
        lambda made: of_call(x=GenericAlias(list, (made,))),
        lambda made: of_call(x=made | None),
        lambda made: of_call(x=GenericAlias(dict, (str, made))),
        lambda made: of_call(x={"schema": made, "strict": True}),
        lambda made: of_call(x=[{"type": "function", "args_schema": [made]}]),
        lambda made: of_call(x=(made, 1)),
        lambda made: of_model(x={"y": [{"lc": 1, "type": "not_implemented", "repr": repr(made)}]}),
        lambda made: f"[('a', <it's>), ('b', {made!r})]",  # an unknown format
    ],
    ids=["list", "union", "dict", "field", "tool", "tuple", "model", "unknown format"],
)
@makers
def test_class_within_other_settings_enters_by_its_schema(wrap: Any, make: Any) -> None:
    one = make(name=str)
    before = settings_key(wrap(one))
    assert '<schema Form {"properties"' in before
    del one
    gc.collect()
    other = make(name=int)
    assert settings_key(wrap(other)) != before
    third = make(name=str)
    with pytest.raises(Uncacheable):
        settings_key(wrap(third))


def test_class_within_an_alias_of_typing_enters_by_its_schema() -> None:
    kept: Any = create_model("Kept", name=str)  # typing keeps it: other tests use another name
    assert '<schema Kept {"properties"' in key(Optional.__getitem__(kept))


# Several schemas for a name, or none.


@makers
def test_live_classes_of_one_name_with_two_schemas_are_uncacheable(make: Any) -> None:
    one = make(name=str)
    key(one)
    other = make(name=int)
    for each in (one, other):
        assert f"{each.__module__}.{each.__qualname__}" in uncacheable(each)
        assert "2 live classes" in uncacheable(each)


def test_class_is_cacheable_again_after_its_namesake_is_collected() -> None:
    one, other = form(name=str), form(name=int)
    uncacheable(one)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
    assert "<schema Form" in key(one)


def test_namesake_in_a_module_makes_a_class_uncacheable(module: ModuleType) -> None:
    vars(module)["Joke"] = type("Joke", (), {"__module__": module.__name__})
    uncacheable(create_model("Joke", __module__=module.__name__, setup=str))


def test_namesake_of_another_base_class_makes_a_class_uncacheable() -> None:
    class Base(BaseModel): ...

    class Deeper(Base): ...

    one = form(name=str)
    key(one)
    other = create_model("Form", __base__=(Deeper, Joke), name=int)
    assert repr(other) == repr(one)
    uncacheable(one)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (lambda: repr(local()), "no live class"),
        (lambda: repr(Refusing), "RuntimeError"),
        (lambda: "list[m.f.<locals>.Form]", "no live class"),
        (lambda: "<class 'no.Such'>", "no live class"),
        (lambda: "<class 'b.C'>, it's", "no live class"),
    ],
    ids=["collected", "raises", "unknown local", "unknown", "unknown format"],
)
def test_class_without_a_known_schema_is_uncacheable(text: Any, why: str) -> None:
    llm_string = f"[('f', {text()})]"
    gc.collect()
    with pytest.raises(Uncacheable, match=why):
        settings_key(llm_string)


def test_class_with_a_field_of_an_unknown_type_is_uncacheable() -> None:
    assert "cannot be made (PydanticUserError)" in uncacheable(form(name="Later"))


def test_ambiguous_class_enters_by_its_name_where_a_salt_is_set() -> None:
    one, other = form(name=str), form(name=int)
    assert key(one, salted=True) == key(other, salted=True)
    assert key(one, salted=True).endswith(f"{one.__module__}.Form")


# Classes without a schema.


Plain = type("Plain", (), {"__module__": __name__})
Typed = TypedDict("Typed", {"name": str})  # noqa: UP013
Color = Enum("Color", ["RED"])


@dataclass
class Data:
    name: str


def test_class_without_a_schema_enters_by_its_name() -> None:
    plain = [Plain, Typed, Data, Color, str, int, type(None), dict[str, int]]
    keys = {key(each) for each in (*plain, Joke)}
    assert len(keys) == len(plain) + 1
    assert all(getattr(each, "__name__", "dict") in key(each) for each in plain)


def test_unknown_class_name_is_unchanged() -> None:
    assert settings_key("[('f', math.inf), ('g', no.such)]").endswith("\nmath.inf\nno.such")


def test_alias_of_a_class_is_not_read_as_the_class(module: ModuleType) -> None:
    vars(module)["Alias"] = Joke
    with pytest.raises(Uncacheable):
        settings_key("[('format', <class 'jokes_of_a_test.Alias'>)]")


def test_repr_of_an_object_other_than_a_class_is_never_called(module: ModuleType) -> None:
    called = []

    class Speaks:
        def __repr__(self) -> str:
            called.append(self)
            return "anything"

    vars(module)["speaks"] = Speaks()
    with pytest.raises(Uncacheable):
        settings_key(f"[('f', <class '{module.__name__}.speaks'>)]")
    assert called == []


# Schemas that the process keeps.

CITIES = ["Rome"]


def extra(schema: dict[str, Any]) -> None:
    schema["enum"] = list(CITIES)


class OwnSchema(BaseModel):
    """A class whose own code makes the schema."""

    name: str

    @classmethod
    def model_json_schema(cls, *_: Any, **_options: Any) -> dict[str, Any]:
        return {"enum": CITIES}


ExtraOfModel = create_model("ExtraOfModel", __config__=ConfigDict(json_schema_extra=extra))
ExtraOfField = create_model("ExtraOfField", name=(str, Field(json_schema_extra=extra)))
Nested = create_model("Nested", inner=ExtraOfModel)


@pytest.mark.parametrize("made", [OwnSchema, ExtraOfModel, ExtraOfField, Nested])
def test_schema_made_by_user_code_is_made_each_time(
    made: type[BaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(made)
    assert key(made) == before
    monkeypatch.setitem(globals(), "CITIES", ["Rome", "Oslo"])
    assert key(made) != before


def describe(made: Any) -> None:
    made.model_fields["to"].description = "after"
    made.model_rebuild(force=True)


CHANGES: dict[str, Callable[[Any], object]] = {
    "docstring": lambda made: setattr(made, "__doc__", "A journey."),
    "docstring within": lambda made: setattr(made.model_fields["to"].annotation, "__doc__", "T"),
    "configuration": lambda made: made.model_config.update(title="A journey"),
    "rebuilt": describe,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_class_has_another_key(change: Callable[[Any], object]) -> None:
    trip = create_model("Trip", to=create_model("Town", __doc__="A town.", name=str))
    before = key(trip)
    change(trip)
    assert key(trip) != before


def test_schema_is_made_once_for_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    generate = GenerateJsonSchema.generate

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        made.append(self)
        return generate(self, *args, **kwargs)

    monkeypatch.setattr(GenerateJsonSchema, "generate", counted)
    first = form(name=(str, "x"))
    keys = [key(first), key(first)]
    del first
    gc.collect()
    keys.append(key(form(name=(int, 1))))
    assert (keys[0] == keys[1], keys[1] == keys[2], len(made)) == (True, False, 2)


def test_kept_schema_does_not_keep_its_class() -> None:
    made: Any = local()
    key(made)
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
