import pytest
from tests.unit.protocol.operations import ENTRY_KEY, HASHED, KEYS, entry, request

from llm_cache import Signing, UnreadableEntry
from llm_cache._engine.lookup_state import LookupState
from llm_cache._engine.writer import NewEntry
from llm_cache._entries.envelope import metadata
from llm_cache._entries.keys import keyed_hash
from llm_cache._entries.opening import OPENING
from llm_cache._protocol.leases import TakeReply

SIGNING = Signing("A" * 43 + "=")
FIELDS = metadata(1000.0, 60, "greeting")


def test_request_names_its_entry_its_tenant_and_its_tags() -> None:
    assert request().key == ENTRY_KEY
    assert request(tags=["red"], tenant="42").tags == KEYS.tags(["red"], "42")


@pytest.mark.parametrize(
    "value",
    [
        request(tags=["red"], key="red")._replace(identity=(0, "", ("red",))),
        TakeReply(1, ("e1",), "red"),
        LookupState(("e1",), "3:red"),
        NewEntry(60, "red"),
    ],
)
def test_repr_shows_no_tag_and_no_entry(value: object) -> None:
    assert type(value).__name__ in repr(value)
    assert "red" not in repr(value)


def test_request_without_protection_is_unchanged() -> None:
    plain = request()
    assert plain.protected(None) is plain
    assert plain.encode(FIELDS, ['"hi"']) in entry(age=0, asked=HASHED)


def test_protected_request_keys_its_names_and_signs_its_entry() -> None:
    signed = request(tags=["red"]).protected(SIGNING)
    assert signed.hashed == keyed_hash(HASHED, SIGNING.name_secret)
    assert signed.tags == KEYS.with_secret(SIGNING.name_secret).tags(["red"], None)
    text = OPENING + "e1" + signed.encode(FIELDS, ['"hi"'])
    assert signed.decode(text).answer == ("hi",)
    with pytest.raises(UnreadableEntry):
        signed.decode(text.replace("hi", "ho"))
    with pytest.raises(UnreadableEntry):
        signed._replace(hashed="b" * 64).decode(text)


@pytest.mark.parametrize("text", [entry(asked="b" * 64), entry(codec="another")])
def test_entry_of_another_request_or_codec_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableEntry, match="another request, or of another codec"):
        request().decode(text)
