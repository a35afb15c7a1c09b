"""Checks of the variables that `make` passes to a command."""

import subprocess
from pathlib import Path

import pytest

from deployment.make_variables import MakeVariables
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.tool_environments import CHECKOUT


@pytest.mark.parametrize(
    ("variable", "value", "attribute", "message"),
    [
        ("STACK", "a_b", "stack", "STACK=a_b: use at most 128 letters, digits and hyphens"),
        ("STACK", "1st", "stack", "begin with a letter"),
        ("STACK", "AWS-cache", "stack", "not with aws or ssm"),
        ("STACK", "a" * 129, "stack", "at most 128"),
        ("CONFIG", "staging", "stack", "CONFIG=staging is not in samconfig.toml"),
        ("EVENT", "", "event", "such as EVENT=functions/ask/event.json"),
        ("EVENT", "nowhere.json", "event", "EVENT is neither JSON nor a file of JSON"),
        ("EVENT", "README.md", "event", "EVENT is neither JSON nor a file of JSON"),
        ("EVENT", '{"a": }', "event", "EVENT is neither JSON nor a file of JSON"),
        ("QUESTION", " ", "question", "QUESTION is missing: make ask QUESTION="),
        ("MINUTES", "1h", "minutes", "MINUTES=1h: use a number of minutes"),
        ("MINUTES", "-1", "minutes", "MINUTES=-1: use a number of minutes"),
        ("YES", "no", "yes", "YES=no: use 1, or leave it empty"),
        ("FOLLOW", "0", "follow", "FOLLOW=0: use 1, or leave it empty"),
        ("LEFTOVERS", "yes", "leftovers", "LEFTOVERS=yes: use delete or keep"),
    ],
)
def test_invalid_value_is_refused_with_the_accepted_ones(
    variable: str, value: str, attribute: str, message: str
) -> None:
    with pytest.raises(CommandFailure) as refused:
        getattr(MakeVariables({variable: value}), attribute)
    assert message in str(refused.value)


def test_empty_variables_have_defaults() -> None:
    variables = MakeVariables({"STACK": "", "CONFIG": "", "MINUTES": ""})
    assert (variables.config, variables.stack) == ("dev", "llm-cache-dev")
    assert (variables.minutes, variables.follow, variables.yes) == (15, False, False)
    assert (variables.tag, variables.leftovers) == ("", "")


def test_event_is_json_or_a_file_of_json(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"a": 1}')
    for value in ('{"a": 1}', str(tmp_path / "event.json")):
        assert MakeVariables({"EVENT": value}).event == '{"a": 1}'


def test_local_stack_is_chosen_without_config_alone() -> None:
    assert MakeVariables({}).local().stack == "llm-cache"
    with pytest.raises(CommandFailure, match="CONFIG=prod: make dev changes the stack of make"):
        MakeVariables({"CONFIG": "prod"}).local()


def test_parameters_override_samconfig_and_keep_its_other_values() -> None:
    chosen = MakeVariables({"PARAMETERS": "Monitoring=on CacheTtl=60"}).chosen
    assert (chosen["Monitoring"], chosen["CacheTtl"]) == ("on", "60")
    assert chosen["LogRetentionDays"] == "7"


@pytest.mark.parametrize("source", ["environment", "command line"])
def test_makefile_passes_values_unchanged(source: str) -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    begin, end = makefile.index("VARIABLES :="), makefile.index("DEPLOYMENT :=")
    printing = makefile[begin:end] + "show:\n\t@printenv QUESTION STACK\n"
    question = 'What is $5, $(shell echo five) or `5` "five"?'
    values = {"QUESTION": question, "STACK": "shop"}
    argv = ["make", "-f", "-", "show"]
    if source == "command line":
        argv += [f"{name}={value}" for name, value in values.items()]
    env = {"PATH": "/usr/bin:/bin"} | (values if source == "environment" else {})
    done = subprocess.run(argv, input=printing, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [question, "shop"]
