/*
 * Runs in dom0: how long its own requests wait for their answers.
 *
 * usage: latency COUNT. READs of a node through the kernel, one a millisecond or so, as an administrator's tools
 * would ask: not more, because it is the others who are to load the store. Each answer must be the right one.
 * Prints `median P99 MAX`, in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READ = 2, WRITE = 11 };                               /* io/xs_wire.h */
struct header { uint32_t type, req_id, tx_id, len; };

static const char path[] = "/tool/latency", value[] = "latency";
static int store;

static void fail(const char *what)
{
    fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
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

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

int main(int count_of_words, char **words)
{
    _Alignas(struct header) char answer[4112];
    char written[64];
    size_t count = count_of_words == 2 ? strtoul(words[1], NULL, 10) : 0;
    uint64_t *times = count ? calloc(count, sizeof *times) : NULL;

    if (!times) {
        fprintf(stderr, "usage: latency COUNT\n");
        return 2;
    }
    if ((store = open("/dev/xen/xenbus", O_RDWR)) < 0)
        fail("/dev/xen/xenbus");
    memcpy(written, path, sizeof path);
    memcpy(written + sizeof path, value, sizeof value - 1);
    ask(WRITE, written, sizeof path + sizeof value - 1, answer);
    for (size_t n = 0; n < count; n++) {
        uint64_t begin = now();
        size_t len = ask(READ, path, sizeof path, answer);
        times[n] = now() - begin;
        if (len != sizeof value - 1 || memcmp(answer + sizeof(struct header), value, len) != 0)
            fail("a wrong answer");
        usleep(1000);
    }
    qsort(times, count, sizeof *times, by_size);
    printf("%lu %lu %lu\n", (unsigned long)(times[count / 2] / 1000), (unsigned long)(times[count * 99 / 100] / 1000),
           (unsigned long)(times[count - 1] / 1000));
    return 0;
}
