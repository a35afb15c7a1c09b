"""What an environment of `samconfig.toml` says."""

import tomllib

import pytest

from deployment.command_failure import CommandFailure
from deployment.make_variables import MakeVariables
from deployment.samconfig import FILE, deploy_settings


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_every_environment_has_a_stack_of_its_own_and_parameters_that_exist(
    environment: str,
) -> None:
    settings = deploy_settings(environment)
    assert settings["stack_name"] == settings["s3_prefix"]
    assert settings["stack_name"] == {"default": "llm-cache"}.get(
        environment, f"llm-cache-{environment}"
    )
    MakeVariables({"CONFIG": environment}).chosen  # noqa: B018  refuses what the template does not have


def test_production_is_watched_and_released_gradually() -> None:
    chosen = MakeVariables({"CONFIG": "prod"}).chosen
    assert chosen["Rollout"] != "AllAtOnce"
    assert "Monitoring" not in chosen  # on, by default
    assert deploy_settings("prod")["confirm_changeset"] is True


def test_no_build_is_cached_because_sam_does_not_know_which_python_compiles() -> None:
    environments = tomllib.loads(FILE.read_text())
    del environments["version"]
    builds = [it["build"]["parameters"] for it in environments.values()]
    assert not any(build.get("cached") for build in builds)


def test_unknown_environment_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        CommandFailure, match=r"CONFIG=test is not in .* which has default, dev, prod, local"
    ):
        deploy_settings("test")
