"""What the template makes of its parameters, and what builds it."""

import itertools
from typing import Any

import pytest
from layers.package import wheels
from tests.template import rules
from tests.template.breaking import TEMPLATE
from tests.template.loader import ROOT, environment, functions


@pytest.mark.parametrize("function", ["AskFunction", "FlushCacheFunction", "SummarizeFunction"])
@pytest.mark.parametrize(
    ("condition", "parameter", "variable"),
    [
        ("Signs", "SigningKeyParameter", "LLM_CACHE_SIGNING_KEY_PARAMETER"),
        ("Encrypts", "EncryptionKeyParameter", "LLM_CACHE_ENCRYPTION_KEY_PARAMETER"),
    ],
)
def test_a_key_that_is_off_is_neither_named_nor_readable(
    function: str, condition: str, parameter: str, variable: str
) -> None:
    def only_if(value: Any) -> Any:
        return {"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]}

    properties = functions(TEMPLATE)[function]
    readable = [
        one
        for statement in rules.statements(TEMPLATE, properties)
        for one in statement["Resource"]
        if "ssm:GetParameters" in rules.actions(statement)
    ]
    arn = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter"
    assert TEMPLATE["Parameters"][parameter]["Default"] == ""
    assert TEMPLATE["Conditions"][condition] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]
    }
    assert environment(properties)[variable] == only_if({"Ref": parameter})
    assert only_if({"Fn::Sub": f"{arn}${{{parameter}}}"}) in readable


def test_there_is_a_makefile_for_every_target_and_no_other() -> None:
    allowed = {
        key: TEMPLATE["Parameters"][key]["AllowedValues"] for key in ("Architecture", "Runtime")
    }
    expected = {
        f"{architecture}-{runtime}": {
            "ARCHITECTURE": architecture,
            "PYTHON_VERSION": runtime.removeprefix("python"),
        }
        for architecture, runtime in itertools.product(*allowed.values())
    }
    assert expected == {
        makefile.parent.name: variables(makefile.read_text())
        for makefile in (ROOT / "layers/targets").glob("*/Makefile")
    }


def variables(makefile: str) -> dict[str, str]:
    lines = (line.split(":=") for line in makefile.splitlines() if ":=" in line)
    return {name.strip(): value.strip() for name, value in lines}


def test_builder_knows_every_target() -> None:
    parameters = TEMPLATE["Parameters"]
    assert list(wheels.MACHINES) == parameters["Architecture"]["AllowedValues"]
    assert [f"python{version}" for version in wheels.GLIBC] == parameters["Runtime"][
        "AllowedValues"
    ]
