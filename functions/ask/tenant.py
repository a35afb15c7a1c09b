"""Whose answers a caller gets: decided by who signed the request, never by what it says.

A Function URL with ``AWS_IAM``, and an HTTP API with IAM authorisation, put who signed into the
event, at ``requestContext.authorizer.iam``, where no header and no body reaches. Of its fields:

- ``callerId`` is who: IAM never gives a user's or a role's id to another, whereas the name in
  ``userArn`` belongs to whoever is created under it next, and ``accessKey`` changes by rotation.
- Of an assumed role it is ``AROA…:session``. Whoever may assume the role chooses the session's name
  unless its trust policy does (``sts:RoleSessionName``): by default each session is by itself.
- All users of a Cognito identity pool have one role and one session name: there
  ``cognitoIdentity`` is who.
- ``requestContext.accountId`` is the account of the function, not of the caller.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from llm_cache import InvalidSettings
from problems import Problem

VARIABLE = "SHARE_ANSWERS"


class Sharing(StrEnum):
    """Who gets the answers that a caller has paid for, besides that caller."""

    NOBODY = "nobody"
    """Nobody: each user, session of a role, and Cognito identity is by itself."""
    ROLE = "role"
    """The other sessions of the same role."""
    ACCOUNT = "account"
    """Everybody of the caller's AWS account."""
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
    match event:
        case {"requestContext": {"authorizer": {"iam": {"accountId": account, **iam}}}}:
            who = [account] if sharing() is Sharing.ACCOUNT else [account, *_caller(iam)]
        case _:
            who = []
    if not who or not all(isinstance(part, str) and part for part in who):
        raise Problem(403, "no_identity", "who asks is not known: sign the request with IAM")
    return json.dumps(who)  # a list, quoted: no text in it passes for another list


def _caller(iam: Mapping[Any, object]) -> list[object]:
    match iam.get("cognitoIdentity"):
        case None:
            return [_user_or_role(iam.get("callerId"))]
        case {"identityPoolId": pool, "identityId": identity}:
            return ["cognito", pool, identity]
    return [None]  # an identity, but not one that is understood


def _user_or_role(caller: object) -> object:
    if sharing() is Sharing.ROLE and isinstance(caller, str) and caller.startswith("AROA"):
        return caller.partition(":")[0]
    return caller
