"""The target of build and deployment."""

import pytest

from deployment.build_target import description, overrides, values
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.checkout.template_parameters import declared_parameters

DECLARED = declared_parameters(CHECKOUT_TREE.template)
DEFAULT = {name: DECLARED[name]["Default"] for name in ("Runtime", "Architecture")}
TARGET = {"Runtime": "python3.12", "Architecture": "x86_64"}
DEPLOYED = TARGET | {"CacheTtl": "60"}


@pytest.mark.parametrize(
    ("deployed", "chosen", "expected"),
    [
        ({}, {}, DEFAULT),
        ({}, {"Architecture": "x86_64"}, DEFAULT | {"Architecture": "x86_64"}),
        (DEPLOYED, {}, TARGET),
        (DEPLOYED, {"Runtime": "python3.14"}, TARGET | {"Runtime": "python3.14"}),
        (DEPLOYED, {"CacheTtl": "9"}, TARGET | {"CacheTtl": "9"}),
        ({"Renamed": "since"}, {}, DEFAULT),
    ],
)
def test_target_is_chosen_else_deployed_else_default(
    deployed: dict[str, str], chosen: dict[str, str], expected: dict[str, str]
) -> None:
    assert overrides(DECLARED, deployed, chosen) == expected


def test_deployed_parameter_keeps_its_value() -> None:
    assert values(DECLARED, DEPLOYED, {})["CacheTtl"] == "60"


def test_change_of_target_is_described() -> None:
    assert description({}, TARGET) == description(DEPLOYED, TARGET) == "python3.12, x86_64"
    changed = overrides(DECLARED, DEPLOYED, {"Architecture": "arm64"})
    assert description(DEPLOYED, changed) == "python3.12, arm64 instead of x86_64"
