/*
 * Files of a Xen dom0: the page and port of dom0's own ring, the limit that daemons raise, the socket.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* dom0's ring page, or an unused one where no driver plays dom0. */
static int open_page(void)
{
    int fd = standin_open_ring(0);

    if (fd >= 0)
        return fd;
    fd = memfd_create("ring-0", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, PAGE) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_port(void)
{
    int fd = memfd_create("xsd_port", MFD_CLOEXEC);

    if (fd >= 0 && (write(fd, "1", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_any(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...);

    if (strcmp(path, "/proc/xen/xsd_kva") == 0 || strcmp(path, "/dev/xen/xsd_kva") == 0)
        return open_page();
    if (strcmp(path, "/proc/xen/xsd_port") == 0 || strcmp(path, "/dev/xen/xsd_port") == 0)
        return open_port();
    *(void **)&real = dlsym(RTLD_NEXT, name);
    return real(path, flags, mode);
}

static bool takes_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

VISIBLE int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list arguments;

    va_start(arguments, flags);
    if (takes_mode(flags))
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return open_any("open", path, flags, mode);
}

VISIBLE int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list arguments;

    va_start(arguments, flags);
    if (takes_mode(flags))
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return open_any("open64", path, flags, mode);
}

/* Daemons ask for far more open files than a plain machine gives, and stop if refused. */
VISIBLE int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    (void)resource;
    (void)limit;
    return 0;
}

/* oxenstored has these paths compiled in; the C daemon asks XENSTORED_RUNDIR itself. */
#define RUN_DIRECTORY "/var/run/xenstored"
#define SOCKET RUN_DIRECTORY "/socket"

VISIBLE int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t);

    if (getenv("XENSTORED_RUNDIR") && strcmp(path, RUN_DIRECTORY) == 0)
        return 0;
    *(void **)&real = dlsym(RTLD_NEXT, "mkdir");
    return real(path, mode);
}

VISIBLE int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*real)(int, const struct sockaddr *, socklen_t);
    const struct sockaddr_un *wanted = (const struct sockaddr_un *)address;
    const char *directory = getenv("XENSTORED_RUNDIR");
    struct sockaddr_un ours = { .sun_family = AF_UNIX };

    *(void **)&real = dlsym(RTLD_NEXT, "bind");
    if (!directory || address->sa_family != AF_UNIX || strcmp(wanted->sun_path, SOCKET) != 0)
        return real(fd, address, length);
    if (snprintf(ours.sun_path, sizeof(ours.sun_path), "%s/socket", directory) >= (int)sizeof(ours.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    unlink(ours.sun_path);
    return real(fd, (struct sockaddr *)&ours, sizeof(ours));
}
