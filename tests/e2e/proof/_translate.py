"""SAM's transform, as CloudFormation applies it: a template and parameters in, a template out.

Run by the Python of sam's own environment, the only one to hold the translator.
"""

import json
import sys

from samcli.yamlhelper import yaml_parse  # type: ignore[import-not-found]
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]

BASIC = "AWSLambdaBasicExecutionRole"


class ManagedPolicies:
    """The one managed policy that SAM itself attaches here, so that IAM need not be asked."""

    def load(self) -> dict[str, str]:
        """Return the policies' ARNs by their names."""
        return {BASIC: f"arn:aws:iam::aws:policy/service-role/{BASIC}"}


template, parameters = json.load(sys.stdin)
json.dump(transform(yaml_parse(template), parameters, ManagedPolicies()), sys.stdout)
