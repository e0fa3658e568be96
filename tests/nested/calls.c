/*
 * Runs in dom0: how often the stub domain calls the hypervisor for a request.
 *
 * The domain is paused while requests are put into dom0's ring, so that it finds all of them at once however
 * the processors are shared. What it did then is in its own counts, which are asked for in the same way.
 * usage: calls DOMID. Prints lines of ROW|COLUMN|AVERAGE.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CONTROL = 0, READ = 2 };                              /* io/xs_wire.h */
enum { DOMCTL = 36, PAUSE = 3, UNPAUSE = 4 };                /* xen.h, domctl.h */
enum { FIRST_VERSION = 0x14, LAST_VERSION = 0x40 };          /* of domctl.h's interface */

struct header { uint32_t type, req_id, tx_id, len; };
struct hypercall { uint64_t op, arg[5]; };                   /* linux: xen/privcmd.h */
struct domctl { uint32_t cmd, version; uint16_t domain, pad[3]; uint64_t u[16]; };

/* What is counted, by the names that `stats` gives. Once a second the clock wakes the server, and it looks at the rings:
 * polls tell wake-ups that found something to do, looks each setting of the timer. */
static const char *const columns[] = { "requests", "polls", "looks", "notify", "idle", "wake-up", "timer",
                                       "other-hypercalls" };
enum { REQUESTS, POLLS, LOOKS, NOTIFY, IDLE, WAKE_UP, TIMER, COLUMNS = sizeof(columns) / sizeof(columns[0]) };
struct counts { double of[COLUMNS]; };

static int store, privcmd, domain;

static void fail(const char *what)
{
    fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void domctl(uint32_t cmd)
{
    static uint32_t version = FIRST_VERSION;
    static struct domctl op;
    struct hypercall call = { DOMCTL, { (uintptr_t)&op } };

    mlock(&op, sizeof(op));
    for (; version <= LAST_VERSION; version++) {
        op = (struct domctl){ .cmd = cmd, .version = version, .domain = domain };
        if (ioctl(privcmd, _IOC(_IOC_NONE, 'P', 0, sizeof(call)), &call) == 0)
            return;
        if (errno != EACCES)
            break;
    }
    fail("the domain cannot be paused");
}

/* Long enough for the kernel to move what was written into the ring, and for the server to go to sleep. */
static void settle(void)
{
    usleep(20000);
}

static void ask(uint32_t type, const char *text)
{
    struct { struct header header; char text[64]; } message = { { type, 0, 0, strlen(text) + 1 }, "" };
    ssize_t len = sizeof(message.header) + message.header.len;

    /* Words of CONTROL end in NUL each. */
    for (size_t n = 0; text[n]; n++)
        message.text[n] = text[n] == '|' ? 0 : text[n];
    if (write(store, &message, len) != len)
        fail("a request cannot be written");
}

static void answer(char *text, size_t size)
{
    struct header header;

    if (read(store, &header, sizeof(header)) != sizeof(header) || header.len >= size)
        fail("no answer");
    for (size_t got = 0; got < header.len;) {
        ssize_t n = read(store, text + got, header.len - got);
        if (n <= 0)
            fail("half an answer");
        got += n;
    }
    text[header.len] = 0;
}

/* The server finds this many requests at once. */
static void burst(int requests, uint32_t type, const char *text, char *reply, size_t size)
{
    settle();
    domctl(PAUSE);
    for (int n = 0; n < requests; n++)
        ask(type, text);
    settle();
    domctl(UNPAUSE);
    for (int n = 0; n < requests; n++)
        answer(reply, size);
}

static struct counts stats(void)
{
    char text[4098];
    struct counts counts;

    /* A line's name begins behind the end of another. */
    text[0] = '\n';
    burst(1, CONTROL, "stats|totals", text + 1, sizeof(text) - 1);
    for (int n = 0; n < COLUMNS; n++) {
        char name[32];
        snprintf(name, sizeof(name), "\n%s ", columns[n]);
        const char *line = strstr(text, name), *number = line ? strchr(line, ':') : NULL;
        if (!number) {
            fprintf(stderr, "calls: the server does not count %s\n", columns[n]);
            exit(1);
        }
        counts.of[n] = atof(number + 1);
    }
    return counts;
}

static struct counts difference(struct counts after, struct counts before)
{
    for (int n = 0; n < COLUMNS; n++)
        after.of[n] -= before.of[n];
    return after;
}

/* Reports what a burst takes, and checks that nobody else asks meanwhile. */
static void measure(const char *row, int requests, int held)
{
    enum { TIMES = 50 };
    char reply[4097];
    struct counts first = stats(), begin = stats();

    for (int time = 0; time < TIMES; time++) {
        if (held) {
            burst(requests, READ, "/tool", reply, sizeof(reply));
        } else {
            ask(READ, "/tool");
            answer(reply, sizeof(reply));
        }
    }
    /* Each asking for the counts is in them as well. */
    struct counts all = difference(difference(stats(), begin), difference(begin, first));
    if (all.of[REQUESTS] != requests * TIMES) {
        fprintf(stderr, "calls: %s: the server had %.0f requests\n", row, all.of[REQUESTS]);
        exit(1);
    }
    /* What the clock alone has caused is no request's. */
    double alone = all.of[WAKE_UP] - all.of[POLLS];
    all.of[IDLE] -= alone;
    all.of[WAKE_UP] -= alone;
    all.of[TIMER] -= all.of[LOOKS];
    /* Where the counts are asked for just as it looks, the timer is set behind. */
    if (all.of[TIMER] == 1 || all.of[TIMER] == -1)
        all.of[TIMER] = 0;
    for (int n = NOTIFY; n < COLUMNS; n++)
        printf("%s|%s|%.2f\n", row, columns[n], all.of[n] / TIMES);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: calls DOMID\n");
        return 2;
    }
    domain = atoi(argv[1]);
    if ((store = open("/dev/xen/xenbus", O_RDWR)) < 0 || (privcmd = open("/dev/xen/privcmd", O_RDWR)) < 0)
        fail("no Xen devices");
    measure("lone request", 1, 1);
    measure("burst of 20 requests", 20, 1);
    measure("request as Linux writes it", 1, 0);
    return 0;
}
