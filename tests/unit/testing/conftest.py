"""The fixtures of the plugin, as a user has them; they override those of the same name."""

from llm_cache.testing.plugin import fake_model, upstash

__all__ = ["fake_model", "upstash"]
