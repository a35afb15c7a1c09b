"""Whose answers a caller gets: decided by who AWS says that asks, never by what the request says.

Every front of AWS puts who asks into the event's ``requestContext``, where no header and no body
reaches:

- ``authorizer.iam``: who signed, of a Function URL with ``AWS_IAM``, or an HTTP API with IAM
  authorisation; ``identity``: the same, of a REST API
- ``authorizer.jwt.claims``, or ``authorizer.claims``: whose token an HTTP API's JWT authoriser, or
  a REST API's Cognito authoriser, has checked. A subject (``sub``) is somebody to its issuer
  (``iss``) alone (RFC 7519, section 4.1.2).
- ``authorizer.principalId``: what a REST API's Lambda authoriser calls the caller: to that API

A load balancer puts nothing there, and its ``x-amzn-oidc-*`` headers anybody could send to a rule
that authenticates nobody. An event without any ``requestContext`` is no front's: who sent it may
invoke the function, and all those are one tenant of their own.

Of the fields of who signed with IAM:

- ``callerId`` (``caller``) is who: IAM never gives a user's or a role's id to another, whereas the
  name in ``userArn`` belongs to whoever is created under it next, and ``accessKey`` changes by
  rotation.
- Of an assumed role it is ``AROA…:session``. Whoever may assume the role chooses the session's name
  unless its trust policy does (``sts:RoleSessionName``): by default each session is by itself.
- All users of a Cognito identity pool have one role and one session name: there the identity is
  who.
- ``requestContext.accountId`` is the account of the function, not of the caller.
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
DIRECT = "direct"  # no hash, and so no caller that a front names


class Sharing(StrEnum):
    """Who gets the answers that a caller has paid for, besides that caller."""

    NOBODY = "nobody"
    """Nobody: each user, session of a role, Cognito identity, and subject of a token is alone."""
    ROLE = "role"
    """The other sessions of the same role."""
    ACCOUNT = "account"
    """Everybody of the caller's AWS account; whoever has none is alone."""
    ALL = "all"
    """Everybody, known or not."""


@cache
def sharing() -> Sharing:
    """Return what the operator has set; raise ``InvalidSettings`` that names the variable."""
    told = os.environ.get(VARIABLE, "").strip() or Sharing.NOBODY
    if told not in list(Sharing):
        raise InvalidSettings(VARIABLE, told, "one of " + ", ".join(Sharing))
    return Sharing(told)


def tenant_of(event: object) -> str | None:
    """Return whose answers the sender of ``event`` gets; None: everybody's.

    Raises a ``Problem``, 403, where that depends on who sent it and the event does not say.
    """
    if sharing() is Sharing.ALL:
        return None
    if isinstance(event, Mapping) and "requestContext" not in event:
        return DIRECT
    match event:
        case {"requestContext": {**context}}:
            who = _caller(context)
        case _:
            who = [None]
    if not all(isinstance(part, str) and part for part in who):
        raise Problem(403, "no_identity", "who asks is not known: AWS names nobody")
    # Of a list with quoted texts, so that no text passes for another list; hashed, for any length.
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()


def _caller(context: Mapping[Any, object]) -> list[object]:
    match context:
        case {"authorizer": {"iam": {"accountId": account, **signer}}}:
            return _signed(account, signer.get("callerId"), signer.get("cognitoIdentity"))
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
                return _signed(account, caller, None)
            return _signed(account, caller, {"identityPoolId": pool, "identityId": identity})
    return [None]  # nobody, or not as it is understood


def _signed(account: object, caller: object, cognito: object) -> list[object]:
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
