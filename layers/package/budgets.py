"""What the layer may weigh and its imports may take: nothing else in the repository says these."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Bytes of one architecture's layer, bytecode and Powertools included. (Lambda allows 250 MB
# unzipped, function and all layers together; a cold start pays for each.)
ZIPPED = 15_000_000
UNZIPPED = 50_000_000

# CPU seconds, as a share of those that importing the replaced class takes, as `sam build` packages
# it by default. Both sides are measured in one run, taking turns.
ASK_IMPORT = 0.2
FLUSH_IMPORT = 0.045
# And those of a repeated question to a cold `ask`, as a share of what it takes where that class
# answers: with the secrets in SSM, as deployed, and with the secrets in the environment.
COLD_HIT = 0.09
COLD_HIT_ENVIRON = 0.08


def weigh(folder: Path) -> tuple[int, int]:
    """Return the bytes of all files, and of a zip of them as `sam deploy` makes it."""
    unzipped, archive = 0, io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            unzipped += len(content)
            # An entry made by name is dated 1980, where a file's own date may lie before that.
            info = zipfile.ZipInfo(str(file.relative_to(folder)))
            into.writestr(info, content, zipfile.ZIP_DEFLATED)
    return unzipped, archive.tell()
