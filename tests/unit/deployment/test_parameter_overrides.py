"""Checks of PARAMETERS against the template."""

import pytest

from deployment.parameter_overrides import parse
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.sam_process import parameter_overrides
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.checkout.template_parameters import declared_parameters

DECLARED = declared_parameters(CHECKOUT_TREE.template)


def refusal(text: str) -> str:
    with pytest.raises(CommandFailure, match=r"^PARAMETERS") as refused:
        parse("PARAMETERS", text, DECLARED)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CacheTTL=60", "CacheTTL=60: the template has no parameter CacheTTL; did you mean CacheT"),
        ("cachettl=60", "did you mean CacheTtl"),
        ("Colour=red", "the template has no parameter Colour"),
        ("Architecture=arm", "Architecture=arm: use one of arm64, x86_64"),
        ("Architecture=", "Architecture=: use one of arm64, x86_64"),
        ("Runtime=3.13", "use one of python3.11, "),
        ("LogRetentionDays=8", "use one of 1, 3, 5,"),
        ("CacheTtl=-1", "CacheTtl=-1: use a number from 0"),
        ("CacheTtl=1h", "use a number from 0"),
        ("CacheTtl=nan", "use a number from 0"),
        ("SummaryConcurrency=1001", "use a number from 2 to 1000"),
        ("FlushSchedule=daily", r"use a value that matches ^(rate|cron|at)\(.+\)$"),
        ("UpstashUrlParameter=" + "/a" * 61, " characters"),
        ("CacheTtl", "'CacheTtl' is not Name=Value"),
        ("FlushSchedule=rate(12 hours)", "'hours)' is not Name=Value; quote"),
        ("FlushSchedule='rate(12 hours)", "No closing quotation"),
        ("""AlarmEmail='"a"@example.com'""", "quotation marks"),
    ],
)
def test_invalid_value_is_refused_with_the_accepted_ones(text: str, message: str) -> None:
    assert message in refusal(text)


def test_all_errors_are_reported_at_once() -> None:
    message = refusal("Architecture=arm CacheTTL=60 MaxTokens=0")
    assert all(name in message for name in ("Architecture=arm", "CacheTTL=60", "MaxTokens=0"))


def test_valid_values_are_parsed_like_a_shell_does() -> None:
    text = "CacheTtl=60 FlushSchedule='cron(0 3 * * ? *)' InputPrice=0.3 AlarmEmail="
    assert parse("PARAMETERS", text, DECLARED) == {
        "CacheTtl": "60",
        "FlushSchedule": "cron(0 3 * * ? *)",
        "InputPrice": "0.3",
        "AlarmEmail": "",
    }
    assert parse("PARAMETERS", "", DECLARED) == {}


@pytest.mark.parametrize("name", DECLARED)
def test_every_default_of_the_template_is_accepted(name: str) -> None:
    value = str(DECLARED[name]["Default"])
    assert parse("PARAMETERS", f"{name}='{value}'", DECLARED) == {name: value}


def test_value_with_spaces_is_one_argument_of_sam() -> None:
    assert parameter_overrides({"FlushSchedule": "cron(0 3 * * ? *)"}) == [
        "--parameter-overrides",
        'ParameterKey=FlushSchedule,ParameterValue="cron(0 3 * * ? *)"',
    ]
    assert parameter_overrides({}) == []
