"""A class in a model's settings enters the key by its schema, or the call has no key."""

import gc
import sys
import weakref
from collections.abc import Iterator
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


class Plain: ...


class Typed(TypedDict):
    name: str


@dataclass
class Data:
    name: str


class Color(Enum):
    RED = "red"


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"name": str}, {"name": int}),
        ({"name": str}, {"name": str, "age": int}),
        ({"name": str}, {"name": (str, Field(description="d"))}),
        ({"a": OPTIONAL, "b": OPTIONAL}, {"b": OPTIONAL, "a": OPTIONAL}),
    ],
    ids=["type", "field", "description", "order of fields"],
)
def test_changed_schema_changes_the_key(before: dict[str, Any], after: dict[str, Any]) -> None:
    first = key(form(**before))
    gc.collect()
    assert key(form(**after)) != first


def test_class_in_two_modules_has_one_key() -> None:
    keys = {key(create_model("Form", __module__=name, a=int)) for name in ("one.of", "other")}
    assert len(keys) == 1


def test_classes_of_two_names_with_one_schema_have_two_keys() -> None:
    config = ConfigDict(title="T")
    keys = {key(create_model(name, __config__=config, a=int)) for name in ("One", "Other")}
    assert len(keys) == 2


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
        (lambda: repr(form(name="Later")), "no live class"),
        (lambda: "list[m.f.<locals>.Form]", "no live class"),
        (lambda: "<class 'no.Such'>", "no live class"),
        (lambda: "<class 'b.C'>, it's", "no live class"),
    ],
    ids=["collected", "raises", "collected too", "unknown local", "unknown", "unknown format"],
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


def test_class_without_a_schema_enters_by_its_name() -> None:
    plain = [Plain, Typed, Data, Color, str, int, type(None), dict[str, int]]
    keys = {key(each) for each in (*plain, Joke)}
    assert len(keys) == len(plain) + 1
    assert all(getattr(each, "__name__", "dict") in key(each) for each in plain)


def test_name_of_no_class_stays_as_it_is() -> None:
    assert settings_key("[('f', math.inf), ('g', no.such)]").endswith("\nmath.inf\nno.such")


def test_alias_of_a_class_is_not_read_as_the_class(module: ModuleType) -> None:
    vars(module)["Alias"] = Joke
    with pytest.raises(Uncacheable):
        settings_key("[('format', <class 'jokes_of_a_test.Alias'>)]")


def test_repr_of_an_object_that_is_no_class_is_never_called(module: ModuleType) -> None:
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


class ExtraOfModel(BaseModel):
    model_config = ConfigDict(json_schema_extra=extra)


class ExtraOfField(BaseModel):
    name: str = Field(json_schema_extra=extra)


class Nested(BaseModel):
    inner: ExtraOfModel


class Town(BaseModel):
    """A town."""

    name: str = Field(description="d")


class Trip(BaseModel):
    model_config = ConfigDict()
    to: Town


@pytest.mark.parametrize("made", [OwnSchema, ExtraOfModel, ExtraOfField, Nested])
def test_schema_made_by_user_code_is_made_each_time(
    made: type[BaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(made)
    assert key(made) == before
    monkeypatch.setitem(globals(), "CITIES", ["Rome", "Oslo"])
    assert key(made) != before


def test_changed_docstring_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(Trip), key(Town)
    monkeypatch.setattr(Town, "__doc__", "A city.")
    assert (key(Trip) != before[0], key(Town) != before[1]) == (True, True)


def test_changed_configuration_of_a_class_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(Trip)
    monkeypatch.setitem(Trip.model_config, "title", "A journey")
    assert key(Trip) != before


def test_rebuilt_class_has_its_new_schema() -> None:
    made = local(description="before")
    before = key(made)
    made.model_fields["name"].description = "after"
    made.model_rebuild(force=True)
    assert key(made) != before


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
