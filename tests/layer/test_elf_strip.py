"""Stripping a native library removes its symbols and nothing that is loaded."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from layers.package import elf_strip
from tests.layer.artifacts import Artifacts


def section_names(library: bytes) -> set[str]:
    header = elf_strip._header(library)
    sections = elf_strip._sections(library, header)
    _, names = elf_strip._names(library, header, sections)
    return {names[it.name :].split(b"\0", 1)[0].decode() for it in sections}


@pytest.fixture
def library() -> Path:
    """A library with symbols, as its wheel contains it."""
    if sys.platform != "linux":
        pytest.skip("libraries here are no ELF files")
    spec = importlib.util.find_spec("zstandard.backend_c")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def loaded(library: bytes) -> list[bytes]:
    """Return the bytes of each segment after the ELF header, which holds section offsets."""
    header = elf_strip._header(library)
    starts = range(header.phoff, header.phoff + header.phnum * 56, 56)
    segments = [elf_strip._SEGMENT.unpack_from(library, start) for start in starts]
    found = [library[offset : offset + size] for _, _, offset, _, _, size, _, _ in segments]
    return [segment[64:] for segment in found if len(segment) > 64]


def test_stripped_library_keeps_its_loaded_bytes_and_section_names(library: Path) -> None:
    content = library.read_bytes()
    stripped = elf_strip.strip(content)
    assert len(stripped) < len(content) / 5
    assert loaded(stripped) == loaded(content)
    names = section_names(stripped)
    assert {".dynsym", ".dynstr", ".text", ".data", ".bss", ".shstrtab"} <= names
    assert not {name for name in names if name.startswith((".debug", ".symtab"))}
    assert elf_strip.strip(stripped) == stripped


def test_stripped_library_works(library: Path, tmp_path: Path) -> None:
    (tmp_path / library.name).write_bytes(elf_strip.strip(library.read_bytes()))
    script = "import backend_c as it; print(it.__file__, it.ZstdCompressor().compress(b'a')[:4])"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
    assert str(b"\x28\xb5\x2f\xfd") in done.stdout


@pytest.mark.parametrize("content", [b"", b"\xcf\xfa\xed\xfe" + bytes(100), b"\x7fELF\x01\x01"])
def test_file_other_than_64_bit_elf_is_unchanged(content: bytes) -> None:
    assert elf_strip.strip(content) == content
    assert elf_strip.machine(content) is None


def test_no_packaged_library_contains_debugging_symbols(artifacts: Artifacts) -> None:
    libraries = [file for package in artifacts.packages for file in package.rglob("*.so*")]
    assert libraries
    for library in libraries:
        names = section_names(library.read_bytes())
        assert not {name for name in names if name.startswith((".debug", ".symtab"))}, library
