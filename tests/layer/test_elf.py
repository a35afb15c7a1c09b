"""What is cut off a native library, and what stays as it was."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from layers.package import elf
from tests.layer.artifacts import ELF_MACHINES, HOST, Artifacts


def unstripped() -> Path:
    """A library as its wheel brings it, symbols and all."""
    spec = importlib.util.find_spec("zstandard.backend_c")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def loaded(library: bytes) -> list[bytes]:
    """All that a loader reads, segment by segment."""
    header = elf._header(library)
    starts = range(header.phoff, header.phoff + header.phnum * 56, 56)
    segments = [elf._SEGMENT.unpack_from(library, start) for start in starts]
    return [library[offset : offset + size] for _, _, offset, _, _, size, _, _ in segments]


def section_names(library: bytes) -> set[str]:
    header = elf._header(library)
    sections = elf._sections(library, header)
    _, names = elf._names(library, header, sections)
    return {names[it.name :].split(b"\0", 1)[0].decode() for it in sections}


needs_elf = pytest.mark.skipif(sys.platform != "linux", reason="libraries here are no ELF files")


@needs_elf
def test_what_is_loaded_stays_as_it_was_and_the_rest_goes() -> None:
    library = unstripped().read_bytes()
    stripped = elf.strip(library)
    assert len(stripped) < len(library) / 5
    # The header itself lies in the first segment, and says where the sections are.
    assert [segment[64:] for segment in loaded(stripped) if len(segment) > 64] == [
        segment[64:] for segment in loaded(library) if len(segment) > 64
    ]


@needs_elf
def test_sections_that_are_loaded_keep_their_names() -> None:
    found = section_names(elf.strip(unstripped().read_bytes()))
    assert {".dynsym", ".dynstr", ".text", ".data", ".bss", ".shstrtab"} <= found
    assert not {name for name in found if name.startswith(".debug") or name == ".symtab"}


@needs_elf
def test_a_stripped_library_is_imported_and_works(tmp_path: Path) -> None:
    library = unstripped()
    (tmp_path / library.name).write_bytes(elf.strip(library.read_bytes()))
    script = "import backend_c as it; print(it.__file__, it.ZstdCompressor().compress(b'a')[:4])"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
    assert str(b"\x28\xb5\x2f\xfd") in done.stdout


@needs_elf
def test_stripping_twice_is_stripping_once() -> None:
    once = elf.strip(unstripped().read_bytes())
    assert elf.strip(once) == once


@pytest.mark.parametrize("content", [b"", b"\xcf\xfa\xed\xfe" + bytes(100), b"\x7fELF\x01\x01"])
def test_what_is_no_64_bit_elf_file_is_left_alone(content: bytes) -> None:
    assert elf.strip(content) == content
    assert elf.machine(content) is None


def test_no_library_that_is_packaged_holds_symbols_for_a_debugger(artifacts: Artifacts) -> None:
    libraries = [file for package in artifacts.packages for file in package.rglob("*.so*")]
    assert libraries
    for library in libraries:
        left = section_names(library.read_bytes())
        assert not {name for name in left if name.startswith((".debug", ".symtab"))}, library


def test_the_host_s_libraries_are_read_as_the_host_s(host: Artifacts) -> None:
    machines = {elf.machine(file.read_bytes()) for file in host.layer.rglob("*.so")}
    assert machines == {ELF_MACHINES[HOST.architecture]}
