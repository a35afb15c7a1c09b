"""The class that this library replaces, imported without its deprecation warning."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from langchain_community import cache as community

Replaced = community.UpstashRedisCache
