"""The names in the template's environment are those that the code reads."""

from collections.abc import Iterator, Mapping

import pytest
from tests.template import loader

import object_name
import queues
from identity import VARIABLE, Sharing
from llm_cache import CacheMetrics, Settings

FUNCTIONS = loader.functions(loader.load())
NAMED = {"LLM_CACHE_URL_PARAMETER": "/url", "LLM_CACHE_TOKEN_PARAMETER": "/token"}


class Recording(Mapping[str, str]):
    """An environment that remembers what was looked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_, self.read = dict(values), set[str]()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_cache_variable_of_a_function_is_one_that_settings_read(function: str) -> None:
    given = loader.environment(FUNCTIONS[function])
    values = dict.fromkeys(given, "10") | {"LLM_CACHE_NAMESPACE": "stack"}
    environ = Recording(values)
    Settings.from_env(environ)
    CacheMetrics.from_env(environ)
    assert {name for name in given if name.startswith("LLM_CACHE_")} <= environ.read


def test_a_variable_that_settings_do_not_read_would_be_noticed() -> None:
    environ = Recording({**NAMED, "LLM_CACHE_NAMESPACE": "stack"})
    Settings.from_env(environ)
    assert "LLM_CACHE_TTL_FLOOR" in environ.read
    assert "LLM_CACHE_TTL_FLOR" not in environ.read


def test_the_least_that_the_template_allows_is_accepted() -> None:
    parameters = loader.load()["Parameters"]
    least = {
        f"LLM_CACHE_{name}": str(parameters[f"Cache{parameter}"]["MinValue"])
        for name, parameter in (
            ("TTL", "Ttl"),
            ("TTL_FLOOR", "TtlFloor"),
            ("TTL_CEILING", "TtlCeiling"),
        )
    }
    Settings.from_env({**NAMED, **least}, namespace="stack")


def test_the_template_allows_just_the_ways_of_sharing_that_there_are() -> None:
    allowed = loader.load()["Parameters"]["ShareAnswers"]
    assert allowed["AllowedValues"] == list(Sharing)
    assert allowed["Default"] == Sharing.NOBODY
    assert loader.environment(FUNCTIONS["AskFunction"])[VARIABLE] == {"Ref": "ShareAnswers"}


# Of others: the library, Powertools, the version; of the model, which flush_cache does not call.
OTHERS = ("LLM_CACHE_", "POWERTOOLS_", "SETTINGS_", "MODEL_")


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_other_variable_of_a_function_is_named_in_its_code(function: str) -> None:
    folder = loader.ROOT / FUNCTIONS[function]["CodeUri"]
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    own = loader.environment(FUNCTIONS[function])
    unread = [it for it in own if f'"{it}"' not in code and not it.startswith(OTHERS)]
    assert unread == []


def test_summarize_has_the_queues_that_it_sends_to() -> None:
    environment = loader.environment(FUNCTIONS["SummarizeFunction"])
    assert environment[queues.MESSAGES] == {"Ref": "DocumentMessages"}
    assert environment[queues.FAILURES] == {"Ref": "DocumentFailures"}


def test_summaries_lie_where_the_function_may_write() -> None:
    statements = FUNCTIONS["SummarizeFunction"]["Policies"][2]["Statement"]
    (written,) = [it["Resource"] for it in statements if "s3:PutObject" in it.get("Action", ())]
    assert written == {"Fn::Sub": f"${{Documents.Arn}}/{object_name.SUMMARIES}*"}
