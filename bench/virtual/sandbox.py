"""Namespaces of Linux around a virtual phone: its own users, mounts and processes, an Android-like root, nothing else.

The whole daemon moves in once, so a shell costs no more than fork and exec. As root no user namespace is made: one
whose user 0 is the host's could write the host's /proc/sys; the rights are given up at the end instead. As an ordinary
user the user namespace is what permits the rest. After `enter` this process is the first of its PID namespace,
user 2000 (Android's `shell`), has no rights beyond that and can gain none.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bench.virtual.android import Root
from bench.virtual.translation import Translation

SHELL_UID = 2000
_HOST_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_HOST_FILES = ("etc/ld.so.cache", "etc/ld.so.conf", "etc/alternatives", "etc/localtime")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_USERS = f"root:x:0:0::/:/system/bin/sh\nshell:x:{SHELL_UID}:{SHELL_UID}::/data:/system/bin/sh\n"
_GROUPS = f"root:x:0:\nshell:x:{SHELL_UID}:\n"

_NEW_NS, _NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_PID = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_REMOUNT, _NOATIME, _BIND, _REC, _PRIVATE, _RELATIME = 32, 1024, 4096, 16384, 1 << 18, 1 << 21
_DETACH = 2
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 1, 4, 36, 38
_CAPABILITY_VERSION = 0x20080522


class Refused(Exception):
    """This kernel, or this user's rights, do not allow the sandbox. The text says which step failed."""


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:  # unshare's way to say that a limit on namespaces is reached
        return "no more user namespaces are allowed (sysctl user.max_user_namespaces)"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


def _call(step: str, function: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{step}: {os.strerror(number)}")


def _mount(source: Path | str | None, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    coded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else options.encode()
    _call(f"mount {target}", "mount", *coded, ctypes.c_ulong(flags), data)


def _bind(source: Path, target: Path, read_only: bool) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(source, target, None, _BIND | _REC)
    if read_only:
        # A user namespace may add flags to a mount, not take those away that it came with.
        have = os.statvfs(target).f_flag
        kept = {os.ST_NOSUID: _NOSUID, os.ST_NODEV: _NODEV, os.ST_NOEXEC: _NOEXEC}
        kept |= {os.ST_NOATIME: _NOATIME, os.ST_RELATIME: _RELATIME}
        flags = sum(flag for bit, flag in kept.items() if have & bit)
        _mount(None, target, None, _BIND | _REMOUNT | _RDONLY | flags)


def _is_full_root() -> bool:
    """Root of the host or of a container with ordinary users in it, not the only user of a rootless one."""
    if os.getuid() != 0:
        return False
    rows = (map(int, row.split()) for row in Path("/proc/self/uid_map").read_text().splitlines())
    return any(first <= SHELL_UID < first + count for first, _, count in rows)


def _enter_namespaces(as_root: bool) -> None:
    user, group = os.getuid(), os.getgid()
    flags = _NEW_NS | _NEW_PID | _NEW_IPC | _NEW_UTS | (0 if as_root else _NEW_USER)
    _call("namespaces (unshare)", "unshare", flags)
    if not as_root:
        _map_ids(SHELL_UID, user, group)


def _map_ids(inside: int, user: int, group: int) -> None:
    """Name the one user and group of a new user namespace."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{inside} {group} 1")


def _host_view(new: Path) -> None:
    """The host's programs and libraries, for reading."""
    for name in _HOST_FOLDERS:
        source = Path("/", name)
        if source.is_symlink():
            (new / name).symlink_to(source.readlink())
        elif source.is_dir():
            _bind(source, new / name, read_only=True)
    for name in _HOST_FILES:
        if Path("/", name).exists():
            _bind(Path("/", name).resolve(), new / name, read_only=True)


def _devices(new: Path) -> None:
    for name in _DEVICES:
        _bind(Path("/dev", name), new / "dev" / name, read_only=False)
    (new / "dev/pts").mkdir()
    _mount("devpts", new / "dev/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    (new / "dev/ptmx").symlink_to("pts/ptmx")
    (new / "dev/fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (new / "dev" / name).symlink_to(f"/proc/self/fd/{number}")


def _build_view(root: Root) -> None:
    """Mount the phone's file system and make it this process's root."""
    _mount(None, Path("/"), None, _REC | _PRIVATE)
    new = root.folder.parent / "view"
    new.mkdir(exist_ok=True)
    _mount("tmpfs", new, "tmpfs", _NOSUID | _NODEV, "mode=755,size=16m")
    _host_view(new)
    (new / "etc").mkdir(exist_ok=True)
    (new / "etc/passwd").write_text(_USERS)
    (new / "etc/group").write_text(_GROUPS)
    _devices(new)
    _bind(root.data, new / "data", read_only=False)
    if root.storage_bytes:
        limits = f"mode=771,size={root.storage_bytes},uid={SHELL_UID},gid={SHELL_UID}"
        _mount("tmpfs", new / "data/local/tmp", "tmpfs", _NOSUID | _NODEV, limits)
    _bind(root.folder / "system", new / "system", read_only=True)
    (new / "sdcard").symlink_to("/data/media/0")
    (new / "mnt").mkdir()
    (new / "proc").mkdir()
    _mount("proc", new / "proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    for place, real in root.covers.items():
        _bind(real, new / place.lstrip("/"), read_only=True)
    (new / "old").mkdir()
    _call("pivot_root", "pivot_root", os.fsencode(new), os.fsencode(new / "old"))
    os.chdir("/")
    _call("umount of the host", "umount2", b"/old", _DETACH)
    Path("/old").rmdir()
    _mount(None, Path("/"), None, _BIND | _REMOUNT | _RDONLY | _NOSUID | _NODEV)
    socket.sethostname("localhost")


def _own(folder: Path) -> None:
    """Give the phone's storage to its user."""
    os.lchown(folder, SHELL_UID, SHELL_UID)
    for inside in folder.rglob("*"):
        os.lchown(inside, SHELL_UID, SHELL_UID)


def _become_shell() -> None:
    """From root to Android's shell user."""
    os.setgroups([])
    os.setresgid(SHELL_UID, SHELL_UID, SHELL_UID)
    os.setresuid(SHELL_UID, SHELL_UID, SHELL_UID)


def _control(option: int, value: int) -> None:
    _call("prctl", "prctl", *(ctypes.c_ulong(number) for number in (option, value, 0, 0, 0)))


def _drop_capabilities() -> None:
    """A user namespace gives its maker every right inside; what is closed to a shell must be closed to sync too."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    _call("capset", "capset", header, (ctypes.c_uint32 * 6)())


def shield() -> None:
    """Last step of the first process inside: from here on nothing reaches it but what it listens to."""
    _control(_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Without a PID namespace: let what a shell leaves behind become this process's child, so that it can be found."""
    if sys.platform == "linux":
        _control(_SET_CHILD_SUBREAPER, 1)


def _translate(translation: Translation) -> None:
    """Teach the kernel the phone's programs. A table of binary formats belongs to user 0 of a user namespace: be that
    for a moment, and the shell's user again in a namespace below it."""
    table = Path("/mnt")
    _call("namespaces for translation (unshare)", "unshare", _NEW_USER | _NEW_NS)
    _map_ids(0, SHELL_UID, SHELL_UID)
    _mount("binfmt_misc", table, "binfmt_misc", _NOSUID | _NODEV | _NOEXEC)
    translation.register(table)
    # The table lives while it is mounted; out of sight, because its files belong to the shell's user as well.
    _mount("tmpfs", table, "tmpfs", _NOSUID | _NODEV | _RDONLY, "mode=755,size=4k")
    _call("namespaces for translation (unshare)", "unshare", _NEW_USER)
    _map_ids(SHELL_UID, 0, 0)


def enter(root: Root, before: Callable[[], None], serve: Callable[[], NoReturn], after: Callable[[], None]) -> int:
    """Make the sandbox in a child process and run `serve` in it; returns that child's PID.

    The child stays outside as the parent of the first process inside: it ends when that one ends, takes it along when
    it is ended itself, and calls `after` last. `before` is called inside while the host is still in sight and the
    rights are still there. The calling process stays as it was.
    Raises Refused when the sandbox cannot be made.
    """
    if sys.platform != "linux":
        raise Refused(f"{sys.platform} has no namespaces")
    verdict_read, verdict_write = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(verdict_read)
        _keep(root, verdict_write, before, serve, after)
    os.close(verdict_write)
    with os.fdopen(verdict_read, "rb") as pipe:
        verdict = pipe.read().decode()
    if verdict != "ok":
        os.waitpid(keeper, 0)
        raise Refused(verdict or "the sandbox's first process died")
    return keeper


def _keep(
    root: Root, verdict: int, before: Callable[[], None], serve: Callable[[], NoReturn], after: Callable[[], None]
) -> NoReturn:
    """The life of the process between the host and the sandbox."""
    try:
        as_root = _is_full_root()
        _enter_namespaces(as_root)
        first = os.fork()
        if first == 0:
            _become_phone(root, as_root, verdict, before, serve)
    except OSError as error:
        os.write(verdict, _reason(error).encode())
        os._exit(1)
    os.close(verdict)

    def end(*_: object) -> None:
        os.kill(first, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    _, status = os.waitpid(first, 0)
    after()
    os._exit(0 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status))


def _become_phone(
    root: Root, as_root: bool, verdict: int, before: Callable[[], None], serve: Callable[[], NoReturn]
) -> NoReturn:
    try:
        _control(_SET_PDEATHSIG, signal.SIGKILL)
        before()
        translation = root.translation if root.translation and not root.translation.on_host() else None
        if as_root:
            _own(root.data)
        _build_view(root)
        if as_root:
            _become_shell()
            _control(_SET_DUMPABLE, 1)  # else /proc/self belongs to root since the change of user
        if translation:
            _translate(translation)
        _drop_capabilities()
        # Again: a change of user forgets it.
        _control(_SET_PDEATHSIG, signal.SIGKILL)
        _control(_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        os.write(verdict, _reason(error).encode())
        os._exit(1)
    os.write(verdict, b"ok")
    os.close(verdict)
    serve()
