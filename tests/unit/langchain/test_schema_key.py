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
from langchain_core.language_models import FakeListChatModel
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from llm_cache._errors import Uncacheable
from llm_cache._langchain.settings_key import settings_key
from llm_cache._reasons import Reason

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _no_class_of_another_test() -> Iterator[None]:
    """Collect the classes of a test after it: a class that is dead, but not collected, counts."""
    yield
    gc.collect()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loaded = ModuleType("jokes_of_a_test")
    monkeypatch.setitem(sys.modules, loaded.__name__, loaded)
    return loaded


def key(bound: object, *, salted: bool = False) -> str:
    """Return the settings of a call to which ``bound`` is bound, as ChatOpenAI binds a class."""
    model = FakeListChatModel(responses=["a"])
    return settings_key(model._get_llm_string(response_format=bound), salted=salted)


def form(**fields: Any) -> type[BaseModel]:
    return create_model("Form", **fields)


def local(kind: type = str, description: str | None = None) -> type[BaseModel]:
    class Form(BaseModel):
        name: kind = Field(description=description)  # type: ignore[valid-type]

    return Form


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


class Dynamic(BaseModel):
    """A form whose schema is made by code of its own."""

    name: str

    @classmethod
    def model_json_schema(cls, *_: Any, **_options: Any) -> dict[str, Any]:
        return {"enum": CITIES}


CITIES = ["Rome"]


def extra(schema: dict[str, Any]) -> None:
    schema["enum"] = list(CITIES)


# One schema for the name.


def test_class_enters_by_its_name_and_schema(module: ModuleType) -> None:
    made = create_model("Joke", __module__=module.__name__, setup=str)
    found = key(made)
    assert "'title'" not in found
    assert '<schema Joke {"properties": {"setup": {"title": "Setup", "type": "string"}}' in found
    assert module.__name__ not in found


@pytest.mark.parametrize("make", [form, lambda **_: local()], ids=["create_model", "function"])
def test_class_made_anew_with_the_same_schema_shares_the_key(make: Any) -> None:
    keys = {key(make(name=str)) for _ in range(3)}
    older, newer = make(name=str), make(name=str)
    assert repr(older) == repr(newer)
    assert keys == {key(older)} == {key(newer)}


@pytest.mark.parametrize(
    "changed",
    [{"name": int}, {"name": str, "age": int}, {"name": (str, Field(description="d"))}],
    ids=["type", "field", "description"],
)
def test_changed_schema_changes_the_key(changed: dict[str, Any]) -> None:
    before = key(form(name=str))
    gc.collect()
    assert key(form(**changed)) != before


def test_order_of_fields_changes_the_key() -> None:
    optional = (str, "")  # or the list of required fields tells the order too
    before = key(form(a=optional, b=optional))
    gc.collect()
    assert key(form(b=optional, a=optional)) != before


def test_class_in_two_modules_shares_the_key() -> None:
    keys = {key(create_model("Form", __module__=name, a=int)) for name in ("one.of", "other")}
    assert len(keys) == 1


def test_classes_of_two_names_with_one_schema_differ() -> None:
    config = ConfigDict(title="T")
    keys = {key(create_model(name, __config__=config, a=int)) for name in ("One", "Other")}
    assert len(keys) == 2


def test_class_of_a_pydantic_generic_enters_by_its_schema() -> None:
    keys = {key(Box[int]), key(Box[str]), key(Box[Literal["it's"]]), key(Box[Literal["a"]])}
    assert len(keys) == 4
    assert all("<schema Box" in each for each in keys)


# Where classes stand.


@pytest.mark.parametrize(
    "wrap",
    [
        lambda made: GenericAlias(list, (made,)),
        lambda made: made | None,
        lambda made: GenericAlias(dict, (str, made)),
        lambda made: {"schema": made, "strict": True},
        lambda made: [{"type": "function", "args_schema": [made]}],
        lambda made: (made, 1),
    ],
    ids=range(6),
)
@pytest.mark.parametrize("make", [lambda kind: form(name=kind), local], ids=["create_model", "f"])
def test_class_within_other_settings_enters_by_its_schema(wrap: Any, make: Any) -> None:
    one = make(str)
    assert '<schema Form {"properties"' in (before := key(wrap(one)))
    del one
    gc.collect()
    other = make(int)
    assert key(wrap(other)) != before
    third = make(str)
    with pytest.raises(Uncacheable):
        key(wrap(third))


def test_class_within_an_alias_of_typing_enters_by_its_schema() -> None:
    kept: Any = create_model("Kept", name=str)  # by typing: another name than that of other tests
    assert '<schema Kept {"properties"' in key(Optional.__getitem__(kept))


def serialised(repr_: str) -> str:
    node = f'{{"lc": 1, "type": "not_implemented", "id": ["m"], "repr": "{repr_}"}}'
    model = '{"lc": 1, "type": "constructor", "id": ["m"], "kwargs": {"x": {"y": [%s]}}}'
    return f"{model % node}---[('stop', None)]"


def test_class_that_a_model_holds_enters_by_its_schema() -> None:
    one = form(name=str)
    before = settings_key(serialised(repr(one)))
    del one
    gc.collect()
    other = form(name=int)
    assert settings_key(serialised(repr(other))) != before


def test_class_in_settings_that_are_not_clear_enters_by_its_schema() -> None:
    one = form(name=str)
    before = settings_key(f"[('a', <it's>), ('b', {one!r})]")
    del one
    gc.collect()
    other = form(name=int)
    assert settings_key(f"[('a', <it's>), ('b', {other!r})]") != before
    with pytest.raises(Uncacheable):
        settings_key("[('timeout', 3), ('a', <class 'b.C'>")


def test_class_in_a_text_is_text() -> None:
    text = f"[('system', \"{Joke!r} and <class 'no.Such'>\"), ('x', 'list[no.<locals>.Such]')]"
    assert settings_key(text) == text


# Several schemas for the name, or none.


def uncacheable(bound: object) -> str:
    with pytest.raises(Uncacheable) as raised:
        key(bound)
    assert raised.value.reason is Reason.AMBIGUOUS_SCHEMA
    message = str(raised.value)
    assert all(word in message for word in ("CachePolicy(salt=…)", "CachePolicy(key=…)", "schema"))
    return message


@pytest.mark.parametrize("make", [lambda kind: form(name=kind), local], ids=["create_model", "f"])
def test_live_classes_of_one_name_with_two_schemas_are_uncacheable(make: Any) -> None:
    one = make(str)
    key(one)
    other = make(int)
    for each in (one, other):
        assert f"{each.__module__}.{each.__qualname__}" in uncacheable(each)
        assert "2 live classes" in uncacheable(each)


def test_class_is_cacheable_again_when_its_namesake_is_gone() -> None:
    one, other = form(name=str), form(name=int)
    uncacheable(one)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
    assert "<schema Form" in key(one)


def test_namesake_that_a_module_holds_counts(module: ModuleType) -> None:
    vars(module)["Joke"] = type("Joke", (), {"__module__": module.__name__})
    uncacheable(create_model("Joke", __module__=module.__name__, setup=str))


def test_namesake_of_another_base_class_counts() -> None:
    class Base(BaseModel): ...

    class Deeper(Base): ...

    one = form(name=str)
    key(one)
    other = create_model("Form", __base__=(Deeper, Joke), name=int)
    assert repr(other) == repr(one)
    uncacheable(one)


@pytest.mark.parametrize("schema", [local, Refusing], ids=["gone", "raises"])
def test_class_whose_schema_is_not_found_is_uncacheable(schema: Any) -> None:
    text = repr(local()) if schema is local else repr(Refusing)
    gc.collect()
    with pytest.raises(Uncacheable, match=r"no live class|RuntimeError"):
        settings_key(f"[('f', {text})]")


@pytest.mark.parametrize("text", ["list[m.f.<locals>.Form]", "<class 'no.Such'>"])
def test_class_that_is_not_known_is_uncacheable(text: str) -> None:
    with pytest.raises(Uncacheable, match="no live class"):
        settings_key(f"[('f', {text})]")


def test_class_with_a_field_of_an_unknown_type_is_uncacheable() -> None:
    assert "cannot be made (PydanticUserError)" in uncacheable(form(name="Later"))


def test_salt_lets_an_ambiguous_class_enter_by_its_name() -> None:
    one, other = form(name=str), form(name=int)
    assert key(one, salted=True) == key(other, salted=True)
    assert key(one, salted=True).endswith(f"{one.__module__}.Form")


# Classes that have no schema.


@pytest.mark.parametrize("plain", [Plain, Typed, Data, Color, str, type(None), dict[str, int]])
def test_class_without_a_schema_enters_by_its_name(plain: Any) -> None:
    assert getattr(plain, "__name__", "dict") in key(plain)
    assert key(plain) != key(Joke)


def test_plain_classes_of_two_names_differ() -> None:
    assert len({key(each) for each in (Plain, Typed, Data, Color, str, int)}) == 6


def test_name_that_is_no_class_stays_as_it_is() -> None:
    assert settings_key("[('f', math.inf), ('g', no.such)]").endswith("\nmath.inf\nno.such")


def test_alias_of_a_class_is_not_taken_for_it(module: ModuleType) -> None:
    vars(module)["Alias"] = Joke
    with pytest.raises(Uncacheable):
        settings_key("[('format', <class 'jokes_of_a_test.Alias'>)]")


def test_nothing_but_a_class_is_asked_for_its_text(module: ModuleType) -> None:
    asked = []

    class Speaks:
        def __repr__(self) -> str:
            asked.append(self)
            return "anything"

    vars(module)["speaks"] = Speaks()
    with pytest.raises(Uncacheable):
        settings_key(f"[('f', <class '{module.__name__}.speaks'>)]")
    assert asked == []


# What is kept between two calls.


class Town(BaseModel):
    """A town."""

    name: str = Field(description="d")


class Trip(BaseModel):
    model_config = ConfigDict()
    to: Town


class Asking(BaseModel):
    model_config = ConfigDict(json_schema_extra=extra)


class AskingInAField(BaseModel):
    name: str = Field(json_schema_extra=extra)


class Nests(BaseModel):
    inner: Asking


@pytest.mark.parametrize("made", [Dynamic, Asking, AskingInAField, Nests])
def test_schema_made_by_code_of_its_own_is_made_each_time(
    made: type[BaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(made)
    assert key(made) == before
    monkeypatch.setitem(globals(), "CITIES", ["Rome", "Oslo"])
    assert key(made) != before


def test_docstring_that_changes_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(Trip), key(Town)
    monkeypatch.setattr(Town, "__doc__", "A city.")
    assert (key(Trip) != before[0], key(Town) != before[1]) == (True, True)


def test_setting_of_a_class_that_changes_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(Trip)
    monkeypatch.setitem(Trip.model_config, "title", "A journey")
    assert key(Trip) != before


def test_class_that_is_rebuilt_has_its_new_schema() -> None:
    made = local(description="before")
    before = key(made)
    made.model_fields["name"].description = "after"
    made.model_rebuild(force=True)
    assert key(made) != before


def test_schema_of_a_class_is_made_once_and_of_its_namesake_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


def test_schema_that_is_kept_does_not_keep_the_class() -> None:
    made: Any = local()
    key(made)
    key(made)
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
