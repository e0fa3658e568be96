/*
 * A stand-in for Xen under an unmodified xenstore daemon: what the parts share.
 *
 * Loaded with LD_PRELOAD, it answers the few library calls by which a daemon reaches the hypervisor, so
 * that the daemon runs on any Linux with domains that exist only as files. Its settings are environment
 * variables:
 *
 *   STANDIN_DIR     directory with the file ring-N (4096 bytes) for each domain N that granted its ring
 *                   page, and the file "hypervisor" (struct hypervisor below).
 *   STANDIN_DRIVER  number, one digit, of an open stream socket to the driver, which plays the domains.
 *                   Without it there is only dom0, nothing ever happens to it, and time is real.
 *
 * Driver and daemon take turns, which makes every session repeatable: the driver sends what happened
 * (struct from_driver) and waits until the daemon has nothing left to do (struct to_driver).
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <stdbool.h>
#include <stdint.h>

#define VISIBLE __attribute__((visibility("default")))

#define MAX_DOMID 0x7ff0
#define PAGE 4096

/* Any existing domain keeps the ports 1 to OFFERED_PORTS unbound for the daemon; others do not bind. */
#define OFFERED_PORTS 63

/* What the hypervisor says of a domain, in the bits of struct xen_domctl_get_domain_state; 0: no such domain. */
enum domain_state {
    DOMAIN_EXISTS = 1,
    DOMAIN_SHUT_DOWN = 2,
    DOMAIN_DYING = 4, /* being torn down */
    DOMAIN_DEAD = 8,  /* only its remains are left */
};

/* The file "hypervisor". The driver writes it, but for notices; the daemon takes marks of changes away. */
struct hypervisor {
    uint8_t state[MAX_DOMID];
    uint32_t notices[MAX_DOMID];   /* notifications sent to each domain so far */
    uint64_t unique_id[MAX_DOMID]; /* no two domains ever have the same */
    uint8_t changed[MAX_DOMID];    /* 1 if the state has changed since the daemon has asked */
};

enum message {
    MSG_KICK = 1,    /* argument: domid whose event channel fires */
    MSG_DOMAINS = 2, /* VIRQ_DOM_EXC */
    MSG_TIME = 3,    /* argument: milliseconds that pass */
    MSG_NOTHING = 4, /* only asks for the answer */
};

struct from_driver {
    uint32_t message;
    uint32_t argument;
};

/* Sent whenever the daemon has read messages and is about to sleep. */
struct to_driver {
    uint32_t taken;        /* messages read so far */
    uint32_t milliseconds; /* time that passed so far, on the daemon's clock */
};

#define PORTS 4096
#define NOBODY MAX_DOMID

enum use { UNUSED = 0, RING, VIRQ };

/* What is the machine's, not the daemon's: it is still there when the daemon has another program go on in its place, by
 * exec (a live update). The file "kept" in STANDIN_DIR. */
struct kept {
    uint64_t passed; /* milliseconds */
    uint32_t taken, reported;
    /* Local port N is ports[N]; port 0 is never valid. */
    struct {
        uint32_t use;
        uint32_t domid;
    } ports[PORTS];
    /* The way back, so that an event costs the same however many domains there are: the port in use for each
     * domain's ring, and for VIRQ_DOM_EXC under NOBODY; 0 for none. */
    uint16_t port_of[MAX_DOMID + 1];
};

struct kept *standin_kept(void);

/* The driver's socket, -1 without a driver. */
int standin_driver(void);
/* The file "hypervisor", mapped; NULL without one. */
struct hypervisor *standin_hypervisor(void);
/* State of a domain, any of enum domain_state. dom0 always runs. */
unsigned int standin_state(uint32_t domid);
/* Opens the ring page of a domain; -1 and errno if it has none. */
int standin_open_ring(uint32_t domid);

/* Tells the clock that a message arrived, and moves it. */
void standin_message_taken(void);
void standin_time_passes(uint32_t milliseconds);

#endif
