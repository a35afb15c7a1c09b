"""The model on Bedrock behind the cache: what every function that asks it has in common.

`sam build` works in a scratch copy of one folder, so each such function links to this one.
"""
