# Makes the NVDIMMs an ext4 and an xfs with DAX, at the folders that are given, and a devdax. All are on node 1.
set -e
namespace() { # REGION MODE
    ndctl create-namespace -f -e "namespace$1.0" -m "$2" -M mem >/dev/null
}

namespace 0 fsdax
mkfs.ext4 -q -b 4096 -m 0 /dev/pmem0
mkdir -p "$1"
mount -o dax=always /dev/pmem0 "$1"
echo 0 >/sys/fs/ext4/pmem0/reserved_clusters # so that a full file system has given out every block

namespace 1 fsdax
mkfs.xfs -q -f -m reflink=0 /dev/pmem1
mkdir -p "$2"
mount -o dax=always /dev/pmem1 "$2"
xfs_io -x -c 'resblks 0' "$2" >/dev/null

namespace 2 devdax
ls /dev/dax*
mount | grep pmem
cat /sys/bus/nd/devices/region*/numa_node
