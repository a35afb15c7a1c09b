"""Every Lua script of the library has a twin in Python."""

import importlib
import pkgutil

import llm_cache
from llm_cache.testing._scripts import TWINS


def scripts() -> set[str]:
    """Return the texts in modules that call Redis, except parts of other texts."""
    names = [found.name for found in pkgutil.walk_packages(llm_cache.__path__, "llm_cache.")]
    modules = [vars(importlib.import_module(name)) for name in names if "__main__" not in name]
    texts = {text for module in modules for text in module.values() if isinstance(text, str)}
    calling = {text for text in texts if "redis.call(" in text or "redis.pcall(" in text}
    return {text for text in calling if not any(text in other for other in calling - {text})}


def test_every_script_has_a_twin() -> None:
    assert scripts() == set(TWINS)
