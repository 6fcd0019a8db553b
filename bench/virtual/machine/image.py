"""What the machine starts from: Debian's kernel for arm64 and a first file system made of Debian's packages."""

from __future__ import annotations

import gzip
import lzma
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from bench.cache import Cache, content_key, own_sources
from bench.debian import Packages
from bench.errors import ToolMissing
from bench.records import Progress
from bench.virtual import android, commands, services
from bench.virtual.machine.cpio import Archive
from bench.virtual.profile import Profile

ABI = "arm64-v8a"
TRANSLATION = "qemu-system"
TOOLS = "mksh R59, toybox 0.8.9"
_SUITE = "trixie"
"""Debian 13: the first with adbd; whatever Debian this computer is."""
_KERNEL = "linux-image-cloud-arm64"
"""Stands for the present kernel for virtual machines."""
_PACKAGES = (
    "adbd", "android-libbase", "android-libboringssl", "android-libcutils", "android-liblog", "busybox-static",
    "libbrotli1", "libbsd0", "libc6", "libcap2", "libcrypt1", "libgcc-s1", "liblz4-1", "libmd0", "libprotobuf32t64",
    "libstdc++6", "libsystemd0", "libxxhash0", "libzstd1", "mksh", "toybox", "zlib1g",
)  # fmt: skip
_PROGRAMS = {
    "bin/busybox": "usr/bin/busybox",
    "sbin/adbd": "usr/lib/android-sdk/platform-tools/adbd",
    "system/bin/sh": "usr/lib/aarch64-linux-musl/bin/mksh",
    "system/lib/toybox": "usr/bin/toybox",
}
_LIBRARIES = (
    "ld-linux-aarch64.so.1", "libbrotlicommon.so.1", "libbrotlidec.so.1", "libbrotlienc.so.1", "libbsd.so.0",
    "libc.so.6", "libcap.so.2", "libcrypt.so.1", "libdl.so.2", "libgcc_s.so.1", "liblz4.so.1", "libm.so.6",
    "libmd.so.0", "libprotobuf.so.32", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libstdc++.so.6",
    "libsystemd.so.0", "libxxhash.so.0", "libz.so.1", "libzstd.so.1",
    *(f"android/lib{name}.so.0" for name in ("base", "crypto", "cutils", "log", "ssl")),
)  # fmt: skip
_LIBRARY_FOLDER = "usr/lib/aarch64-linux-gnu"
_MODULES = (
    "kernel/net/core/failover", "kernel/drivers/net/net_failover", "kernel/drivers/net/virtio_net",
    "kernel/drivers/block/virtio_blk",
)  # fmt: skip
_DEADLINE_S = 600
_INIT = Path(__file__).with_name("init.sh")


class Image(NamedTuple):
    """`kernel`, and the `base` of the first file system, to which a phone's own part is added."""

    kernel: Path
    base: Path


def image(cache: Cache, progress: Progress) -> Image:
    """The machine's image, made once. Raises ToolMissing where Debian's packages cannot be had."""
    key = content_key(_SUITE, _KERNEL, *own_sources("virtual/machine/image.py", "virtual/machine/cpio.py"), _INIT)

    def make(draft: Path) -> None:
        begin = time.monotonic()
        progress(0.0, "making the machine's image from 40 MB of Debian's packages, once")
        _make(draft)
        progress(1.0, f"the machine's image was made in {time.monotonic() - begin:.0f} s")

    folder = cache.build("machine", key, make)
    return Image(folder / "kernel", folder / "base")


def _make(draft: Path) -> None:
    work = draft / "apt"
    work.mkdir()
    packages = Packages(work, "a virtual phone that is a machine", "arm64", _SUITE, _DEADLINE_S)
    root = work / "unpacked"
    origin = packages.unpack((packages.behind(_KERNEL), *_PACKAGES), root)
    made = Archive()
    for folder in ("dev", "proc", "sys", "data", "tmp", "mnt"):
        made.folder(folder)
    for path, source in _PROGRAMS.items():
        made.file(path, _read(root, source), executable=True)
    for name in _LIBRARIES:
        made.file(f"lib/{Path(name).name}", _read(root, f"{_LIBRARY_FOLDER}/{name}"), executable=True)
    kernels = sorted((root / "usr/lib/modules").iterdir())
    for name in _MODULES:
        packed = _read(kernels[0], f"{name}.ko.xz")
        made.file(f"lib/modules/{Path(name).name}.ko", lzma.decompress(packed))
    made.file("init", _INIT.read_bytes(), executable=True)
    made.link("bin/sh", "/system/bin/sh")
    made.link("sdcard", "/data/media/0")
    made.file("etc/passwd", b"root:x:0:0::/:/system/bin/sh\nshell:x:2000:2000::/:/system/bin/sh\n")
    made.file("etc/group", b"root:x:0:\nshell:x:2000:\n")
    packed = gzip.compress(made.finish(), compresslevel=6, mtime=0)
    # What follows has to begin at a multiple of 4; between archives the kernel skips zeros.
    (draft / "base").write_bytes(packed + bytes(-len(packed) % 4))
    shutil.copyfile(next((root / "boot").glob("vmlinuz-*")), draft / "kernel")
    (draft / "origin").write_text(origin, encoding="utf-8")
    shutil.rmtree(work)


def _read(root: Path, name: str) -> bytes:
    """A file of a package, wherever its link leads within the packages. Raises ToolMissing."""
    path = root / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise ToolMissing(f"{name} is not in Debian's packages for a virtual machine", "Report this.") from error


def own_part(profile: Profile) -> bytes:
    """What makes a phone of the machine: properties, commands of its Android, dumpsys."""
    made = Archive()
    told = android.properties(profile, ABI, TRANSLATION, TOOLS)
    for name, text in {"system/build.prop": android.build_prop(told), **services.dumpsys_files(profile)}.items():
        made.file(name, text.encode())
    for name, script in services.scripts("/bin/busybox sh", "/mnt/busybox").items():
        made.file(f"system/bin/{name}", script.encode(), executable=True)
    offered = commands.of(profile.sdk)
    for name in sorted(offered & commands.TOYBOX):
        made.link(f"system/bin/{name}", "../lib/toybox")
    for name in sorted(offered & commands.BUSYBOX - commands.TOYBOX):
        made.link(f"system/bin/{name}", "/bin/busybox")
    listed = commands.multiplexer(offered & commands.TOYBOX, "/system/bin/sh", "/system/bin")
    made.file("system/bin/toybox", listed.encode(), executable=True)
    environment = android.environment("/system", "/data")
    exports = "".join(f"export {name}={value}\n" for name, value in environment.items())
    made.file("system/etc/environment", f"{exports}export ADBD_PORT=5555\n".encode())
    for name in ("cat", "cut", "sed", "sort"):
        made.link(f"mnt/busybox/{name}", "/bin/busybox")
    return made.finish()
