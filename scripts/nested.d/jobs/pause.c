/*
 * Runs in dom0: how long the store is silent, as its clients see it.
 *
 * usage: pause fill COUNT    makes nodes below /pause, so many of them, with a value each
 *        pause watch FILE    READs one after the other through the kernel, until FILE is there. Each answer must be the
 *                            right one. Prints the longest time between two answers, in nanoseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READ = 2, WRITE = 11 };                               /* io/xs_wire.h */
struct header { uint32_t type, req_id, tx_id, len; };

/* Nodes of one directory: as many as an ordinary guest's part of the tree has. */
enum { PART = 30 };

static const char value[] = "value-of-it";
static int store;

static void fail(const char *what)
{
    fprintf(stderr, "pause: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* Puts the answer's payload into `answer`; the kernel gives a whole answer to one read. */
static size_t ask(uint32_t type, const char *payload, size_t len, char answer[4112])
{
    struct { struct header header; char payload[64]; } request = { { type, 1, 0, len }, { 0 } };
    ssize_t got;

    memcpy(request.payload, payload, len);
    if (write(store, &request, sizeof(struct header) + len) < 0)
        fail("the request is not taken");
    got = read(store, answer, 4112);
    if (got < (ssize_t)sizeof(struct header) || ((struct header *)answer)->type != type)
        fail("no answer");
    return got - sizeof(struct header);
}

static void make(unsigned long number)
{
    char answer[4112], payload[64];
    int len = snprintf(payload, sizeof payload, "/pause/part-%lu/node-%lu", number / PART, number % PART) + 1;

    memcpy(payload + len, value, sizeof value - 1);
    ask(WRITE, payload, len + sizeof value - 1, answer);
}

static uint64_t watch(const char *file)
{
    static const char path[] = "/pause/part-0/node-0";
    _Alignas(struct header) char answer[4112];
    uint64_t longest = 0, before = 0;

    /* What dom0 has to do beside this is no pause of the store's. */
    struct sched_param first = { sched_get_priority_max(SCHED_FIFO) };

    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0)
        fail("no priority");
    make(0);
    while (access(file, F_OK) != 0) {
        size_t len = ask(READ, path, sizeof path, answer);
        uint64_t at = now();
        if (len != sizeof value - 1 || memcmp(answer + sizeof(struct header), value, len) != 0)
            fail("a wrong answer");
        if (before && at - before > longest)
            longest = at - before;
        before = at;
    }
    return longest;
}

int main(int count, char **words)
{
    if (count != 3) {
        fprintf(stderr, "usage: pause fill COUNT | pause watch FILE\n");
        return 2;
    }
    if ((store = open("/dev/xen/xenbus", O_RDWR)) < 0)
        fail("/dev/xen/xenbus");
    if (strcmp(words[1], "fill") == 0)
        for (unsigned long number = 0; number < strtoul(words[2], NULL, 10); number++)
            make(number);
    else
        printf("%llu\n", (unsigned long long)watch(words[2]));
    return 0;
}
