# Runs in the guest as its process 1: the steps that the host has written to the share. Brings back of each its output
# (NAME.log), what the kernel had to say meanwhile (NAME.kernel), and its exit code (NAME.code).
share=/run/share
end() {
    exec 2>/dev/null
    sync
    echo o >/proc/sysrq-trigger # off at once; nothing here is worth an orderly end
    sleep 60
}
trap end EXIT
exec >/dev/ttyS1 2>&1 </dev/null
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp LC_ALL=C
: >$share/booted

mkdir -p /dev/shm /dev/pts /dev/hugepages
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t hugetlbfs hugetlbfs /dev/hugepages
mount -t debugfs debugfs /sys/kernel/debug
/bin/busybox ip link set lo up
# What crashes can be looked into afterwards, on the host.
echo "$share/core.%e.%p" >/proc/sys/kernel/core_pattern
ulimit -c unlimited

tab=$(printf '\t')
while IFS=$tab read -r name seconds command <&3; do
    echo "$(cut -d ' ' -f 1 /proc/uptime) $name"
    /bin/busybox dmesg -c >/dev/null
    echo 1 >/sys/kernel/debug/clear_warn_once # so that it warns of everything again
    timeout -k 5 "$seconds" sh -c "$command" >"$share/$name.log" 2>&1 3<&-
    echo $? >"$share/$name.exit"
    /bin/busybox dmesg -c >"$share/$name.kernel"
    mv "$share/$name.exit" "$share/$name.code"
done 3<$share/steps
