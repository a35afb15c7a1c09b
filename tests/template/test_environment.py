"""The environment variables in the template are the variables that the code reads."""

import re
from collections import UserDict

import pytest
from tests.template.loader import ROOT, environment, functions, load

import object_name
from identity import VARIABLE, Sharing
from llm_cache import CacheConfig, CacheMetrics

TEMPLATE = load()
PARAMETERS = TEMPLATE["Parameters"]
FUNCTIONS = functions(TEMPLATE)
each_function = pytest.mark.parametrize("function", sorted(FUNCTIONS))


class RecordingEnvironment(UserDict[str, str]):
    """An environment that records the names that are read."""

    read: set[str]

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self.data[name]


@each_function
def test_library_reads_each_cache_variable(function: str) -> None:
    names = set(environment(FUNCTIONS[function]))
    environ = RecordingEnvironment(dict.fromkeys(names, "10"), LLM_CACHE_NAMESPACE="stack")
    environ.read = set()
    CacheConfig.from_env(environ)
    CacheMetrics.from_env(environ)
    assert {name for name in names if name.startswith("LLM_CACHE_")} <= environ.read
    assert "LLM_CACHE_TTL_FLOR" not in environ.read


# Read by the library, Powertools and Lambda, and by the code for the model that flush_cache lacks.
READ_ELSEWHERE = ("LLM_CACHE_", "POWERTOOLS_", "SETTINGS_", "MODEL_")


@each_function
def test_code_of_the_function_names_each_other_variable(function: str) -> None:
    folder = ROOT / FUNCTIONS[function]["CodeUri"]
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    own = environment(FUNCTIONS[function])
    assert [it for it in own if f'"{it}"' not in code and not it.startswith(READ_ELSEWHERE)] == []


RENAMED = {
    ("SummarizeFunction", "LLM_CACHE_TTL_CEILING"): "SummaryTtl",
    ("SummarizeFunction", "SUMMARY_TTL_IMMUTABLE"): "SummaryTtl",
}


@each_function
def test_variable_has_the_value_of_the_parameter_of_its_name(function: str) -> None:
    variables = environment(FUNCTIONS[function]).items()
    references = {name: value["Ref"] for name, value in variables if "Ref" in value}
    for name, parameter in references.items():
        words = re.findall("[A-Z][a-z]+", parameter.removeprefix("Upstash"))
        expected = RENAMED.get((function, name), parameter)
        same_words = name.endswith("_".join(words).upper())
        assert parameter == expected
        assert same_words or parameter not in PARAMETERS or (function, name) in RENAMED


def test_library_accepts_the_lowest_ttls_and_the_defaults_are_in_order() -> None:
    floor, ttl, ceiling = (PARAMETERS[f"CacheTtl{it}"] for it in ("Floor", "", "Ceiling"))
    assert floor["Default"] <= ttl["Default"] <= ceiling["Default"]
    ttls = {"TTL_FLOOR": floor, "TTL": ttl, "TTL_CEILING": ceiling}.items()
    environ = {"LLM_CACHE_URL_PARAMETER": "/url", "LLM_CACHE_TOKEN_PARAMETER": "/token"}
    environ |= {f"LLM_CACHE_{name}": str(it["MinValue"]) for name, it in ttls}
    assert CacheConfig.from_env(environ, namespace="stack")


def test_share_answers_accepts_every_sharing_and_defaults_to_nobody() -> None:
    assert PARAMETERS["ShareAnswers"]["AllowedValues"] == list(Sharing)
    assert PARAMETERS["ShareAnswers"]["Default"] == Sharing.NOBODY
    assert environment(FUNCTIONS["AskFunction"])[VARIABLE] == {"Ref": "ShareAnswers"}


def test_summarize_may_write_its_summaries() -> None:
    statements = FUNCTIONS["SummarizeFunction"]["Policies"][2]["Statement"]
    (written,) = [it["Resource"] for it in statements if "s3:PutObject" in it.get("Action", ())]
    assert written == {"Fn::Sub": f"${{Documents.Arn}}/{object_name.SUMMARIES}*"}
