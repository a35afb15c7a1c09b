"""SAM's transform, as CloudFormation applies it: JSON in, JSON out.

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


json.dump(transform(json.load(sys.stdin), {}, ManagedPolicies()), sys.stdout)
