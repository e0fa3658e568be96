/*
 * Domain information (xenctrl.h): read from the file the driver writes.
 *
 * The structures are declared only as far as xenstore daemons look; they are the caller's memory, and
 * what lies beyond stays as the caller left it.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <errno.h>

/* xc_dominfo_t, Xen 4.17. */
struct dominfo {
    uint32_t domid;
    uint32_t ssidref;
    unsigned int dying : 1, crashed : 1, shutdown : 1, paused : 1, blocked : 1, running : 1;
};

/* xc_domaininfo_t, struct xen_domctl_getdomaininfo (domctl.h). */
struct domaininfo {
    uint16_t domain;
    uint16_t padding;
    uint32_t flags;
};

#define XEN_DOMINF_dying (1u << 0)
#define XEN_DOMINF_shutdown (1u << 2)

static int unused;

VISIBLE void *xc_interface_open(void *logger, void *dombuild_logger, unsigned flags)
{
    (void)logger;
    (void)dombuild_logger;
    (void)flags;
    return &unused;
}

VISIBLE int xc_interface_close(void *xch)
{
    (void)xch;
    return 0;
}

static bool exists(uint32_t domid)
{
    return domid < MAX_DOMID && standin_state(domid);
}

static uint32_t flags_of(uint32_t domid)
{
    unsigned int state = standin_state(domid);

    return (state & DOMAIN_DEAD ? XEN_DOMINF_dying : 0) | (state & DOMAIN_SHUT_DOWN ? XEN_DOMINF_shutdown : 0);
}

static uint32_t next_existing(uint32_t domid)
{
    while (domid < MAX_DOMID && !exists(domid))
        domid++;
    return domid;
}

/* The existing domains from `first` on, as many as fit. */
VISIBLE int xc_domain_getinfo(void *xch, uint32_t first, unsigned int room, struct dominfo *info)
{
    uint32_t domid = next_existing(first);

    (void)xch;
    if (room == 0)
        return 0;
    if (domid >= MAX_DOMID) {
        errno = ESRCH;
        return -1;
    }
    info->domid = domid;
    info->ssidref = 0;
    info->dying = !!(flags_of(domid) & XEN_DOMINF_dying);
    info->shutdown = !!(flags_of(domid) & XEN_DOMINF_shutdown);
    info->crashed = 0;
    info->paused = 0;
    info->blocked = 0;
    info->running = !info->shutdown;
    return 1;
}

static void fill(struct domaininfo *info, uint32_t domid)
{
    info->domain = domid;
    info->padding = 0;
    info->flags = flags_of(domid);
}

VISIBLE int xc_domain_getinfolist(void *xch, uint32_t first, unsigned int room, struct domaininfo *info)
{
    uint32_t domid = next_existing(first);

    (void)xch;
    if (room == 0 || domid >= MAX_DOMID)
        return 0;
    fill(info, domid);
    return 1;
}

/* Xen 4.18 and later: exactly this domain. */
VISIBLE int xc_domain_getinfo_single(void *xch, uint32_t domid, struct domaininfo *info)
{
    (void)xch;
    if (!exists(domid)) {
        errno = ESRCH;
        return -1;
    }
    fill(info, domid);
    return 0;
}
