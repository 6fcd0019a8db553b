"""Programs of another processor: qemu-user, made known to the kernel's binfmt_misc in a user namespace of our own.

Linux 6.7 gave every user namespace its own table of binary formats, so neither the host nor its administrator has a
part in it. On older kernels the host's own table serves, where somebody registered qemu-user there (Debian's package
qemu-user-static does).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_HOST_TABLE = Path("/proc/sys/fs/binfmt_misc")
# ELF identification (class, little-endian, version), padding, e_type 2 or 3, e_machine: System V ABI, figure 4-3.
_MAGIC = {
    "arm64-v8a": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00",
    "armeabi-v7a": b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\x00\x28\x00",
}
_MASK = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


@dataclass(frozen=True)
class Translation:
    """How one ABI's programs run here: `program` is qemu on the host."""

    abi: str
    program: Path

    @property
    def inside(self) -> str:
        """qemu's path on the phone."""
        return f"/system/bin/{self.program.name}"

    def register(self, table: Path) -> None:
        """Enter it into a binfmt_misc mounted at `table`. The kernel opens qemu now: it need not be in sight later.

        Raises OSError.
        """
        rule = f":bench-{self.abi}:M::{_escaped(_MAGIC[self.abi])}:{_escaped(_MASK)}:{self.inside}:F"
        (table / "register").write_text(rule)

    def on_host(self) -> bool:
        """Whether the host's own table does the same, for every process and every root (flag F)."""
        magic = f"magic {_MAGIC[self.abi].hex()}"
        for entry in _HOST_TABLE.glob("*"):
            if entry.name in ("register", "status"):
                continue
            rows = entry.read_text().splitlines()
            flags = next((row for row in rows if row.startswith("flags:")), "")
            if rows[:1] == ["enabled"] and magic in rows and "F" in flags.removeprefix("flags:"):
                return True
        return False
