#!/bin/sh
# Installs Debian's software Vulkan (lavapipe), on which `make test-gpu` tries what computes on GPUs.
set -u
ls /usr/share/vulkan/icd.d/lvp_icd.* >/dev/null 2>&1 && exit 0
command -v apt-get >/dev/null 2>&1 || { echo "Install Mesa's lavapipe and the Vulkan loader by your system's packages."; exit 1; }
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
echo "Installing mesa-vulkan-drivers and libvulkan1 …"
export DEBIAN_FRONTEND=noninteractive
{ $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1; } >/dev/null 2>&1 \
  || { echo "They cannot be installed. By hand: sudo apt-get install mesa-vulkan-drivers libvulkan1"; exit 1; }
