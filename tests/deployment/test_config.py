"""What an environment of `samconfig.toml` says, and what is said beside it."""

import pytest
from tests.template.loader import load

from deployment.config import deploy_settings, overrides
from deployment.failure import Failure
from local_cloud.sam import given


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_every_environment_has_a_stack_of_its_own_and_parameters_that_exist(
    environment: str,
) -> None:
    settings = deploy_settings(environment)
    assert settings["stack_name"] == settings["s3_prefix"]
    assert settings["stack_name"] == {"default": "llm-cache"}.get(
        environment, f"llm-cache-{environment}"
    )
    declared = load()["Parameters"]
    for name, value in overrides(settings, "").items():
        allowed = [str(one) for one in declared[name].get("AllowedValues", [value])]
        assert value in allowed


def test_production_is_watched_and_released_gradually() -> None:
    chosen = overrides(deploy_settings("prod"), "")
    assert chosen["Rollout"] != "AllAtOnce"
    assert "Monitoring" not in chosen  # on, by default
    assert deploy_settings("prod")["confirm_changeset"] is True


def test_what_is_given_wins_and_the_rest_stays() -> None:
    settings = {"parameter_overrides": "CacheTtl=60 Monitoring=off"}
    given = "Monitoring=on FlushSchedule='cron(0 3 * * ? *)'"
    assert overrides(settings, given) == {
        "CacheTtl": "60",
        "Monitoring": "on",
        "FlushSchedule": "cron(0 3 * * ? *)",
    }
    assert overrides({}, "") == {}


def test_a_value_with_spaces_reaches_sam_as_one() -> None:
    assert given({"FlushSchedule": "cron(0 3 * * ? *)"}) == [
        "--parameter-overrides",
        'ParameterKey=FlushSchedule,ParameterValue="cron(0 3 * * ? *)"',
    ]
    assert given({}) == []


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(Failure, match="'CacheTtl' is not Name=Value"):
        overrides({}, "CacheTtl 60")


def test_an_unknown_environment_is_refused_by_name() -> None:
    with pytest.raises(Failure, match=r"CONFIG=test is none of .*: default, dev, prod"):
        deploy_settings("test")
