"""A virtual phone that is a machine of its own: QEMU runs Debian's arm64 kernel, with its own memory and killer of
programs that want too much, and Debian's build of Android's own adb daemon. From packages alone.
"""
