"""Package a layer or a function for its target architecture and Python, without Docker.

The same sources and locks give the same bytes on every host. `sam build` copies one folder, so each
folder that it builds has a link to this one, named `package`. Packaging needs pip; uv, if it is
installed, downloads the Python that compiles.
"""
