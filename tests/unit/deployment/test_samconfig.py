"""The environments of `samconfig.toml`."""

import tomllib

import pytest

from deployment.make_variables import MakeVariables
from deployment.samconfig import FILE, deploy_settings
from llm_cache._stack.command_failure import CommandFailure


@pytest.mark.parametrize(
    ("environment", "stack"),
    [("default", "llm-cache"), ("dev", "llm-cache-dev"), ("prod", "llm-cache-prod")],
)
def test_every_environment_has_its_own_stack_and_valid_parameters(
    environment: str, stack: str
) -> None:
    settings = deploy_settings(environment)
    assert settings["stack_name"] == settings["s3_prefix"] == stack
    assert MakeVariables({"CONFIG": environment}).chosen is not None  # raises if invalid


def test_production_has_alarms_and_a_gradual_rollout() -> None:
    chosen = MakeVariables({"CONFIG": "prod"}).chosen
    assert chosen["Rollout"] != "AllAtOnce"
    assert "Monitoring" not in chosen  # on by default
    assert deploy_settings("prod")["confirm_changeset"] is True


def test_samconfig_caches_no_build() -> None:
    environments = tomllib.loads(FILE.read_text())
    del environments["version"]
    builds = [it["build"]["parameters"] for it in environments.values()]
    assert not any(build.get("cached") for build in builds)


def test_unknown_environment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CommandFailure, match=r"not in .*: use one of default, dev, prod, local"):
        deploy_settings("test")
