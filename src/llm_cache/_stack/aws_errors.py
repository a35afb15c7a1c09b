"""Errors of AWS and of boto3 that end a command with a message instead of a traceback."""

import botocore.exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

# Other exceptions are defects, and show their traceback.
EXPECTED_ERRORS = (BotoCoreError, ClientError, EOFError)
_SIGN_IN = "sign in (`aws sso login`, `aws configure`), or set AWS_PROFILE to a profile"
_EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "UnrecognizedClientException",
)


def explain(error: Exception, region: str | None) -> str:
    """Return the message of an expected error, with the command or variable that fixes it."""
    match error:
        case aws.NoCredentialsError() | aws.PartialCredentialsError():
            return f"AWS credentials are missing: {_SIGN_IN}"
        case aws.ProfileNotFound():
            return f"{error}; set AWS_PROFILE to one of `aws configure list-profiles`"
        case aws.EndpointConnectionError() | aws.ConnectTimeoutError():
            return f"{error} Check that the region {region} (AWS_REGION) exists."
        case ClientError() if error.response["Error"]["Code"] in _EXPIRED:
            return f"{error} {_SIGN_IN.capitalize()}."
        case EOFError():
            return "no input, so nothing was done"
    return str(error)
