"""Parameters are checked against the template before anything is built."""

import pytest
from tests.template.loader import load

from deployment.command_failure import CommandFailure
from deployment.parameter_overrides import parse
from local_cloud.checkout.sam_process import parameter_overrides
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.checkout.template_parameters import declared_parameters

DECLARED = declared_parameters(CHECKOUT_TREE.template)


def refusal(text: str) -> str:
    with pytest.raises(CommandFailure) as refused:
        parse("PARAMETERS", text, DECLARED)
    assert str(refused.value).startswith("PARAMETERS")
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("CacheTTL=60", "CacheTTL=60: the template has no parameter CacheTTL; is it CacheTtl"),
        ("cachettl=60", "is it CacheTtl"),
        ("Colour=red", "the template has no parameter Colour"),
        ("Architecture=arm", "Architecture=arm: accepted are arm64, x86_64"),
        ("Architecture=", "Architecture=: accepted are arm64, x86_64"),
        ("Runtime=3.13", "accepted are python3.11, "),
        ("LogRetentionDays=8", "accepted are 1, 3, 5,"),
        ("CacheTtl=-1", "CacheTtl=-1: accepted is a number from 0"),
        ("CacheTtl=1h", "accepted is a number from 0"),
        ("CacheTtl=nan", "accepted is a number from 0"),
        ("SummaryConcurrency=1001", "accepted is a number from 2 to 1000"),
        ("FlushSchedule=daily", r"accepted is what matches ^(rate|cron|at)\(.+\)$"),
        ("UpstashUrlParameter=" + "/a" * 61, "characters are accepted"),
        ("CacheTtl", "'CacheTtl' is not Name=Value"),
        ("FlushSchedule=rate(12 hours)", "'hours)' is not Name=Value; quote"),
        ("FlushSchedule='rate(12 hours)", "No closing quotation"),
        ("""AlarmEmail='"a"@example.com'""", "quotation marks"),
    ],
)
def test_value_that_the_template_does_not_accept_is_refused_with_what_is(
    text: str, told: str
) -> None:
    assert told in refusal(text)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = refusal("Architecture=arm CacheTTL=60 MaxTokens=0")
    assert all(name in told for name in ("Architecture=arm", "CacheTTL=60", "MaxTokens=0"))


def test_accepted_values_are_returned_as_they_are_quoted_in_a_shell() -> None:
    text = "CacheTtl=60 FlushSchedule='cron(0 3 * * ? *)' InputPrice=0.3 AlarmEmail="
    assert parse("PARAMETERS", text, DECLARED) == {
        "CacheTtl": "60",
        "FlushSchedule": "cron(0 3 * * ? *)",
        "InputPrice": "0.3",
        "AlarmEmail": "",
    }
    assert parse("PARAMETERS", "", DECLARED) == {}


@pytest.mark.parametrize("name", load()["Parameters"])
def test_every_default_of_the_template_is_accepted(name: str) -> None:
    value = str(DECLARED[name]["Default"])
    assert parse("PARAMETERS", f"{name}='{value}'", DECLARED) == {name: value}


def test_value_with_spaces_reaches_sam_as_one() -> None:
    assert parameter_overrides({"FlushSchedule": "cron(0 3 * * ? *)"}) == [
        "--parameter-overrides",
        'ParameterKey=FlushSchedule,ParameterValue="cron(0 3 * * ? *)"',
    ]
    assert parameter_overrides({}) == []
