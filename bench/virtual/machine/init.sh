#!/bin/busybox sh
# The first program of a virtual phone that is a machine: mounts, storage, network, and then adbd for ever.
b() { /bin/busybox "$@"; }
b mount -t devtmpfs dev /dev
b mount -t proc proc /proc
b mount -t sysfs sys /sys
b mkdir -p /dev/pts
b mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
b chmod 666 /dev/null /dev/zero /dev/full /dev/ptmx /dev/tty /dev/random /dev/urandom
for module in failover net_failover virtio_net virtio_blk; do b insmod /lib/modules/$module.ko; done
b hostname localhost
b ifconfig lo 127.0.0.1 up
# QEMU's own network: the machine is always this address, and reaches nobody from it.
b ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
# A phone's storage is no memory. Few inodes, so that an empty file system is made at once.
b mke2fs -F -m 0 -i 262144 /dev/vda > /dev/null && b mount -t ext4 -o noatime,nosuid,nodev /dev/vda /data || echo "bench: no storage"
b mkdir -p /data/local/tmp /data/media/0 /data/property
b chown 2000:2000 /data /data/local /data/local/tmp /data/media /data/media/0 /data/property
. /system/etc/environment
cd /
while :; do
  # Nobody is marked for the kernel that looks for memory: it takes the largest program, which is never adbd.
  b start-stop-daemon -S -c shell:shell -x /sbin/adbd
  b sleep 1
done
