"""Derive the tenant of a request from the caller that AWS identifies, never from the request.

AWS puts the caller into the event's ``requestContext``, where no header and no body can reach:

- ``authorizer.iam``: the IAM signer, from a Function URL or an HTTP API
- ``identity``: the IAM signer, from a REST API
- ``authorizer.jwt.claims`` or ``authorizer.claims``: the claims of a token that a JWT or Cognito
  authorizer checked. A subject (``sub``) is unique per issuer (``iss``): RFC 7519, section 4.1.2.
- ``authorizer.principalId``: the caller's name from a REST API's Lambda authorizer, unique per API

A load balancer puts no caller there, and a client can forge its ``x-amzn-oidc-*`` headers. An event
without ``requestContext`` is a direct invocation; all direct invocations share one tenant.

Fields of an IAM signer:

- ``callerId`` (``caller``) identifies the caller: IAM never reuses the id of a user or role. It can
  reuse the name in ``userArn``, and a rotation changes ``accessKey``.
- For an assumed role it is ``AROA…:session``. The session's name is free unless the role's trust
  policy fixes it (``sts:RoleSessionName``), so by default each session is a tenant.
- All users of a Cognito identity pool share one role and session name. Their identity counts.
- ``requestContext.accountId`` is the function's account, not the caller's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from llm_cache import InvalidSettings
from problem import Problem

VARIABLE = "SHARE_ANSWERS"
DIRECT = "direct"  # not a hash, so no caller of a front has this tenant


class Sharing(StrEnum):
    """Which callers share answers."""

    NOBODY = "nobody"
    """None: each user, role session, Cognito identity and token subject is separate."""
    ROLE = "role"
    """The sessions of one role."""
    ACCOUNT = "account"
    """The callers of one AWS account; a caller without an account is separate."""
    ALL = "all"
    """All callers, identified or not."""


@cache
def sharing() -> Sharing:
    """Return the operator's setting; raise ``InvalidSettings``."""
    value = os.environ.get(VARIABLE, "").strip() or Sharing.NOBODY
    if value not in list(Sharing):
        raise InvalidSettings(VARIABLE, value, "one of " + ", ".join(Sharing))
    return Sharing(value)


def tenant_of(event: object) -> str | None:
    """Return the tenant of the caller; None if all callers share answers.

    Raises a ``Problem``, 403, if AWS does not identify the caller.
    """
    if sharing() is Sharing.ALL:
        return None
    if isinstance(event, Mapping) and "requestContext" not in event:
        return DIRECT
    match event:
        case {"requestContext": {**context}}:
            caller = _caller(context)
        case _:
            caller = [None]
    if not all(isinstance(part, str) and part for part in caller):
        raise Problem(403, "no_identity", "AWS does not identify the caller")
    # JSON delimits the parts; the hash bounds the length
    return hashlib.sha256(json.dumps(caller).encode()).hexdigest()


def _caller(context: Mapping[Any, object]) -> list[object]:
    match context:
        case {"authorizer": {"iam": {"accountId": account, **signer}}}:
            return _signer(account, signer.get("callerId"), signer.get("cognitoIdentity"))
        case {
            "authorizer": {"jwt": {"claims": {"iss": issuer, "sub": subject}}}
            | {"claims": {"iss": issuer, "sub": subject}}
        }:
            return ["jwt", issuer, subject]
        case {"authorizer": {"principalId": principal}, "apiId": api}:
            return ["principal", api, principal]
        case {"identity": {"accountId": account, "caller": caller, **signer}}:
            pool, identity = signer.get("cognitoIdentityPoolId"), signer.get("cognitoIdentityId")
            if pool is None and identity is None:
                return _signer(account, caller, None)
            return _signer(account, caller, {"identityPoolId": pool, "identityId": identity})
    return [None]


def _signer(account: object, caller: object, cognito: object) -> list[object]:
    if sharing() is Sharing.ACCOUNT:
        return [account]
    match cognito:
        case None:
            return [account, _user_or_role(caller)]
        case {"identityPoolId": pool, "identityId": identity}:
            return [account, "cognito", pool, identity]
    return [None]


def _user_or_role(caller: object) -> object:
    if sharing() is Sharing.ROLE and isinstance(caller, str) and caller.startswith("AROA"):
        return caller.partition(":")[0]
    return caller
