from typing import Any

import pytest

from llm_cache import InvalidSettings
from llm_cache._config.value_checks import header_names, rest_token, rest_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" https://x.upstash.io/ \n", "https://x.upstash.io"),
        ("https://user:password@x.upstash.io", "https://x.upstash.io"),
        ("http://127.0.0.1:65535/db", "http://127.0.0.1:65535/db"),
    ],
)
def test_rest_url_is_returned_without_spaces_user_and_trailing_slash(text: str, url: str) -> None:
    assert rest_url("url", text) == url


@pytest.mark.parametrize("url", ["https://x:65536", "rediss://x", "x.upstash.io", "https://x y", 5])
def test_wrong_rest_url_is_refused_without_its_value(url: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"^url='…' is not accepted: the REST URL begins"):
        rest_url("url", url)


@pytest.mark.parametrize("token", ["a token", "a\ntoken", "tokén", " ", 5])
def test_wrong_token_is_refused_without_its_value(token: Any) -> None:
    assert rest_token("token", "\ttoken\r\n") == "token"
    with pytest.raises(InvalidSettings, match=r"^token='…' is not accepted: the REST token is"):
        rest_token("token", token)


def test_header_names_are_lower_case_and_have_no_colon() -> None:
    assert header_names("headers", ["X-Team", "a"]) == {"x-team", "a"}
    with pytest.raises(InvalidSettings, match=r"^headers=\['X:'\] .*a collection of header names"):
        header_names("headers", ["X:"])
