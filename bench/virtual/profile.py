"""Phone profiles: what a virtual phone says about itself, read from `profiles/*.toml`."""

from __future__ import annotations

import platform
import shutil
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import CorruptData, ToolMissing, UnknownName
from bench.virtual.translation import Translation

Abi = Literal["x86_64", "x86", "arm64-v8a", "armeabi-v7a"]

_HOST_ABIS: dict[str, Abi] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "i686": "x86",
    "aarch64": "arm64-v8a",
    "arm64": "arm64-v8a",
    "armv7l": "armeabi-v7a",
    "armv8l": "armeabi-v7a",
}
_QEMU = {"arm64-v8a": "qemu-aarch64-static", "armeabi-v7a": "qemu-arm-static"}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cluster(_Strict):
    """Cores that share a clock, in the order of the phone's core numbers. Frequencies in kHz."""

    cores: int = Field(ge=1, le=16)
    part: int = Field(ge=0, le=0xFFF)
    """MIDR part number, e.g. 0xd46 for a Cortex-A510."""
    implementer: int = Field(0x41, ge=0, le=0xFF)
    architecture: int = Field(8, ge=7, le=9)
    variant: int = Field(0, ge=0, le=0xF)
    revision: int = Field(0, ge=0, le=0xF)
    frequencies: tuple[int, ...] = Field(min_length=1)
    model_name: str | None = None


class Cpu(_Strict):
    """The whole processor as `/proc/cpuinfo` and cpufreq show it."""

    features: str
    bogomips: float
    hardware: str | None = None
    driver: str
    governors: tuple[str, ...] = Field(min_length=1)
    clusters: tuple[Cluster, ...] = Field(min_length=1)


class Battery(_Strict):
    """`dumpsys battery`: level in %, voltage in mV, temperature in tenths of a °C."""

    level: int = Field(ge=0, le=100)
    voltage: int = Field(ge=0)
    temperature: int
    technology: str = "Li-ion"
    usb_powered: bool = True


class Temperature(_Strict):
    """One sensor of `dumpsys thermalservice`: °C, Android's sensor type and throttling status."""

    name: str
    type: int = Field(ge=-1, le=20)
    value: float
    status: int = Field(0, ge=0, le=6)


class Profile(_Strict):
    """A phone. `abi` "host" runs the host's own machine code, as an x86_64 AVD image of that phone would."""

    name: str
    model: str
    manufacturer: str
    brand: str
    device: str
    product: str
    android: str
    sdk: int = Field(ge=21)
    soc: str
    board: str
    fingerprint: str
    ram_bytes: int = Field(ge=64 << 20)
    abi: Literal["host", "arm64-v8a", "armeabi-v7a"] = "host"
    cpu: Cpu
    battery: Battery
    temperatures: tuple[Temperature, ...] = Field(min_length=1)
    properties: dict[str, str] = {}
    """Further system properties."""

    @property
    def machine_abi(self) -> Abi:
        """The ABI whose programs this phone runs on this host. Raises ToolMissing on a machine Android has none for."""
        if self.abi != "host":
            return self.abi
        machine = platform.machine().lower()
        if machine not in _HOST_ABIS:
            raise ToolMissing(
                f"profile {self.name} runs the host's machine code, and Android has no ABI for {machine!r}",
                "Use a profile that is translated, e.g. pixel-8-arm64.",
            )
        return _HOST_ABIS[machine]

    def translation(self) -> Translation | None:
        """What runs this phone's programs, None when the host does so itself.

        Raises ToolMissing when it is needed and not installed.
        """
        if self.abi == "host" or self.abi == _HOST_ABIS.get(platform.machine().lower()):
            return None
        name = _QEMU[self.abi]
        path = shutil.which(name)
        if path is None:
            raise ToolMissing(
                f"profile {self.name} runs {self.abi} programs, and {name} is not on the PATH",
                "Install it: apt-get install qemu-user-static",
            )
        return Translation(self.abi, Path(path).resolve())


def profile_names() -> tuple[str, ...]:
    """All profiles, sorted."""
    folder = resources.files(__package__) / "profiles"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name: str) -> Profile:
    """The profile of that name. Raises UnknownName, or CorruptData when its file is not understood."""
    if name not in profile_names():
        raise UnknownName.of("phone profile", name, profile_names())
    try:
        return Profile.model_validate({**_read(name), "name": name})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise CorruptData(f"phone profile {name}: {error}", "Reinstall fr-bench.") from error


def _read(name: str) -> dict[str, Any]:
    """A profile's table; `extends` names the profile it differs from in what it says itself."""
    text = (resources.files(__package__) / "profiles" / f"{name}.toml").read_text("utf-8")
    table = tomllib.loads(text)
    base = table.pop("extends", None)
    return {**_read(base), **table} if base else table
