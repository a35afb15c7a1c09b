"""Structured output that the integration parsed is stored as the fields of its object."""

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    computed_field,
    create_model,
    field_validator,
)

from llm_cache._entries.envelope import Entry
from llm_cache._langchain.codec import read, serialize

NOT_STORED = object()


def restored(parsed: Any, content: str = "") -> Any:
    """Return the restored form of a parsed object."""
    message = AIMessage(content, additional_kwargs={"parsed": parsed, "refusal": None})
    texts = serialize([ChatGeneration(message=message)])
    assert message.additional_kwargs["parsed"] is parsed
    if texts is None:
        return NOT_STORED
    (found,) = read(Entry({"": "e"}, 0.0, 1, tuple(json.loads(text) for text in texts)))
    assert isinstance(found, ChatGeneration)
    assert found.message.additional_kwargs.keys() == {"parsed", "refusal"}
    return found.message.additional_kwargs["parsed"]


class Colour(Enum):
    RED = "red"


class Item(BaseModel):
    name: str
    price: Decimal
    colour: Colour = Colour.RED
    made: datetime = datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    marks: frozenset[int] = frozenset({1, 2})


class Order(BaseModel):
    id: uuid.UUID
    items: list[Item]
    raw: bytes = b"text"
    note: str | None = None


ByAlias = create_model("ByAlias", the_name=(str, Field(alias="theName")))
ByName = create_model("ByName", the_name=(str, Field(serialization_alias="theName")))


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.width**2


@pytest.mark.parametrize(
    "parsed",
    [
        Order(id=uuid.uuid4(), items=[Item(name="a \u00e9", price=Decimal("1.10"))]),
        ByAlias(theName="a"),
        ByName(the_name="a"),
        Strict(width=2),
    ],
    ids=lambda parsed: type(parsed).__name__,
)
def test_parsed_object_is_stored_as_a_dict_that_restores_it(parsed: BaseModel) -> None:
    fields = restored(parsed)
    assert type(fields) is dict
    assert type(parsed)(**fields) == parsed


class Grows(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def longer(cls, name: str) -> str:
        return name + "!"


class Fails(Grows):
    @field_validator("name", mode="before")
    @classmethod
    def fail(cls, _: Any) -> Any:
        raise AttributeError("no such thing")


class Private(BaseModel):
    _count: int = PrivateAttr(default=0)


class Remembers(BaseModel):
    name: str
    _made: str = PrivateAttr(default="")

    def model_post_init(self, _: Any, /) -> None:
        self._made = str(uuid.uuid4())


Secret = create_model("Secret", word=SecretStr)
Loose = create_model("Loose", value=(Any, ...))
Exact = create_model("Exact", __config__=ConfigDict(strict=True), made=datetime)
TwoNames = create_model("TwoNames", name=(str, Field(validation_alias=AliasChoices("a", "b"))))
Holder = create_model("Holder", held=list[Private], name=SecretStr)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Grows, '{"name": "a"}'),
        (Secret, '{"word": "s"}'),
        (TwoNames, '{"b": "x"}'),
        (Remembers, '{"name": "a"}'),
        (Holder, '{"held": [{}], "name": "a"}'),
    ],
)
def test_object_that_only_the_model_s_text_restores_is_stored_as_that_text(
    kind: type[BaseModel], content: str
) -> None:
    parsed = kind(**json.loads(content))
    fields = restored(parsed, content)
    assert fields == json.loads(content)
    assert kind(**fields).model_dump() == parsed.model_dump()


def test_private_attribute_is_not_stored() -> None:
    private = Private()
    private._count = 1
    assert restored(private) == {}


def test_text_that_makes_another_object_is_not_used() -> None:
    assert restored(ByName(the_name="a"), '{"the_name": "b"}') == {"the_name": "a"}
    assert restored(Grows(name="a"), '{"name": "b"}') is NOT_STORED
    assert restored(Grows(name="a"), "no JSON") is NOT_STORED


@pytest.mark.parametrize(
    "parsed",
    [
        Secret(word=SecretStr("s")),
        Loose(value=Item(name="a", price=Decimal(1))),
        Loose(value=(1, 2)),
        Loose(value=float("nan")),
        Loose(value=object()),
        Exact(made=datetime.now(tz=UTC)),
        Grows(name="a"),
        TwoNames(a="x"),
        Fails.model_construct(name="a"),
        object(),
    ],
    ids=lambda parsed: type(parsed).__name__,
)
def test_object_that_its_class_cannot_rebuild_is_not_stored(parsed: object) -> None:
    assert restored(parsed) is NOT_STORED


@pytest.mark.parametrize("parsed", [{"a": 1}, None, "text", [1]])
def test_parsed_json_is_stored_as_it_is(parsed: object) -> None:
    assert restored(parsed) == parsed
