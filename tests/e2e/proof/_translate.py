"""Apply SAM's transform to a template, as CloudFormation does.

Runs in sam's own environment, which alone has the translator.
"""

import json
import sys

from samcli.yamlhelper import yaml_parse  # type: ignore[import-not-found]
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]

BASIC = "AWSLambdaBasicExecutionRole"


class ManagedPolicies:
    """The only managed policy that SAM attaches here, so that no request to IAM is needed."""

    def load(self) -> dict[str, str]:
        return {BASIC: f"arn:aws:iam::aws:policy/service-role/{BASIC}"}


template, parameters = json.load(sys.stdin)
json.dump(transform(yaml_parse(template), parameters, ManagedPolicies()), sys.stdout)
