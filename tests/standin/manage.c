/*
 * Domain states (xenmanage.h, Xen 4.21 and later): what the driver says of each domain, its unique id, and which
 * domains have changed.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <errno.h>
#include <string.h>

/* Struct xen_domctl_get_domain_state: dom0 builds domains, has the hardware and runs the store. */
#define DOM0_CAPABILITIES 7
#define DOM0_UNIQUE_ID 1

typedef struct xenmanage_handle xenmanage_handle;

static int unused;

/* dom0 is there from the start, which is a change as that of any other. */
static bool dom0_told;

VISIBLE xenmanage_handle *xenmanage_open(void *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    return (xenmanage_handle *)&unused;
}

VISIBLE int xenmanage_close(xenmanage_handle *xm)
{
    (void)xm;
    return 0;
}

/* What lies beyond a NULL is not asked for. A domain that is gone has nothing but zeros. */
static void fill(uint32_t domid, unsigned int *state, unsigned int *capabilities, uint64_t *unique_id)
{
    struct hypervisor *hypervisor = standin_hypervisor();
    bool exists = standin_state(domid) != 0;

    if (state)
        *state = standin_state(domid);
    if (capabilities)
        *capabilities = domid == 0 ? DOM0_CAPABILITIES : 0;
    if (!unique_id)
        return;
    if (domid == 0)
        *unique_id = DOM0_UNIQUE_ID;
    else
        *unique_id = exists && hypervisor ? hypervisor->unique_id[domid] : 0;
}

VISIBLE int xenmanage_get_domain_info(xenmanage_handle *xm, unsigned int domid, unsigned int *state,
                                      unsigned int *capabilities, uint64_t *unique_id)
{
    (void)xm;
    if (!standin_state(domid)) {
        errno = ENOENT;
        return -1;
    }
    fill(domid, state, capabilities, unique_id);
    return 0;
}

/* The next domain that has changed; -1 once there is none left. */
static int32_t take_changed(void)
{
    struct hypervisor *hypervisor = standin_hypervisor();
    uint8_t *changed;

    if (!dom0_told) {
        dom0_told = true;
        return 0;
    }
    changed = hypervisor ? memchr(hypervisor->changed, 1, MAX_DOMID) : NULL;
    if (!changed)
        return -1;
    *changed = 0;
    return changed - hypervisor->changed;
}

VISIBLE int xenmanage_poll_changed_domain(xenmanage_handle *xm, unsigned int *domid, unsigned int *state,
                                          unsigned int *capabilities, uint64_t *unique_id)
{
    int32_t changed = take_changed();

    (void)xm;
    if (changed < 0) {
        errno = ENOENT;
        return -1;
    }
    *domid = changed;
    fill(changed, state, capabilities, unique_id);
    return 0;
}
