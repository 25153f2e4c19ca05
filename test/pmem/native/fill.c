/* `fill PATH OFFSET` puts standard input into what can only be mapped: a devdax device, or a file of huge pages. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HUGE = 2 << 20 };

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int count, char **arguments) {
    static char bytes[64 << 20];
    if (count != 3) return 2;
    size_t length = fread(bytes, 1, sizeof bytes, stdin), offset = strtoull(arguments[2], NULL, 0);
    if (length % HUGE != 0 || offset % HUGE != 0) return fail("whole huge pages only");
    int fd = open(arguments[1], O_RDWR | O_CREAT, 0600);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) return fail(arguments[1]);
    if (S_ISREG(status.st_mode) && ftruncate(fd, (off_t)(offset + length)) < 0) return fail("ftruncate");
    char *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (address == MAP_FAILED) return fail("mmap");
    memcpy(address, bytes, length);
    return 0;
}
