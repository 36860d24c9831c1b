#!/bin/sh
# The first program of the virtual machine: brings up what the tests need, runs them, and turns the machine off.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
# Some need others that come later.
for _ in 1 2 3; do
    for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done
done
ip link set lo up
echo "Linux $(uname -r)"
ulimit -l unlimited
RUST_TEST_THREADS=1 /bin/tests $(cat /arguments)
echo "status $?"
poweroff -f
