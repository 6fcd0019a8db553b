"""Which commands each version of Android has in /system/bin, and who can stand in for them here.

From AOSP's own lists, `system/core/shell_and_utilities/README.md`, Android 6 to 12; later versions count as 12. Left
out is what no PC has: SELinux, input events, services and flash (chcon, sendevent, start, newfs_msdos, log …); getprop
and setprop are bench's own. Up to Android 5 phones had less (no `toybox`), and bench needs more than that.
"""

from __future__ import annotations

_BEGINNING = """
    acpi basename blockdev bzcat cal cat chgrp chmod chown chroot cksum clear cmp comm cp cpio cut date dd df dirname
    dmesg dos2unix du echo env expand expr fallocate false find free grep groups head hostname hwclock id ifconfig
    inotifyd insmod ionice kill ln logname losetup ls lsmod lsof lsusb md5sum mkdir mknod mkswap mktemp modinfo more
    mount mountpoint mv netstat nice nl nohup od paste patch pgrep pidof pkill pmap printenv printf prlimit ps pwd
    readlink realpath renice rm rmdir rmmod route sed seq setsid sha1sum sleep sort split stat strings swapoff swapon
    sync sysctl tac tail tar taskset tee time timeout top touch tr true truncate umount uname uniq unix2dos uptime
    usleep vmstat wc which whoami xargs yes
"""
_CHANGES = (
    (24, "base64 flock iorenice killall tty ulimit xxd", ""),
    (
        26,
        "bunzip2 bzip2 chrt diff file gunzip gzip lspci microcom mkfifo modprobe sha224sum sha256sum sha384sum "
        "sha512sum uudecode uuencode zcat",
        "prlimit route",
    ),
    (28, "awk fmt stty", ""),
    (
        29,
        "bc blkid chattr egrep fgrep freeramdisk fsfreeze getconf getfattr help i2cdetect i2cdump i2cget i2cset iconv "
        "install iotop lsattr makedevs nbd-client nc netcat nproc nsenter partprobe ping ping6 pivot_root prlimit pwdx "
        "rev rfkill setfattr traceroute traceroute6 tunctl unlink unshare uuidgen vconfig watch",
        "",
    ),
    (30, "devmem fsync getopt readelf vi", ""),
    (31, "[ blkdiscard rtcwake test", ""),
)

_TOYBOX = """
    [ acpi arch ascii base32 base64 basename blkdiscard blkid blockdev bunzip2 bzcat cal cat chattr chgrp chmod
    chown chroot chrt chvt cksum clear cmp comm count cp cpio crc32 cut date deallocvt devmem df dirname dmesg
    dnsdomainname dos2unix du echo egrep eject env expand factor fallocate false fgrep file find flock fmt free
    freeramdisk fsfreeze fstype fsync ftpget ftpput getconf gpiodetect gpiofind gpioget gpioinfo gpioset grep groups
    gunzip halt head help hexedit host hostname httpd hwclock i2cdetect i2cdump i2cget i2cset iconv id ifconfig
    inotifyd insmod install ionice iorenice iotop kill killall killall5 link linux32 ln logger login logname losetup
    ls lsattr lsmod lspci lsusb makedevs mcookie md5sum microcom mix mkdir mkfifo mknod mkpasswd mkswap mktemp
    modinfo mount mountpoint mv nbd-client nbd-server nc netcat netstat nice nl nohup nproc nsenter od oneit openvt
    partprobe passwd paste patch pgrep pidof ping ping6 pivot_root pkill pmap poweroff printenv printf prlimit ps
    pwd pwdx pwgen readahead readelf readlink realpath reboot renice reset rev rfkill rm rmdir rmmod rtcwake sed seq
    setfattr setsid sha1sum sha224sum sha256sum sha384sum sha3sum sha512sum shred sleep sntp sort split stat strings
    su swapoff swapon switch_root sync sysctl tac tail tar taskset tee test time timeout top touch true truncate tty
    tunctl uclampset ulimit umount uname unicode uniq unix2dos unlink unshare uptime usleep uudecode uuencode
    uuidgen vconfig vmstat w watch watchdog wc wget which who whoami xargs xxd yes zcat
"""
TOYBOX = frozenset(_TOYBOX.split())
"""What Debian's toybox 0.8.9 prints when it is called by its own name: Android's tools, but for a few."""

_BUSYBOX = """
    awk bc bzip2 dd diff expr getopt gzip more route stty tr traceroute traceroute6 vi
"""
BUSYBOX = frozenset(_BUSYBOX.split())
"""Of Debian's busybox, what its toybox has not."""


def of(sdk: int) -> frozenset[str]:
    """The commands of an API level, as far as there can be such a thing here."""
    found = set(_BEGINNING.split())
    for since, come, gone in _CHANGES:
        if since <= sdk:
            found = found - set(gone.split()) | set(come.split())
    return frozenset(found)


def multiplexer(names: frozenset[str], sh: str, binaries: str) -> str:
    """`toybox` for a version of Android: a script that knows `names`, which are in `binaries`, and no more than these;
    Debian's knows everything, and "is there `toybox sha256sum`?" is a question that bench asks."""
    listed = " ".join(sorted(names))
    return (
        f"#!{sh}\n"
        "# Only what this version of Android has; the program behind it has more.\n"
        f'case "$1" in\n    "") echo "{listed}"; exit;;\n    --version) echo "toybox 0.8.9"; exit;;\nesac\n'
        f'case " {listed} " in\n    *" $1 "*) name="$1"; shift; exec "{binaries}/$name" "$@";;\nesac\n'
        'echo "toybox: Unknown command $1" >&2\nexit 127\n'
    )
