/*
 * Event channels (xenevtchn.h): a port is a row of a table, an event a message from the driver.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int silence = -1; /* what the daemon polls if there is no driver */

typedef struct xenevtchn_handle xenevtchn_handle;

static int take_port(enum use use, uint32_t domid)
{
    struct kept *kept = standin_kept();

    for (int port = 1; port < PORTS; port++) {
        if (kept->ports[port].use == UNUSED) {
            kept->ports[port].use = use;
            kept->ports[port].domid = domid;
            kept->port_of[domid] = port;
            return port;
        }
    }
    errno = ENOSPC;
    return -1;
}

static xenevtchn_handle *handle(void)
{
    if (standin_driver() < 0 && silence < 0)
        silence = eventfd(0, EFD_CLOEXEC);
    return (xenevtchn_handle *)&silence;
}

VISIBLE xenevtchn_handle *xenevtchn_open(void *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    return handle();
}

VISIBLE xenevtchn_handle *xenevtchn_fdopen(void *logger, int fd, unsigned int flags)
{
    (void)logger;
    (void)fd;
    (void)flags;
    return handle();
}

VISIBLE int xenevtchn_close(xenevtchn_handle *xce)
{
    (void)xce;
    return 0;
}

VISIBLE int xenevtchn_fd(xenevtchn_handle *xce)
{
    (void)xce;
    return standin_driver() < 0 ? silence : standin_driver();
}

VISIBLE int xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid, uint32_t remote)
{
    (void)xce;
    if (!standin_state(domid) || remote == 0 || remote > OFFERED_PORTS) {
        errno = EINVAL;
        return -1;
    }
    return take_port(RING, domid);
}

VISIBLE int xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
    (void)xce;
    (void)virq;
    return take_port(VIRQ, NOBODY);
}

VISIBLE int xenevtchn_unbind(xenevtchn_handle *xce, uint32_t port)
{
    struct kept *kept = standin_kept();

    (void)xce;
    if (port == 0 || port >= PORTS || kept->ports[port].use == UNUSED) {
        errno = EINVAL;
        return -1;
    }
    kept->ports[port].use = UNUSED;
    if (kept->port_of[kept->ports[port].domid] == port)
        kept->port_of[kept->ports[port].domid] = 0;
    return 0;
}

VISIBLE int xenevtchn_notify(xenevtchn_handle *xce, uint32_t port)
{
    struct hypervisor *hypervisor = standin_hypervisor();
    struct kept *kept = standin_kept();

    (void)xce;
    if (port == 0 || port >= PORTS || kept->ports[port].use != RING) {
        errno = EINVAL;
        return -1;
    }
    if (hypervisor)
        hypervisor->notices[kept->ports[port].domid]++;
    return 0;
}

/*
 * Takes one message and says which port it is for. Daemons scan all rings after any event, so a message
 * that is no event is given dom0's port.
 */
VISIBLE int xenevtchn_pending(xenevtchn_handle *xce)
{
    struct from_driver got;
    ssize_t size = recv(standin_driver(), &got, sizeof(got), MSG_WAITALL);
    const uint16_t *port_of = standin_kept()->port_of;
    int port = 0;

    (void)xce;
    if (size != sizeof(got))
        _exit(0); /* the driver is gone, and with it every domain */
    standin_message_taken();
    switch (got.message) {
    case MSG_KICK:
        port = got.argument < MAX_DOMID ? port_of[got.argument] : 0;
        break;
    case MSG_DOMAINS:
        port = port_of[NOBODY];
        break;
    case MSG_TIME:
        standin_time_passes(got.argument);
        break;
    }
    return port ? port : port_of[0];
}

VISIBLE int xenevtchn_unmask(xenevtchn_handle *xce, uint32_t port)
{
    (void)xce;
    (void)port;
    return 0;
}
