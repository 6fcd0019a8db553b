"""What a machine is: its name, its chipset, the machine code it runs, and whether it is real."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bench.devices import processors

_MACHINES = {
    "aarch64": "arm64-v8a", "arm64": "arm64-v8a", "armv8l": "armeabi-v7a", "armv7l": "armeabi-v7a",
    "x86_64": "x86_64", "amd64": "x86_64", "i686": "x86", "i386": "x86", "riscv64": "riscv64",
}  # fmt: skip
"""Android's ABI by `uname -m`. A 64-bit kernel on ARMv8 calls itself armv8l towards 32-bit programs."""

_EMULATED = re.compile(
    r"ranchu|goldfish|cutf|vbox86|vsoc|redroid|waydroid|android_x86|generic_x86|ttvm|nox", re.IGNORECASE
)
_EMULATED_PRODUCTS = re.compile(r"sdk_gphone|google_sdk|^sdk$|sdk_x86|aosp_cf|vsoc|cuttlefish|emulator", re.IGNORECASE)
_VIRTUAL_BOARDS = re.compile(
    r"qemu|\bkvm\b|virtualbox|innotek|vmware|bochs|\bxen\b|virtual machine|virtualization|parallels|bhyve|crosvm"
    r"|google compute engine|amazon ec2|openstack|dummy-virt|hyper-v|standard pc",
    re.IGNORECASE,
)


def abis(props: Mapping[str, str], machine: str) -> tuple[str, ...]:
    """Android's ABIs, the preferred one first; where no property names one, by `machine` (`uname -m`)."""
    lists = props.get("ro.product.cpu.abilist") or ",".join(
        props.get(f"ro.product.cpu.{key}", "") for key in ("abilist64", "abilist32", "abi", "abi2")
    )
    named = tuple(dict.fromkeys(abi for part in lists.split(",") if (abi := part.strip())))
    known = _MACHINES.get(machine.strip())
    return named or ((known,) if known else ())


def name(props: Mapping[str, str], board: str) -> str:
    """Maker and model, the maker once; of a board its own name; empty when nothing is known."""
    maker, model = (props.get(f"ro.product.{key}", "").strip() for key in ("manufacturer", "model"))
    repeated = maker and model.casefold().startswith(maker.casefold())
    return (model if repeated else f"{maker} {model}".strip()) or _first_line(board)


def soc(props: Mapping[str, str], cpuinfo: str) -> str:
    """The chipset, by the most specific source that names one; empty when none does."""
    keys = ("ro.soc.model", "ro.chipname", "ro.hardware.chipname", "ro.board.platform")
    found = (props.get(key, "").strip() for key in keys)
    return next((text for text in found if text.lower() not in ("", "unknown", "none", "default")), "") or (
        processors.soc_line(cpuinfo).strip()
    )


def virtual(props: Mapping[str, str], sections: Mapping[str, str]) -> tuple[bool | None, str]:
    """Whether the machine is an emulator or a virtual machine, with the evidence; None if unknown."""
    for key in ("ro.bench.virtual", "ro.kernel.qemu.avd_name", "ro.boot.qemu.avd_name"):
        if props.get(key):
            return True, f"{key} is {props[key]}"
    for key in ("ro.kernel.qemu", "ro.boot.qemu"):
        if props.get(key) == "1":
            return True, f"{key} is 1"
    for keys, pattern in (
        (("ro.hardware", "ro.boot.hardware", "ro.product.board"), _EMULATED),
        (("ro.product.name", "ro.product.device", "ro.product.model", "ro.build.characteristics"), _EMULATED_PRODUCTS),
    ):
        for key in keys:
            if pattern.search(props.get(key, "")):
                return True, f"{key} is {props[key]}"
    if re.search(r"^flags\s*:.*\bhypervisor\b", sections.get("cpuinfo", ""), re.MULTILINE):
        return True, "the processor reports a hypervisor"
    if kind := _first_line(sections.get("hypervisor", "")):
        return True, f"/sys/hypervisor/type is {kind}"
    board = sections.get("board", "").replace("\0", "\n")
    if _VIRTUAL_BOARDS.search(board):
        return True, f"its board is {' '.join(board.split())}"
    real = any(props.get(key) for key in ("ro.hardware", "ro.boot.hardware")) or _first_line(board)
    return (False, "") if real else (None, "")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.replace("\0", "\n").splitlines() if line.strip()), "")
