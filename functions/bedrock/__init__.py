"""The Bedrock model behind the cache, for every function that calls it.

`sam build` builds a copy of one folder, so each such function links to this one.
"""
