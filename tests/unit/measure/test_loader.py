"""A device on which glibc's loader cannot start a program: what is said, from the loader's own words."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.errors import RunnerFailed
from bench.measure import lines, loader
from bench.runtimes.loaded import libc
from bench.runtimes.ncnn.toolchain import host_abi

GOOD = ['{"event":"end","status":"ok","exit":0,"ns":1}']


def unaligned(library: bytes) -> bytes:
    """The library with parts of which the loader finds that no page of this size can hold them."""
    data = bytearray(library)
    (start,), (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    for place in range(start, start + size * count, size):
        if struct.unpack_from("<I", data, place)[0] == 1:
            (offset,) = struct.unpack_from("<Q", data, place + 8)
            struct.pack_into("<Q", data, place + 8, offset + 16)
    return bytes(data)


def started(library: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    """/bin/true by this computer's loader, with that library."""
    (folder / "library").write_bytes(library)
    command = [libc.base(host_abi(), Cache(folder / "cache"), lambda *_: None).loader, "--preload", folder / "library"]
    return subprocess.run([*command, "/bin/true"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (unaligned, "the device's memory pages are larger than those that it was linked for"),
        (lambda library: library[:40], "it was cut off"),
        (lambda library: b"no library" * 100, "invalid ELF header"),
    ],
)
def test_a_library_that_the_loader_passes_over_fails_the_launch_even_if_it_then_ran(
    change: object, words: str, tmp_path: Path
) -> None:
    assert callable(change)
    libraries = libc.base(host_abi(), Cache(tmp_path / "cache"), lambda *_: None).libraries
    whole = next(one for one in libraries if one.name.startswith("libm")).read_bytes()
    assert not loader.refusal(started(whole, tmp_path).stderr)
    done = started(change(whole), tmp_path)
    assert done.returncode == 0, "the loader goes on with another library of that name"
    with pytest.raises(RunnerFailed, match="a library of the runtime cannot be loaded") as refused:
        lines.read(GOOD, done.returncode, done.stderr)
    assert words in refused.value.what
    assert "--runtime ncnn" in refused.value.fix


def test_a_folder_or_policy_that_forbids_execution() -> None:
    said = "ERROR: ld.so: object '/data/local/tmp/bench/store/ab' from --preload cannot be preloaded (failed to map segment from shared object): ignored.\nab: error while loading shared libraries: libc.so.6: cannot open"  # noqa: E501
    with pytest.raises(RunnerFailed, match="its folder or SELinux forbids to execute it"):
        lines.read([], 127, said)
    with pytest.raises(RunnerFailed, match=r"cannot be executed: wrong ABI, or the folder or SELinux forbids it env: "):
        lines.read([], 126, "env: /data/local/tmp/bench/store/ab: Permission denied\n")


def test_a_kernel_that_is_too_old() -> None:
    with pytest.raises(RunnerFailed, match="kernel is older than the C library"):
        lines.read([], 127, "FATAL: kernel too old\n")


def test_a_system_call_that_the_device_forbids() -> None:
    done = subprocess.run(["sh", "-c", "sh -c 'kill -SYS $$'"], capture_output=True, text=True, check=False)
    assert done.returncode in (-31, 159)
    with pytest.raises(RunnerFailed, match="SIGSYS, this device forbids a system call"):
        lines.read([], 159, done.stderr)


def test_what_the_runner_says_itself_comes_first() -> None:
    error = '{"event":"error","kind":"unsupported","message":"no"}'
    with pytest.raises(RunnerFailed, match="unsupported: no"):
        lines.read([error], 8, "ERROR: ld.so: object 'a' from --preload cannot be preloaded (file too short): ignored.")
