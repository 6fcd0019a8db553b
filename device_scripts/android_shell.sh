#!/bin/sh
# Installs Android's own shell and tools, mksh and toybox, which virtual phones have as /system/bin, and strace, by which
# tests see that the runner opens no socket. Nothing here is fatal: a virtual phone without them fetches them for itself, or
# says what it has instead, and those tests are left out.
set -u
missing=""
for tool in mksh toybox strace; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
[ "$missing" ] || exit 0
say() { echo "$1 Virtual phones try to fetch mksh and toybox, else use this computer's own shell and tools and say so."; }
[ "$(uname -s)" = Linux ] || { say "mksh, toybox and strace are not for this system."; exit 0; }
command -v apt-get >/dev/null 2>&1 || { say "Missing, and there is no apt-get here:$missing."; exit 0; }
as_root=""
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    say "Missing, and not to be installed without root (sudo apt-get install$missing):$missing."
    exit 0
  fi
fi
echo "Installing$missing …"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # as_root and missing are words
{ $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1 \
  || say "apt-get could not install$missing."
exit 0
