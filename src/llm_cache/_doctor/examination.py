"""All checks, in the order in which one depends on another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain

from llm_cache._config.cache_config import CacheConfig
from llm_cache._doctor.clock import check_clock
from llm_cache._doctor.database import Database, ProbeKeys
from llm_cache._doctor.finding import Finding, State, unknown
from llm_cache._doctor.memory import check_memory, check_writes
from llm_cache._doctor.permissions import CHECK as PERMISSIONS
from llm_cache._doctor.permissions import check_permissions
from llm_cache._doctor.protection import check_entries, check_protection
from llm_cache._doctor.rest_address import check_token, check_url
from llm_cache._doctor.round_trip import PING, check_round_trip
from llm_cache._doctor.secrets import Secrets, find_secrets
from llm_cache._doctor.ssm import check_boto3
from llm_cache._doctor.stack import check_functions, check_layer, open_stack
from llm_cache._doctor.variables import check_variables
from llm_cache._doctor.versions import check_versions
from llm_cache._entries.protection import Protection
from llm_cache._upstash.credentials import Credentials


def examine(
    environ: Mapping[str, str], *, namespace: str | None = None, stack: str | None = None
) -> Iterator[Finding]:
    """Run every check, and yield its findings as soon as they are known.

    A check that depends on a failed one is unknown. About 30 commands at any size of the database,
    within ``ALL_SECONDS``, and one request to AWS for each parameter, function and layer. They
    leave nothing behind. No finding shows a secret.
    """
    yield check_versions()
    if stack is None:
        yield from _examine(environ, namespace)
        return
    if (boto3 := check_boto3()).state is State.FAILED:
        yield boto3
        return
    found, access = open_stack(stack)
    yield found
    if access:
        yield from _examine(access.variables, namespace, access.session)
        yield check_layer(access)
        yield from check_functions(access)


def _examine(
    environ: Mapping[str, str], namespace: str | None, session: object = None
) -> Iterator[Finding]:
    config, of_variables = check_variables(environ, namespace)
    of_ssm, secrets = find_secrets(config, session)
    for finding in chain(of_variables, of_ssm, _examine_secrets(config, secrets)):
        yield finding.without(secrets.hidden)


def _examine_secrets(config: CacheConfig, secrets: Secrets) -> Iterator[Finding]:
    finding, protection = check_protection(config, secrets.keys)
    yield finding
    form = [check_url(secrets.url), check_token(secrets.token)]
    if any(each.state is not State.OK for each in form):
        yield from form
        yield unknown(PING, "not checked")
        return
    database = Database.at(Credentials(str(secrets.url.value), str(secrets.token.value)))
    found = check_round_trip(database, form[0], secrets, config.timeout)
    yield from found
    if all(each.state is not State.UNKNOWN for each in found):
        yield from _examine_database(database, config, secrets, protection)


def _examine_database(
    database: Database, config: CacheConfig, secrets: Secrets, protection: Protection | None
) -> Iterator[Finding]:
    if config.namespace is None:
        yield unknown(PERMISSIONS, "not checked without a namespace")
    else:
        probe = ProbeKeys(config.keyspace, os.urandom(32).hex())
        yield check_permissions(database, probe, secrets.token)
        yield check_writes(database, probe)
        yield check_entries(database, config.keyspace, protection)
    yield check_memory(database)
    yield check_clock(database)
