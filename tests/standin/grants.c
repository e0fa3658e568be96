/*
 * Grants (xengnttab.h) and foreign pages (xenctrl.h): a domain's ring page is a file.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* GNTTAB_RESERVED_XENSTORE (grant_table.h): the one reference under which a ring page is granted. */
#define XENSTORE_GRANT 1

typedef struct xengntdev_handle xengnttab_handle;

static int unused;

VISIBLE xengnttab_handle *xengnttab_open(void *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    return (xengnttab_handle *)&unused;
}

VISIBLE int xengnttab_close(xengnttab_handle *xgt)
{
    (void)xgt;
    return 0;
}

VISIBLE int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
    (void)xgt;
    (void)nr_grants;
    return 0;
}

static void *map_ring(uint32_t domid)
{
    void *page;
    int fd = standin_open_ring(domid);

    if (fd < 0)
        return NULL;
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return page == MAP_FAILED ? NULL : page;
}

VISIBLE void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t reference, int prot)
{
    (void)xgt;
    (void)prot;
    if (reference != XENSTORE_GRANT) {
        errno = EINVAL;
        return NULL;
    }
    return map_ring(domid);
}

VISIBLE int xengnttab_unmap(xengnttab_handle *xgt, void *address, uint32_t count)
{
    (void)xgt;
    return munmap(address, (size_t)count * PAGE);
}

/* oxenstored maps by frame number; whatever the number, it is the domain's only page here. */
VISIBLE void *xc_map_foreign_range(void *xch, uint32_t domid, int size, int prot, unsigned long frame)
{
    (void)xch;
    (void)size;
    (void)prot;
    (void)frame;
    return map_ring(domid);
}
