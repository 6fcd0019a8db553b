#!/bin/sh
# Installs what virtual phones on a PC need beside Python: qemu-user for the programs of ARM phones, and Android's own
# shell and tools, mksh and toybox. Everything else comes from PyPI. Nothing here is fatal: what is missing is said.
set -u
missing=""
{ command -v qemu-aarch64-static && command -v qemu-arm-static; } >/dev/null 2>&1 || missing="$missing qemu-user-static"
for tool in mksh toybox; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
[ "$missing" ] || exit 0
consequence() {
  case "$missing" in *qemu*) echo "Virtual ARM phones need qemu-user-static and will say so." ;; esac
  case "$missing" in
    *mksh*|*toybox*) echo "Virtual phones look for mksh and toybox in Debian's packages, or use this computer's shell and say so." ;;
  esac
}
case "$(uname -s)-$(uname -m)" in
  Linux-*) ;;
  *) echo "Not here, because they run on Linux only:$missing."; consequence; exit 0 ;;
esac
if ! command -v apt-get >/dev/null 2>&1; then
  echo "There is no apt-get here: install your system's packages of$missing."; consequence; exit 0
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    echo "Missing, and not to be installed without root:$missing. To have them: sudo apt-get install$missing"
    consequence; exit 0
  fi
fi
echo "Installing$missing …"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq >/dev/null 2>&1
# One by one: what one system has not must not keep another from being installed.
for package in $missing; do
  # shellcheck disable=SC2086 # as_root is a command with its option, or nothing
  $as_root apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 \
    || { echo "apt-get could not install $package."; consequence; }
done
exit 0
