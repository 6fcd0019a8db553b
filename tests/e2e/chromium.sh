#!/bin/sh
# Installs Debian's Chromium, in which `make test-browser` tries the labelling page.
set -u
[ "${CHROMIUM:-}" ] && exit 0
for one in chromium chromium-browser google-chrome; do command -v "$one" >/dev/null 2>&1 && exit 0; done
command -v apt-get >/dev/null 2>&1 || { echo "Install Chromium by your system's packages, or name one: CHROMIUM=PATH."; exit 1; }
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
echo "Installing chromium …"
export DEBIAN_FRONTEND=noninteractive
{ $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 \
  || { echo "It cannot be installed. By hand: sudo apt-get install chromium"; exit 1; }
