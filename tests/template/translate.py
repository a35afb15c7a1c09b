"""SAM's transform, as CloudFormation applies it: a template and parameters in, a template out.

Run by the Python of sam's own environment, the only one to hold the translator.
"""

import json
import sys

from samtranslator.translator.transform import transform  # type: ignore[import-not-found]

BASIC = "AWSLambdaBasicExecutionRole"


class ManagedPolicies:
    """The one managed policy that SAM itself attaches here, so that IAM need not be asked."""

    def load(self) -> dict[str, str]:
        return {BASIC: f"arn:aws:iam::aws:policy/service-role/{BASIC}"}


template, parameters = json.load(sys.stdin)
json.dump(transform(template, parameters, ManagedPolicies()), sys.stdout)
