"""The users with the least rights: the page shows them, and the library's scripts need them."""

import re

from tests.repository.pages import blocks

from llm_cache._doctor.permissions import PROBES
from llm_cache._doctor.roles import FLUSH, FUNCTIONS, READER, ROLES, acl_block
from llm_cache._inspect import entry_heads
from llm_cache._protocol import clearing, leases, store

CALLED = re.compile(r"redis\.p?call\('(\w+)'")
READ_BY_COMMAND, SCANNED = {"mget", "unlink", "eval"}, {"scan", "unlink", "exists", "eval"}


def called(*scripts: str) -> set[str]:
    return {name.lower() for script in scripts for name in CALLED.findall(script)}


def test_page_shows_the_users_that_doctor_prints() -> None:
    (block,) = [it for it in blocks("docs/security.md") if it.language == "redis"]
    assert block.text == acl_block("shop")


def test_roles_have_the_commands_of_the_scripts_and_no_others() -> None:
    of_functions = called(leases.TAKE, leases.RENEW, leases.RELEASE, store.STORE)
    assert set(FUNCTIONS.commands) == of_functions | READ_BY_COMMAND
    of_operators = called(clearing.CLEAR, clearing.RECLAIM_PAGE, entry_heads.HEADS) | SCANNED
    assert set(FLUSH.commands) == of_operators | {"ping", "time", "info", "dbsize"}
    assert set(READER.commands) == set(FLUSH.commands) - {"set", "unlink"}


def test_every_command_of_a_role_is_tried() -> None:
    assert {name for role in ROLES for name in role.commands} == PROBES.keys()
