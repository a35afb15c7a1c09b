"""The budgets of the layer's size and of the functions' import times."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Bytes of one architecture's layer, with bytecode and Powertools. (Lambda allows 250 MB unzipped
# for a function and all its layers; each MB slows a cold start.)
ZIPPED = 15_000_000
UNZIPPED = 50_000_000

# CPU of imports, relative to importing the replaced class as `sam build` packages it by default.
ASK_IMPORT = 0.2
FLUSH_IMPORT = 0.047
# CPU of a cold hit of `ask`, relative to the replaced class: with the secrets in SSM, as deployed,
# and in the environment.
COLD_HIT = 0.09
COLD_HIT_ENVIRON = 0.08


def weigh(folder: Path) -> tuple[int, int]:
    """Return the bytes of all files, and of their zip as `sam deploy` makes it."""
    unzipped, archive = 0, io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            unzipped += len(content)
            # A ZipInfo made by name has the date 1980; a file's own date may be invalid in a zip.
            info = zipfile.ZipInfo(str(file.relative_to(folder)))
            into.writestr(info, content, zipfile.ZIP_DEFLATED)
    return unzipped, archive.tell()
