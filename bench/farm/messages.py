"""What a coordinator and a worker say to each other: JSON of these records, and bytes of files beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bench.devices.words import clean
from bench.errors import (
    BenchError,
    CorruptData,
    DeadlineExceeded,
    DeviceBusy,
    DeviceOffline,
    DeviceRefused,
    DiskFull,
    NoDevice,
    RunnerFailed,
    ToolMissing,
    TransportBroken,
    Unauthorized,
)
from bench.files import is_full

PART = 4 << 20
"""Bytes of a file in one message."""
FILE_MAX = 8 << 30
"""Bytes of the largest file that is taken."""

_KINDS = {
    kind.__name__: kind
    for kind in (CorruptData, DeadlineExceeded, DeviceBusy, DeviceOffline, DeviceRefused, DiskFull, NoDevice,
                 RunnerFailed, ToolMissing, TransportBroken, Unauthorized)
}  # fmt: skip
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=FILE_MAX)]
Seconds = Annotated[float, Field(gt=0, le=31 * 86_400)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _OfPhone(_Record):
    """About one phone, by who has it: `token` is a coordinator's own secret."""

    serial: str
    token: str


class Hello(_Record):
    """Who is there?"""

    kind: Literal["hello"] = "hello"


class Claim(_OfPhone):
    """Have the phone for one run, or go on having it."""

    kind: Literal["claim"] = "claim"


class Renew(_OfPhone):
    kind: Literal["renew"] = "renew"


class Release(_OfPhone):
    kind: Literal["release"] = "release"


class Run(_OfPhone):
    """`told` is where each line of stdout is sent when it comes, None for no one."""

    kind: Literal["run"] = "run"
    argv: tuple[str, ...]
    deadline_s: Seconds
    told: str | None = None
    number: int = 0


class Push(_OfPhone):
    """A file that the host's cache has, or that is the data beside this message."""

    kind: Literal["push"] = "push"
    remote: str
    name: str
    sha256: Sha256
    size: Size
    beside: bool
    deadline_s: Seconds


class Part(_OfPhone):
    """The data beside this message is the part of a file that begins at `offset`."""

    kind: Literal["part"] = "part"
    sha256: Sha256
    size: Size
    offset: Size


class Pull(_OfPhone):
    """A file of the phone: its first part comes beside the answer."""

    kind: Literal["pull"] = "pull"
    remote: str
    most: Size
    deadline_s: Seconds


class More(_OfPhone):
    """The part of a pulled file that begins at `offset`; `done` when it is not needed any more."""

    kind: Literal["more"] = "more"
    handle: str
    offset: Size
    done: bool = False


class Revive(_OfPhone):
    kind: Literal["revive"] = "revive"


Request = Hello | Claim | Renew | Release | Run | Push | Part | Pull | More | Revive
REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])


class Wrong(_Record):
    """An error of a worker."""

    kind: str
    what: str
    fix: str = ""

    @classmethod
    def of(cls, error: Exception, host: str) -> Wrong:
        """What a full disk of the host is to the coordinator: room that is lacking on the way to a phone."""
        if isinstance(error, BenchError):
            kind = type(error).__name__ if type(error).__name__ in _KINDS else "TransportBroken"
            return cls(kind=kind, what=error.what, fix=error.fix)
        kind = "DiskFull" if is_full(error) else "TransportBroken"
        return cls(kind=kind, what=clean(f"host {host}: {type(error).__name__}: {error}"))

    def raised(self) -> BenchError:
        """The error as one of ours; words from elsewhere are bounded."""
        return _KINDS.get(self.kind, TransportBroken)(clean(self.what, 500), clean(self.fix, 500))


class Phone(_Record):
    serial: str
    state: str


class Host(_Record):
    """A worker's host. `boot` is the same for what shares a kernel, and so a processor."""

    name: str
    boot: str
    bench_version: str
    phones: tuple[Phone, ...]


class Reply(_Record):
    """What became of a request; only what it asked for is set."""

    wrong: Wrong | None = None
    host: Host | None = None
    lost: bool = False
    """The phone is not the asker's any more, e.g. the worker was started again: claim it."""
    lacking: bool = False
    """The host's cache does not have the file."""
    status: int = 0
    stdout: str = ""
    stderr: str = ""
    size: int = 0
    handle: str = ""
