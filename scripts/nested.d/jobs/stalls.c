/*
 * Runs in dom0: whether the store, or the clock, stands still now and then.
 *
 * usage: stalls SECONDS LEAST    so long by the machine's clock; what takes LEAST milliseconds or more is a stall
 *
 * One process asks the store all the time through the kernel; another one, which comes before all else in dom0, only sleeps
 * ten milliseconds, again and again. If it oversleeps, nobody ran: not dom0, so the store is not to blame for an answer that
 * came no sooner. Prints a line for each request that took LEAST longer than the clock stood still meanwhile, and then
 * `requests N stalled N longest N clock N longest N unexplained N`, times in milliseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { DIRECTORY = 1, READ = 2, WRITE = 11, RM = 13 };       /* io/xs_wire.h */
struct header { uint32_t type, req_id, tx_id, len; };

enum { KEPT = 1000 };
struct span { uint64_t begin, end; };
/* For how long the clock has stood still so far, how often for LEAST, and the latest times of at least LATE: what one process
 * writes and the other reads. */
struct stood { volatile uint64_t stalls, longest, count; struct span kept[KEPT]; };

static const uint64_t MILLISECOND = 1000000, SLEEP = 10 * 1000000, LATE = 10 * 1000000;
static int store;

static void fail(const char *what)
{
    fprintf(stderr, "stalls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void comes_first(int before)
{
    struct sched_param first = { sched_get_priority_max(SCHED_FIFO) - before };

    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0)
        fail("no priority");
}

static void ask(uint32_t type, const char *payload, size_t len)
{
    struct { struct header header; char payload[64]; } request = { { type, 1, 0, len }, { 0 } };
    _Alignas(struct header) char answer[4112];

    memcpy(request.payload, payload, len);
    if (write(store, &request, sizeof(struct header) + len) < 0)
        fail("the request is not taken");
    if (read(store, answer, sizeof answer) < (ssize_t)sizeof(struct header) || ((struct header *)answer)->type != type)
        fail("no answer");
}

static void watch_the_clock(struct stood *stood, uint64_t least)
{
    comes_first(0);
    for (uint64_t before = now();;) {
        struct timespec time = { 0, SLEEP };
        uint64_t at, late;

        nanosleep(&time, NULL);
        at = now();
        late = at - before - SLEEP;
        stood->stalls += late >= least;
        if (late > stood->longest)
            stood->longest = late;
        if (late >= LATE) {
            stood->kept[stood->count % KEPT] = (struct span){ at - late, at };
            __atomic_add_fetch(&stood->count, 1, __ATOMIC_RELEASE);
        }
        before = at;
    }
}

/* For how long the clock stood still in this time. */
static uint64_t stood_still(const struct stood *stood, struct span asked)
{
    uint64_t count = __atomic_load_n(&stood->count, __ATOMIC_ACQUIRE), sum = 0;

    for (uint64_t n = count > KEPT ? count - KEPT : 0; n < count; n++) {
        struct span span = stood->kept[n % KEPT];
        uint64_t begin = span.begin > asked.begin ? span.begin : asked.begin;
        uint64_t end = span.end < asked.end ? span.end : asked.end;
        if (begin < end)
            sum += end - begin;
    }
    return sum;
}

int main(int count, char **words)
{
    static const struct { uint32_t type; const char *name, *payload; size_t len; } requests[] = {
        { WRITE, "WRITE", "/stalls/node\0value", 18 }, { READ, "READ", "/stalls/node", 13 },
        { DIRECTORY, "DIRECTORY", "/stalls", 8 }, { RM, "RM", "/stalls/node", 13 },
    };
    struct stood *stood = mmap(NULL, sizeof *stood, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t asked = 0, stalled = 0, longest = 0, unexplained = 0, least, end;
    pid_t clock;

    if (count != 3 || stood == MAP_FAILED) {
        fprintf(stderr, "usage: stalls SECONDS LEAST\n");
        return 2;
    }
    least = strtoul(words[2], NULL, 10) * MILLISECOND;
    if ((store = open("/dev/xen/xenbus", O_RDWR)) < 0)
        fail("/dev/xen/xenbus");
    if ((clock = fork()) == 0)
        watch_the_clock(stood, least);
    comes_first(1);
    end = now() + strtoul(words[1], NULL, 10) * 1000 * MILLISECOND;
    while (now() < end) {
        size_t which = asked++ % (sizeof requests / sizeof *requests);
        struct span span = { now(), 0 };
        uint64_t took, stood_for;

        ask(requests[which].type, requests[which].payload, requests[which].len);
        span.end = now();
        took = span.end - span.begin;
        if (took > longest)
            longest = took;
        if (took >= least) {
            /* What the clock notices of it, it has noticed then. */
            usleep(2 * SLEEP / 1000);
            stood_for = stood_still(stood, span);
            stalled++;
            if (took - stood_for < least)
                continue;
            unexplained++;
            printf("%s: %llu ms, of which the clock stood still for %llu\n", requests[which].name,
                   (unsigned long long)(took / MILLISECOND), (unsigned long long)(stood_for / MILLISECOND));
        }
        usleep(1000);
    }
    kill(clock, 9);
    printf("requests %llu stalled %llu longest %llu clock %llu longest %llu unexplained %llu\n", (unsigned long long)asked,
           (unsigned long long)stalled, (unsigned long long)(longest / MILLISECOND), (unsigned long long)stood->stalls,
           (unsigned long long)(stood->longest / MILLISECOND), (unsigned long long)unexplained);
    return 0;
}
