/*
 * Time and sleep: the daemon's clock stands still while a driver plays the domains.
 *
 * A daemon that is about to sleep with nothing to read is quiet, and says so to the driver. A short sleep
 * (a rate limit) is skipped by moving the clock; a long one lasts until the driver lets time pass. So
 * nothing in a session depends on how fast the machine is.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Sleeps up to this many milliseconds are skipped ... */
#define SHORT_SLEEP 5000
/* ... but only so many in a row: a daemon that wakes up regularly for nothing is quiet, too. */
#define SKIPPED_IN_A_ROW 200

/* oxenstored does not sleep at all while a client leaves answers in its ring. After so many looks in a row
 * that found nothing, far more than any work takes, it is quiet. */
#define LOOKS_IN_A_ROW 5000

static int skipped, looks;

void standin_message_taken(void)
{
    standin_kept()->taken++;
    skipped = 0;
    looks = 0;
}

void standin_time_passes(uint32_t milliseconds)
{
    standin_kept()->passed += milliseconds;
}

static void report(void)
{
    struct kept *kept = standin_kept();
    struct to_driver quiet = { .taken = kept->taken, .milliseconds = (uint32_t)kept->passed };

    if (kept->reported == kept->taken)
        return;
    kept->reported = kept->taken;
    if (send(standin_driver(), &quiet, sizeof(quiet), MSG_NOSIGNAL) != sizeof(quiet))
        _exit(0);
}

/* True if the sleep of this length (negative: for ever) is over at once. */
static bool skip(int timeout)
{
    if (timeout > 0 && timeout <= SHORT_SLEEP && skipped < SKIPPED_IN_A_ROW) {
        skipped++;
        standin_kept()->passed += timeout;
        return true;
    }
    report();
    return false;
}

VISIBLE int poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
    static int (*real)(struct pollfd *, nfds_t, int);
    int ready;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "poll");
    if (standin_driver() < 0)
        return real(fds, nfds, timeout);
    ready = real(fds, nfds, 0);
    if (ready != 0)
        return ready;
    if (timeout == 0 && ++looks < LOOKS_IN_A_ROW)
        return 0;
    if (timeout == 0)
        report();
    else if (skip(timeout))
        return 0;
    return real(fds, nfds, -1);
}

VISIBLE int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    if (standin_driver() < 0)
        return real(clock, now);
    now->tv_sec = 1000000 + standin_kept()->passed / 1000;
    now->tv_nsec = standin_kept()->passed % 1000 * 1000000;
    return 0;
}

VISIBLE time_t time(time_t *where)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (where)
        *where = now.tv_sec;
    return now.tv_sec;
}

VISIBLE int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec precise;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
