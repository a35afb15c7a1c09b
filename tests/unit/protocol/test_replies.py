import math
from typing import Any

import pytest

from llm_cache import StoreGarbled
from llm_cache._protocol.commands import done, number, page, texts


def test_what_redis_replies_is_taken() -> None:
    ok: Any = True
    done(ok)
    done("OK")
    assert number(0) == 0
    assert texts(["a", None], 2) == ["a", None]
    assert page([0, []]) == ("0", [])
    assert page(("7", ["a", "b"])) == ("7", ["a", "b"])


@pytest.mark.parametrize("reply", [None, False, "", "PONG", 1, [], {"a": 1}])
def test_no_ok_is_no_answer(reply: Any) -> None:
    with pytest.raises(StoreGarbled):
        done(reply)


@pytest.mark.parametrize("reply", [None, True, "1", 1.5, math.nan, [1]])
def test_what_is_no_number_is_no_answer(reply: Any) -> None:
    with pytest.raises(StoreGarbled):
        number(reply)


@pytest.mark.parametrize("reply", [None, "ab", [], ["a"], ["a", "b", "c"], ["a", 1], [["a"], "b"]])
def test_other_values_than_were_asked_for_are_no_answer(reply: Any) -> None:
    with pytest.raises(StoreGarbled):
        texts(reply, 2)


@pytest.mark.parametrize(
    "reply", [None, [], ["0"], ["0", None], ["0", "ab"], [None, []], ["0", [1]], ["0", [], []]]
)
def test_what_is_no_page_is_no_answer(reply: Any) -> None:
    with pytest.raises(StoreGarbled):
        page(reply)
