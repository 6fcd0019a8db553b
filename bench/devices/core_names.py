"""Names and sizes of ARM cores, by the numbers with which they identify themselves (MIDR_EL1).

Facts from the tables of util-linux (sys-utils/lscpu-arm.c) and pytorch/cpuinfo (src/arm/uarch.c, src/arm/linux/midr.c),
and from Arm's and vendors' reference manuals. Qualcomm's and Samsung's own names are theirs, e.g. a Kryo 2xx Gold is a
Cortex-A73 inside.
"""

from __future__ import annotations

# fmt: off
_PARTS: dict[int, dict[int, str]] = {
    0x41: {  # Arm
        0xB02: "ARM11 MPCore", 0xB36: "ARM1136", 0xB56: "ARM1156", 0xB76: "ARM1176",
        0xC05: "Cortex-A5", 0xC07: "Cortex-A7", 0xC08: "Cortex-A8", 0xC09: "Cortex-A9", 0xC0C: "Cortex-A12",
        0xC0D: "Cortex-A17", 0xC0E: "Cortex-A17", 0xC0F: "Cortex-A15", 0xD01: "Cortex-A32", 0xD02: "Cortex-A34",
        0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD06: "Cortex-A65", 0xD07: "Cortex-A57",
        0xD08: "Cortex-A72", 0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1",
        0xD0D: "Cortex-A77", 0xD0E: "Cortex-A76AE", 0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD42: "Cortex-A78AE",
        0xD43: "Cortex-A65AE", 0xD44: "Cortex-X1", 0xD46: "Cortex-A510", 0xD47: "Cortex-A710", 0xD48: "Cortex-X2",
        0xD49: "Neoverse-N2", 0xD4A: "Neoverse-E1", 0xD4B: "Cortex-A78C", 0xD4C: "Cortex-X1C", 0xD4D: "Cortex-A715",
        0xD4E: "Cortex-X3", 0xD4F: "Neoverse-V2", 0xD80: "Cortex-A520", 0xD81: "Cortex-A720", 0xD82: "Cortex-X4",
        0xD83: "Neoverse-V3AE", 0xD84: "Neoverse-V3", 0xD85: "Cortex-X925", 0xD87: "Cortex-A725",
        0xD88: "Cortex-A520AE", 0xD89: "Cortex-A720AE", 0xD8A: "C1-Nano", 0xD8B: "C1-Pro", 0xD8C: "C1-Ultra",
        0xD8E: "Neoverse-N3", 0xD8F: "Cortex-A320", 0xD90: "C1-Premium",
    },
    0x42: {0x00F: "Brahma-B15", 0x100: "Brahma-B53", 0x516: "ThunderX2"},
    0x43: {0x0A0: "ThunderX", 0x0A1: "ThunderX 88xx", 0x0A2: "ThunderX 81xx", 0x0A3: "ThunderX 83xx",
           0x0AF: "ThunderX2 99xx", 0x0B1: "OcteonTX2 98xx", 0x0B2: "OcteonTX2 96xx", 0x0B3: "OcteonTX2 95xx"},
    0x46: {0x001: "A64FX"},
    0x48: {0xD01: "TaiShan v110", 0xD02: "TaiShan v120", 0xD40: "Cortex-A76", 0xD41: "Cortex-A77"},  # Kunpeng, Kirin
    0x4E: {0x000: "Denver", 0x003: "Denver 2", 0x004: "Carmel", 0x010: "Olympus"},
    0x50: {0x000: "X-Gene"},
    0x51: {  # Qualcomm
        0x001: "Oryon", 0x002: "Oryon 2", 0x00F: "Scorpion", 0x02D: "Scorpion", 0x04D: "Krait", 0x06F: "Krait",
        0x201: "Kryo Silver", 0x205: "Kryo Gold", 0x211: "Kryo Silver", 0x800: "Kryo 2xx Gold",
        0x801: "Kryo 2xx Silver", 0x802: "Kryo 3xx Gold", 0x803: "Kryo 3xx Silver", 0x804: "Kryo 4xx Gold",
        0x805: "Kryo 4xx Silver", 0xC00: "Falkor", 0xC01: "Saphira",
    },
    0x53: {0x001: "Exynos M1", 0x002: "Exynos M3", 0x003: "Exynos M4", 0x004: "Exynos M5"},
    0x56: {0x581: "PJ4", 0x584: "PJ4B-MP"},
    0x61: {0x020: "Icestorm (A14)", 0x021: "Firestorm (A14)", 0x022: "Icestorm (M1)", 0x023: "Firestorm (M1)",
           0x024: "Icestorm (M1 Pro)", 0x025: "Firestorm (M1 Pro)", 0x028: "Icestorm (M1 Max)",
           0x029: "Firestorm (M1 Max)", 0x030: "Blizzard (A15)", 0x031: "Avalanche (A15)", 0x032: "Blizzard (M2)",
           0x033: "Avalanche (M2)"},
    0x70: {0x660: "FTC660", 0x661: "FTC661", 0x662: "FTC662", 0x663: "FTC663"},
    0xC0: {0xAC3: "Ampere-1", 0xAC4: "Ampere-1a"},
}

_LITTLE = {
    "Cortex-A5", "Cortex-A7", "Cortex-A32", "Cortex-A34", "Cortex-A35", "Cortex-A53", "Cortex-A55", "Cortex-A320",
    "Cortex-A510", "Cortex-A520", "Cortex-A520AE", "C1-Nano", "Kryo Silver", "Kryo 2xx Silver", "Kryo 3xx Silver",
    "Kryo 4xx Silver",
}
_PRIME = {"Cortex-X1", "Cortex-X1C", "Cortex-X2", "Cortex-X3", "Cortex-X4", "Cortex-X925", "C1-Ultra", "C1-Premium"}

_MIXED: dict[str, tuple[str, ...]] = {
    "msm8956": ("Cortex-A53", "Cortex-A72"), "msm8976": ("Cortex-A53", "Cortex-A72"),
    "msm8992": ("Cortex-A53", "Cortex-A57"), "msm8994": ("Cortex-A53", "Cortex-A57"),
    "exynos5422": ("Cortex-A7", "Cortex-A15"), "exynos5430": ("Cortex-A7", "Cortex-A15"),
    "exynos5433": ("Cortex-A53", "Cortex-A57"), "exynos7420": ("Cortex-A53", "Cortex-A57"),
    "exynos8890": ("Cortex-A53", "Exynos M1"),
    "hi3630": ("Cortex-A7", "Cortex-A15"), "hi3650": ("Cortex-A53", "Cortex-A72"),  # Kirin 920/925, 950/955
    "mt8135": ("Cortex-A7", "Cortex-A15"), "mt8173": ("Cortex-A53", "Cortex-A72"),
    "mt8176": ("Cortex-A53", "Cortex-A72"), "mt6595": ("Cortex-A7", "Cortex-A17"),
    "mt6797": ("Cortex-A53", "Cortex-A53", "Cortex-A72"), "mt6799": ("Cortex-A35", "Cortex-A53", "Cortex-A73"),
    "rk3399": ("Cortex-A53", "Cortex-A72"),
}
# fmt: on
"""Chipsets whose kernels name one core for all, by a part of the chipset's name: their kinds from slow to fast."""


def name(implementer: int, part: int, variant: int | None = None) -> str:
    """The name of a core; its numbers where the tables have none."""
    if (implementer, part, variant) == (0x53, 0x001, 0x4):
        return "Exynos M2"
    return _PARTS.get(implementer, {}).get(part, f"implementer 0x{implementer:02x} part 0x{part:03x}")


def size(core: str) -> int | None:
    """How big a core of that name is among those of its chip: 0 little, 1 big, 2 prime; None for an unknown name."""
    if core in _LITTLE:
        return 0
    if core in _PRIME:
        return 2
    return 1 if any(core in parts.values() for parts in _PARTS.values()) or core == "Exynos M2" else None


def mixed(soc: str) -> tuple[str, ...]:
    """The kinds of cores of a chipset from slow to fast, for those whose kernels do not tell; else empty."""
    squeezed = soc.lower().replace(" ", "").replace("_", "")
    return next((kinds for key, kinds in _MIXED.items() if key in squeezed), ())
