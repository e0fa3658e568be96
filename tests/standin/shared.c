/*
 * What driver and daemon share: the socket, the hypervisor's state, the ring pages.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int driver = -1;
static struct hypervisor *hypervisor;
static const char *directory;

/* Used where nothing is to outlast the daemon. */
static struct kept own;
static struct kept *kept = &own;

/* A file of the directory, mapped; NULL if it is missing or too short. With O_CREAT it is made. */
static void *map_file(const char *name, int flags, size_t size)
{
    char path[256];
    struct stat status;
    int fd;
    void *mapped = MAP_FAILED;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return NULL;
    if (!(flags & O_CREAT) || ftruncate(fd, size) == 0) {
        if (fstat(fd, &status) == 0 && status.st_size >= (off_t)size)
            mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* A daemon may close or redirect its standard streams, so the socket moves to a number of its own. */
static void __attribute__((constructor)) start(void)
{
    const char *number = getenv("STANDIN_DRIVER");
    struct kept *mapped;

    directory = getenv("STANDIN_DIR");
    if (directory) {
        hypervisor = map_file("hypervisor", 0, sizeof(*hypervisor));
        mapped = map_file("kept", O_CREAT, sizeof(*kept));
        if (mapped)
            kept = mapped;
    }
    if (number && number[0] >= '0' && number[0] <= '9')
        driver = fcntl(number[0] - '0', F_DUPFD_CLOEXEC, 100);
}

int standin_driver(void)
{
    return driver;
}

struct hypervisor *standin_hypervisor(void)
{
    return hypervisor;
}

struct kept *standin_kept(void)
{
    return kept;
}

unsigned int standin_state(uint32_t domid)
{
    if (domid == 0)
        return DOMAIN_EXISTS;
    if (!hypervisor || domid >= MAX_DOMID)
        return 0;
    return hypervisor->state[domid];
}

int standin_open_ring(uint32_t domid)
{
    char path[256];
    int fd;

    if (!directory) {
        errno = ENOENT;
        return -1;
    }
    snprintf(path, sizeof(path), "%s/ring-%u", directory, domid);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        errno = EINVAL; /* what Xen says of a grant that is not there */
    return fd;
}
