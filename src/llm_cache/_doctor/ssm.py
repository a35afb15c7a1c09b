"""Read the SSM parameters one by one; the cache's own request for all fails as a whole."""

from __future__ import annotations

import os
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from llm_cache._doctor.finding import Finding, failed, passed
from llm_cache._doctor.time_limit import within
from llm_cache._upstash.aws_environment import region_of

SECONDS = 6.0  # for the session, its credentials and one parameter
BOTO3 = 'pip install "lambda-llm-cache[aws]"'
LONGEST_SHOWN = 40  # characters of a name without a slash at its start: it may be a secret itself


def check_boto3() -> Finding:
    """Return whether boto3 is installed, which reads SSM and stacks outside Lambda."""
    if find_spec("boto3"):
        return passed("boto3", "installed")
    return failed("boto3", "not installed, but SSM parameters or a stack are used", BOTO3)


class Parameters:
    """Reads parameters; ``session`` is boto3's, by default the one that the cache uses."""

    def __init__(self, session: Any = None) -> None:
        self._session = session

    def check(self, name: str) -> tuple[Finding, str | None]:
        """Read one parameter with the call of the cache; return its value, or None.

        At most ``SECONDS``. One request.
        """
        shown = f"SSM parameter {shown_name(name)}"
        if not _is_name(name):
            text = f"{shown}: the variable holds no name of a parameter"
            return failed("SSM", text, "set it to a name, such as /llm-cache/token"), None
        try:
            found = within(SECONDS, lambda: self._read(name))
            region = self._client.meta.region_name
        except Exception as error:  # noqa: BLE001  each has a remedy, or is shown
            text, remedy = _explain(error, name)
            return failed("SSM", f"{shown}: {text}", remedy), None
        if not found:
            text = f"{shown} does not exist in {region}"
            return failed("SSM", text, _create(name, region)), None
        return passed("SSM", f"{shown} in {region} is readable"), str(found[0]["Value"])

    def _read(self, name: str) -> list[dict[str, str]]:
        reply = self._client.get_parameters(Names=[name], WithDecryption=True)
        parameters: list[dict[str, str]] = reply["Parameters"]
        return parameters

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
        return (self._session or boto3.Session()).client("ssm", config=config)


def shown_name(name: str) -> str:
    """Return the name, or the length of a text that may be the secret itself."""
    if name.startswith(("/", "arn:")) or len(name) <= LONGEST_SHOWN:
        return name
    return f"<{len(name)} characters>"


def _is_name(name: str) -> bool:
    return "://" not in name and shown_name(name) == name


def _create(name: str, region: str) -> str:
    return (
        f"if it is in another region, set AWS_DEFAULT_REGION to that region; else create it: "
        f"aws ssm put-parameter --region {region} --type SecureString --name {name} --value …"
    )


def _explain(error: Exception, name: str) -> tuple[str, str]:
    """Return what failed and what to do."""
    from botocore import exceptions as aws

    match error:
        case TimeoutError():
            return "AWS did not reply in time", "check the network and the region"
        case aws.NoRegionError():
            return "no region is set", "set AWS_DEFAULT_REGION to the parameter's region"
        case aws.ClientError():
            return _explain_code(error.response["Error"], name)
    from llm_cache._stack.aws_errors import explain

    return type(error).__name__, explain(error, region_of(os.environ))


def _explain_code(error: dict[str, str], name: str) -> tuple[str, str]:
    code, message = error.get("Code", ""), error.get("Message", "").lower()
    if code == "InvalidKeyId" or "kms" in message or "ciphertext" in message:
        return f"its KMS key is denied ({code})", (
            "allow this role kms:Decrypt on the parameter's KMS key, by IAM and by the key's policy"
        )
    if code.startswith("AccessDenied"):
        return "access denied", f"allow this role ssm:GetParameters on parameter/{name.lstrip('/')}"
    if "Expired" in code:
        return f"the AWS credentials have expired ({code})", "sign in again: aws sso login"
    if code in {"UnrecognizedClientException", "InvalidSignatureException"}:
        return f"AWS does not accept the credentials ({code})", (
            "check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: aws sts "
            "get-caller-identity"
        )
    return code, "see the error code in AWS's reference of GetParameters"
