"""Invalid settings of the functions are refused by the variable's name."""

from collections.abc import Callable

import pytest

import answer
import document
import identity
import middleware
import summary_ttl
from bedrock import model_settings
from llm_cache import InvalidSettings

MISSING = (None, "", " ")
SECONDS, NUMBERS = ("soon", "-1", "nan"), ("much", "0", "-1", "1.5")
SHARING = ("everyone", "ALL", "account,all", "true", "1")
PREFIXES = ("prod", "/prod/", "/", "//", "/a b", "/é", "/a?b", "/a//b")
ORIGINS = ("app.example", "https://a/", "*,https://a", "https://a b", "null")
INVALID: list[tuple[str, tuple[str | None, ...], Callable[[], object]]] = [
    ("STALE_IF_ERROR", SECONDS, answer.default_policy),
    ("SUMMARY_TTL_IMMUTABLE", SECONDS, summary_ttl.summary_ttls),
    ("SUMMARY_TTL_MUTABLE", SECONDS, summary_ttl.summary_ttls),
    ("SUMMARY_MAX_BYTES", NUMBERS, document.max_bytes),
    ("MODEL_MAX_TOKENS", (*MISSING, *NUMBERS), model_settings.max_tokens),
    ("MODEL_ID", MISSING, model_settings.model_id),
    ("SHARE_ANSWERS", SHARING, identity.sharing),
    ("PATH_PREFIX", PREFIXES, middleware.prefix),
    ("CORS_ORIGINS", ORIGINS, middleware.origins),
]


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [(variable, value, read) for variable, values, read in INVALID for value in values],
)
def test_invalid_value_is_refused_at_start_up(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None, read: Callable[[], object]
) -> None:
    if value is None:
        monkeypatch.delenv(variable, raising=False)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettings, match=f"^{variable}=") as raised:
        getattr(read, "__wrapped__", read)()  # without its cache
    assert raised.value.value == ((value or "").strip() or None)
