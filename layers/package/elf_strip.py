"""Strip the debugging symbols of a native library (ELF), which are the end of the file.

The loaded part of the file stays as it is, byte for byte. (System V ABI, chapters 4 and 5.) No
existing tool gives the same bytes on every host: binutils' `strip` knows one architecture, and the
output of LLVM's depends on its version.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_IDENTITY = b"\x7fELF\x02\x01"  # 64 bits, little-endian: both architectures of Lambda
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NOBITS = 8  # a section without bytes in the file, e.g. .bss
_ALLOC = 0x2  # a section that is loaded
_INFO_LINK = 0x40


class _Header(NamedTuple):
    ident: bytes
    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int

    @property
    def end(self) -> int:
        return self.offset + (0 if self.type == _NOBITS else self.size)


def machine(library: bytes) -> int | None:
    """Return the ABI's number of the processor; None if this is no 64-bit ELF file."""
    return _header(library).machine if library.startswith(_IDENTITY) else None


def strip(library: bytes) -> bytes:
    """Return the library without debugging symbols; unchanged if that saves nothing."""
    if not library.startswith(_IDENTITY):
        return library
    header = _header(library)
    sections = _sections(library, header)
    count = 1 + max((i for i, it in enumerate(sections) if it.flags & _ALLOC), default=0)
    kept = sections[:count]
    if len(sections) <= count or any(_points_to(it) >= count for it in kept):
        return library
    loaded = max(_loaded(library, header), *(section.end for section in kept))
    stripped = _with_sections(library[:loaded], header, kept, _names(library, header, sections))
    return stripped if len(stripped) < len(library) else library


def _header(library: bytes) -> _Header:
    return _Header(*_HEADER.unpack_from(library))


def _sections(library: bytes, header: _Header) -> list[_Section]:
    starts = range(header.shoff, header.shoff + header.shnum * _SECTION.size, _SECTION.size)
    return [_Section(*_SECTION.unpack_from(library, start)) for start in starts]


def _points_to(section: _Section) -> int:
    """Return the greatest index of another section that this one refers to."""
    return max(section.link, section.info if section.flags & _INFO_LINK else 0)


def _loaded(library: bytes, header: _Header) -> int:
    """Return the end of the last byte that the loader reads."""
    ends = [header.phoff + header.phnum * _SEGMENT.size]
    for start in range(header.phoff, ends[0], _SEGMENT.size):
        _, _, offset, _, _, size, _, _ = _SEGMENT.unpack_from(library, start)
        ends.append(offset + size)
    return max(ends)


def _names(library: bytes, header: _Header, sections: list[_Section]) -> tuple[_Section, bytes]:
    table = sections[header.shstrndx]
    return table, library[table.offset : table.end]


def _with_sections(
    loaded: bytes, header: _Header, kept: list[_Section], names: tuple[_Section, bytes]
) -> bytes:
    """Append the names and headers of the sections to the loaded part, as a linker does."""
    table, text = names
    body = loaded + text
    body += bytes(-len(body) % 8)
    headers = [*kept, table._replace(offset=len(loaded))]
    numbers = header._replace(shoff=len(body), shnum=len(headers), shstrndx=len(kept))
    body += b"".join(_SECTION.pack(*section) for section in headers)
    return _HEADER.pack(*numbers) + body[_HEADER.size :]
