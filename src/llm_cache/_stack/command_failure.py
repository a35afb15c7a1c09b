"""Errors that end a command with a message instead of a traceback."""

_SIGN_IN = "sign in (`aws sso login`, `aws configure`), or set AWS_PROFILE to a profile"
_EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "UnrecognizedClientException",
)


class CommandFailure(Exception):
    """A command cannot continue; the message names the cause and the remedy."""


def explain(error: Exception, region: str | None) -> str:
    """Return the message of an expected error, with the command or variable that fixes it."""
    import botocore.exceptions as aws

    match error:
        case aws.NoCredentialsError() | aws.PartialCredentialsError():
            return f"AWS credentials are missing: {_SIGN_IN}"
        case aws.ProfileNotFound():
            return f"{error}; set AWS_PROFILE to one of `aws configure list-profiles`"
        case aws.EndpointConnectionError() | aws.ConnectTimeoutError():
            return f"{error} Check that the region {region} (AWS_REGION) exists."
        case aws.ClientError() if error.response["Error"]["Code"] in _EXPIRED:
            return f"{error} {_SIGN_IN.capitalize()}."
        case EOFError():
            return "no input, so nothing was done"
    return str(error)
