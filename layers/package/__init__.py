"""Package a layer or a function for its own architecture and Python, from any host, without Docker.

The same sources and locks give the same bytes. `sam build` works in a scratch copy of one folder,
so every folder that it builds links to this one as `package`. It needs pip and the standard
library; uv, where it is installed, fetches the Python that compiles.
"""
