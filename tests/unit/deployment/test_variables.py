"""The variables of a command are checked where they are read, and refused by name."""

import subprocess

import pytest

from deployment.command_failure import CommandFailure
from deployment.make_variables import MakeVariables
from local_cloud.checkout.tool_environments import CHECKOUT


@pytest.mark.parametrize(
    ("variable", "value", "reads", "told"),
    [
        ("STACK", "a_b", "stack", "STACK=a_b: a stack's name has letters, digits and hyphens"),
        ("STACK", "1st", "stack", "begins with a letter"),
        ("STACK", "AWS-cache", "stack", "neither with aws nor with ssm"),
        ("STACK", "a" * 129, "stack", "at most 128"),
        ("CONFIG", "staging", "stack", "CONFIG=staging is not in samconfig.toml"),
        ("QUESTION", " ", "question", "QUESTION is missing: make ask QUESTION="),
        ("MINUTES", "1h", "minutes", "MINUTES=1h: a number of minutes"),
        ("MINUTES", "-1", "minutes", "MINUTES=-1: a number of minutes"),
        ("YES", "no", "yes", "YES=no: accepted is 1, or nothing"),
        ("FOLLOW", "0", "follow", "FOLLOW=0: accepted is 1, or nothing"),
        ("LEFTOVERS", "yes", "leftovers", "LEFTOVERS=yes: accepted are delete and keep"),
    ],
)
def test_value_that_is_not_accepted_is_refused_with_what_is(
    variable: str, value: str, reads: str, told: str
) -> None:
    with pytest.raises(CommandFailure) as refused:
        getattr(MakeVariables({variable: value}), reads)
    assert told in str(refused.value)


def test_variables_that_are_not_set_have_defaults() -> None:
    variables = MakeVariables({"STACK": "", "CONFIG": "", "MINUTES": ""})
    assert (variables.config, variables.stack) == ("dev", "llm-cache-dev")
    assert (variables.minutes, variables.follow, variables.yes) == (15, False, False)
    assert (variables.tag, variables.leftovers) == ("", "")


def test_parameters_win_over_samconfig_and_the_rest_stays() -> None:
    chosen = MakeVariables({"PARAMETERS": "Monitoring=on CacheTtl=60"}).chosen
    assert (chosen["Monitoring"], chosen["CacheTtl"]) == ("on", "60")
    assert chosen["LogRetentionDays"] == "7"


@pytest.mark.parametrize("given", ["environment", "command line"])
def test_makefile_passes_what_was_typed_as_it_is(given: str) -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    begin, end = makefile.index("VARIABLES :="), makefile.index("DEPLOYMENT :=")
    printing = makefile[begin:end] + "show:\n\t@printenv QUESTION STACK\n"
    question = 'What is $5, $(shell echo five) or `5` "five"?'
    typed = {"QUESTION": question, "STACK": "shop"}
    argv = ["make", "-f", "-", "show"]
    if given == "command line":
        argv += [f"{name}={value}" for name, value in typed.items()]
    env = {"PATH": "/usr/bin:/bin"} | (typed if given == "environment" else {})
    done = subprocess.run(argv, input=printing, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [question, "shop"]
