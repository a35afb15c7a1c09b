"""Which of the resources that depend on parameters are due."""

from typing import Any

import pytest
from tests.e2e.proof.transformed import holds

from upstash_endpoint.children import PartFailed

VALUES = {"Monitoring": "on", "Hours": "0"}
ON = {"Fn::Equals": [{"Ref": "Monitoring"}, "on"]}
NO_HOURS = {"Fn::Equals": [{"Ref": "Hours"}, 0]}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (ON, True),
        (NO_HOURS, True),
        ({"Fn::Not": [ON]}, False),
        ({"Fn::And": [ON, NO_HOURS]}, True),
        ({"Fn::And": [ON, {"Fn::Not": [NO_HOURS]}]}, False),
        ({"Fn::Or": [{"Fn::Not": [ON]}, NO_HOURS]}, True),
        ({"Fn::Or": [{"Fn::Not": [ON]}, {"Fn::Not": [NO_HOURS]}]}, False),
        ({"Condition": "On"}, True),
    ],
)
def test_condition_holds_as_cloudformation_has_it(condition: Any, expected: bool) -> None:
    assert holds("Asked", {"Asked": condition, "On": ON}, VALUES) is expected


@pytest.mark.parametrize("condition", [{"Fn::FindInMap": ["a", "b", "c"]}, {"Ref": "AWS::Region"}])
def test_condition_that_is_not_understood_is_never_guessed(condition: Any) -> None:
    with pytest.raises(PartFailed, match="condition Asked"):
        holds("Asked", {"Asked": {"Fn::Not": [condition]}}, VALUES)
