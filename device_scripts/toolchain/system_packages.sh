#!/bin/sh
# Installs what virtual ARM phones need on a PC: qemu-user. Everything else comes from PyPI.
set -u
command -v qemu-aarch64-static >/dev/null 2>&1 && command -v qemu-arm-static >/dev/null 2>&1 && exit 0
case "$(uname -s)-$(uname -m)" in
  Linux-*) ;;
  *) echo "qemu-user runs on Linux only; virtual ARM phones are not available here."; exit 0 ;;
esac
as_root=""
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    echo "qemu-user is missing and cannot be installed without root: virtual ARM phones will say so."
    echo "To have them: sudo apt-get install qemu-user-static"
    exit 0
  fi
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "qemu-user is missing and there is no apt-get here: install your system's qemu-user-static for virtual ARM phones."
  exit 0
fi
echo "Installing qemu-user-static …"
export DEBIAN_FRONTEND=noninteractive
{ $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends qemu-user-static; } >/dev/null 2>&1 \
  || echo "apt-get could not install qemu-user-static: virtual ARM phones will say so."
exit 0
