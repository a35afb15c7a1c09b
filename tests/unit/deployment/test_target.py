"""Build and deployment get the target of the deployed stack, unless another one is asked for."""

import pytest

from deployment.build_target import description, overrides, values
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.checkout.template_parameters import declared_parameters

DECLARED = declared_parameters(CHECKOUT_TREE.template)
DEFAULT = {name: DECLARED[name]["Default"] for name in ("Runtime", "Architecture")}
DEPLOYED = {"Runtime": "python3.12", "Architecture": "x86_64", "CacheTtl": "60"}


@pytest.mark.parametrize(
    ("deployed", "chosen", "expected"),
    [
        ({}, {}, DEFAULT),
        ({}, {"Architecture": "x86_64"}, DEFAULT | {"Architecture": "x86_64"}),
        (DEPLOYED, {}, {"Runtime": "python3.12", "Architecture": "x86_64"}),
        (DEPLOYED, {"Runtime": "python3.14"}, {"Runtime": "python3.14", "Architecture": "x86_64"}),
        ({"Renamed": "since"}, {}, DEFAULT),
    ],
)
def test_target_is_the_chosen_else_the_deployed_else_the_default_one(
    deployed: dict[str, str], chosen: dict[str, str], expected: dict[str, str]
) -> None:
    assert overrides(DECLARED, deployed, chosen) == expected


def test_parameter_that_was_not_chosen_is_left_to_cloudformation() -> None:
    assert "CacheTtl" not in overrides(DECLARED, DEPLOYED, {})
    assert values(DECLARED, DEPLOYED, {})["CacheTtl"] == "60"
    assert overrides(DECLARED, DEPLOYED, {"CacheTtl": "9"})["CacheTtl"] == "9"


def test_change_of_target_is_told() -> None:
    same = overrides(DECLARED, DEPLOYED, {})
    assert description({}, same) == description(DEPLOYED, same) == "python3.12, x86_64"
    changed = overrides(DECLARED, DEPLOYED, {"Architecture": "arm64"})
    assert description(DEPLOYED, changed) == "python3.12, arm64 instead of x86_64"
