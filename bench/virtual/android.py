"""The Android-like root of a virtual phone: properties, dumpsys, tools, processor, made of files on the host.

    <folder>/system/bin       sh, the tools, getprop, setprop, dumpsys
    <folder>/system/build.prop
    <folder>/system/etc       what dumpsys prints
    <folder>/proc, sys        the files that hide the host's
    <data>                    becomes /data; lives on between starts

A sandbox (`bench.virtual.sandbox`) shows this at its place; without one the phone's paths are looked up here.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from bench.virtual import commands, cores, services
from bench.virtual.profile import Profile
from bench.virtual.translation import Translation
from bench.virtual.userland import HOST_FOLDERS, Userland, host_shell


@dataclass(frozen=True)
class Root:
    """A phone's file system on the host."""

    folder: Path
    data: Path
    cores: tuple[cores.Core, ...]
    translation: Translation | None
    missing: tuple[str, ...] = ()
    """Commands that this version of Android has, and neither toybox nor this host."""
    storage_bytes: int | None = None
    """The room at /data/local/tmp, which is then a file system of its own that is lost when the phone stops."""
    covers: dict[str, Path] = field(default_factory=dict)
    """Paths on the phone and the files or folders that hide the host's there, /data and /system aside."""

    def places(self) -> dict[str, Path]:
        """Every path of the phone that is elsewhere on the host."""
        return {"/data": self.data, "/system": self.folder / "system", **self.covers}

    def locate(self, path: bytes) -> bytes:
        """Where a path of the phone is on the host, for a phone without a sandbox."""
        for place, real in self.places().items():
            inner = place.encode()
            if path == inner or path.startswith(inner + b"/"):
                return str(real).encode() + path[len(inner) :]
        return path

    def confined(self, path: bytes, follow: bool) -> bytes:
        """`locate`, for sync: raises PermissionError for what is outside of the phone, also by `..` or a symbolic link.
        The last part of the path counts as it stands unless links are to be followed."""
        real = self.locate(path)
        folder, name = os.path.split(real)
        whole = follow or name in (b"", b".", b"..")
        resolved = os.path.realpath(real) if whole else os.path.realpath(folder) + b"/" + name
        for place in self.places().values():
            inside = os.path.realpath(str(place).encode())
            if resolved == inside or resolved.startswith(inside + b"/"):
                return real
        raise PermissionError(errno.EACCES, "outside of the phone")

    def translate(self, command: bytes) -> bytes:
        """A shell command with the phone's paths replaced by the host's, for a phone without a sandbox."""
        known = b"|".join(re.escape(place.encode()) for place in self.places())
        return re.sub(rb"(?<![\w./-])(?:" + known + rb")(?![\w.-])", lambda match: self.locate(match.group()), command)


def environment(system: str, data: str) -> dict[str, str]:
    """A shell's environment, with /system and /data at the given places."""
    return {
        "PATH": f"{system}/bin",
        "HOME": "/",
        "USER": "shell",
        "LOGNAME": "shell",
        "SHELL": f"{system}/bin/sh",
        "HOSTNAME": "localhost",
        "ANDROID_ROOT": system,
        "ANDROID_DATA": data,
        "TMPDIR": f"{data}/local/tmp",
        "LC_CTYPE": "C.UTF-8",  # Android's libc knows no other; Debian's has to be told, or toybox cuts names to bytes
    }


def properties(profile: Profile, abi: str, translation: str, tools: str) -> dict[str, str]:
    """All system properties of a phone that runs programs of `abi`, through `translation` if that is not empty, and has
    the shell and tools that are called `tools`. `ro.bench.*` is how results are labelled."""
    is_64 = abi in ("arm64-v8a", "x86_64")
    made = {
        "ro.product.model": profile.model,
        "ro.product.manufacturer": profile.manufacturer,
        "ro.product.brand": profile.brand,
        "ro.product.device": profile.device,
        "ro.product.name": profile.product,
        "ro.product.board": profile.board,
        "ro.board.platform": profile.board,
        "ro.soc.model": profile.soc,
        "ro.build.version.release": profile.android,
        "ro.build.version.sdk": str(profile.sdk),
        "ro.build.fingerprint": profile.fingerprint,
        "ro.product.cpu.abi": abi,
        "ro.product.cpu.abilist": abi,
        "ro.product.cpu.abilist64": abi if is_64 else "",
        "ro.product.cpu.abilist32": "" if is_64 else abi,
        "ro.serialno": "",
        "sys.boot_completed": "1",
        "ro.kernel.qemu": "1",
        "ro.bench.virtual": profile.name,
        "ro.bench.tools": tools,
    }
    if translation:
        made["ro.bench.translation"] = translation
    return {**profile.properties, **made}


def _sensors(profile: Profile) -> dict[str, str]:
    """`/sys/class/thermal` (m°C) and `/sys/class/power_supply/battery` (%, tenths of a °C, µV)."""
    files = {
        "class/power_supply/battery/capacity": str(profile.battery.level),
        "class/power_supply/battery/temp": str(profile.battery.temperature),
        "class/power_supply/battery/voltage_now": str(profile.battery.voltage * 1000),
    }
    for number, sensor in enumerate(profile.temperatures):
        files[f"class/thermal/thermal_zone{number}/type"] = sensor.name
        files[f"class/thermal/thermal_zone{number}/temp"] = str(round(sensor.value * 1000))
    return files


def build(
    profile: Profile, folder: Path, data: Path, tools: Userland, sandboxed: bool, storage_bytes: int | None = None
) -> Root:
    """Make a phone's root anew in `folder`; what is in `data` stays, but for properties that do not persist.

    Scripts name the phone's paths when it is `sandboxed`, else the host's. Raises ToolMissing.
    """
    translation = profile.translation()
    shutil.rmtree(folder, ignore_errors=True)
    binaries = folder / "system" / "bin"
    binaries.mkdir(parents=True)
    missing = _commands(profile.sdk, binaries, tools, sandboxed)
    told = properties(profile, profile.machine_abi, "qemu-user" if translation else "", tools.name)
    texts = {
        "system/build.prop": build_prop(told),
        **services.dumpsys_files(profile),
        "proc/cpuinfo": "",
        "proc/meminfo": "",
        "proc/boot_id": f"{uuid.uuid4()}\n",  # a start of this phone is its boot, whenever the host's was
        **{f"sys/{name}": f"{text}\n" for name, text in _sensors(profile).items()},
    }
    shown = cores.choose(profile.cpu.clusters, cores.host_cores())
    texts["proc/cpuinfo"] = cores.cpuinfo(profile.cpu, shown)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    cores.write_sysfs(folder / "sys/devices/system/cpu", profile.cpu, shown)

    meminfo = "/proc/meminfo" if sandboxed else str(folder / "proc/meminfo")
    for name, script in services.scripts(str(host_shell()), HOST_FOLDERS, meminfo).items():
        _write_script(binaries / name, script)

    covers = {f"/{name}": folder / name for name in ("proc/cpuinfo", "proc/meminfo", "sys")}
    covers["/proc/sys/kernel/random/boot_id"] = folder / "proc/boot_id"
    if translation:
        (folder / translation.inside.lstrip("/")).touch()
        covers[translation.inside] = translation.program
    for name in ("local/tmp", "media/0", "property"):
        (data / name).mkdir(parents=True, exist_ok=True)
    for made in (data / "property").iterdir():
        if not made.name.startswith("persist."):
            made.unlink()
    return Root(folder, data, shown, translation, missing, storage_bytes, covers)


def _commands(sdk: int, binaries: Path, tools: Userland, sandboxed: bool) -> tuple[str, ...]:
    """The shell and what its Android has beside it; returns what nobody here has."""
    toybox = None
    if tools.toybox is None:
        (binaries / "sh").symlink_to(tools.shell)
    else:
        # Copies: what was fetched is nowhere that a sandbox shows.
        shutil.copyfile(tools.shell, binaries / "sh")
        (binaries / "sh").chmod(0o755)
        toybox = binaries.parent / "lib" / "toybox"
        toybox.parent.mkdir()
        shutil.copyfile(tools.toybox, toybox)
        toybox.chmod(0o755)
    offered = commands.of(sdk)
    theirs = offered & tools.toybox_names
    missing = []
    busybox = shutil.which("busybox", path=HOST_FOLDERS)
    for name in sorted(offered):
        if toybox and name in theirs:
            (binaries / name).symlink_to("../lib/toybox")
        elif found := shutil.which(name, path=HOST_FOLDERS) or (busybox if name in commands.BUSYBOX else None):
            (binaries / name).symlink_to(found)
        else:
            missing.append(name)
    if toybox:
        sh, place = ("/system/bin/sh", "/system/bin") if sandboxed else (str(binaries / "sh"), str(binaries))
        _write_script(binaries / "toybox", commands.multiplexer(theirs, sh, place))
    return tuple(missing)


def build_prop(told: dict[str, str]) -> str:
    """The file of properties that a phone is born with."""
    return "".join(f"{name}={value}\n" for name, value in sorted(told.items()))


def _write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
