"""What ends a command with a sentence, and not with a traceback."""

from __future__ import annotations

import botocore.exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

# What `sam`, boto3 and a person at the prompt raise; all else is a defect, and shows its traceback.
FORESEEN = (BotoCoreError, ClientError, EOFError)
_SIGN_IN = "sign in (`aws sso login`, `aws configure`), or name a profile in AWS_PROFILE"
_EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "UnrecognizedClientException",
)


class Failure(Exception):
    """A command cannot go on; the message says why, and what to do."""


def told(error: Exception, region: str | None) -> str:
    """Return what a foreseen error means, and the command or variable that mends it."""
    match error:
        case aws.NoCredentialsError() | aws.PartialCredentialsError():
            return f"AWS credentials are missing: {_SIGN_IN}"
        case aws.ProfileNotFound():
            return f"{error}; AWS_PROFILE names one of `aws configure list-profiles`"
        case aws.EndpointConnectionError() | aws.ConnectTimeoutError():
            return f"{error} The region is {region} (AWS_REGION): is there such a region?"
        case ClientError() if error.response["Error"]["Code"] in _EXPIRED:
            return f"{error} {_SIGN_IN.capitalize()}."
        case EOFError():
            return "nothing was typed, and nothing was done"
    return str(error)
