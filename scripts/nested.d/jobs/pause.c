/*
 * Runs in dom0: how long the store is silent in a live update, as its clients see it.
 *
 * usage: pause fill COUNT [VALUE] makes nodes below /pause, so many of them, with a value each
 *        pause update IMAGE       sends this image to the store, as xenstore-control does, has it take over, and READs one
 *                                 after the other through the kernel until that has been answered. Each answer must be
 *                                 the right one. Prints the longest time between two answers, in nanoseconds.
 *        pause replace PROGRAM    the same for the store's daemon in dom0, which this program is to replace
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CONTROL = 0, READ = 2, WRITE = 11 };                  /* io/xs_wire.h */
struct header { uint32_t type, req_id, tx_id, len; };

/* Nodes of one directory: as many as an ordinary guest's part of the tree has. */
enum { PART = 30 };

static const char *value = "value-of-it";
static int store, session;

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

static void say(int to, uint32_t type, const char *payload, size_t len)
{
    struct { struct header header; char payload[4096]; } request = { { type, 1, 0, len }, { 0 } };

    memcpy(request.payload, payload, len);
    if (write(to, &request, sizeof(struct header) + len) < 0)
        fail("the request is not taken");
}

/* Puts the answer's payload into `answer`; the kernel gives a whole answer to one read. */
static size_t hear(int from, uint32_t type, char answer[4112])
{
    ssize_t got = read(from, answer, 4112);

    if (got < (ssize_t)sizeof(struct header) || ((struct header *)answer)->type != type)
        fail("no answer");
    return got - sizeof(struct header);
}

static size_t ask(uint32_t type, const char *payload, size_t len, char answer[4112])
{
    say(store, type, payload, len);
    return hear(store, type, answer);
}

/* The answer to what a live update consists of. */
static void hear_ok(void)
{
    _Alignas(struct header) char answer[4113];
    size_t len = hear(session, CONTROL, answer);

    if (len != 3 || memcmp(answer + sizeof(struct header), "OK", 3) != 0) {
        answer[sizeof(struct header) + len] = 0;
        fprintf(stderr, "pause: the update is refused: %s\n", answer + sizeof(struct header));
        exit(1);
    }
}

/* A step of it: words with a NUL each, and bytes behind them. */
static void step(const char *option, const char *word, const char *bytes, size_t count)
{
    char payload[4096];
    size_t len = 0;

    for (const char *words[] = { "live-update", option, word }, **at = words; at < words + 3; at++)
        len += strlen(strcpy(payload + len, *at)) + 1;
    memcpy(payload + len, bytes, count);
    say(session, CONTROL, payload, len + count);
}

static void send_image(const char *file)
{
    char word[24], part[2049];
    FILE *image = fopen(file, "r");
    size_t count;

    if (!image || fseek(image, 0, SEEK_END) != 0)
        fail(file);
    snprintf(word, sizeof word, "%ld", ftell(image));
    rewind(image);
    step("-b", word, "", 0);
    hear_ok();
    while ((count = fread(part, 1, 2048, image)) > 0) {
        snprintf(word, sizeof word, "%zu", count);
        part[count] = 0;
        step("-d", word, part, count + 1);
        hear_ok();
    }
    fclose(image);
}

static void make(unsigned long number)
{
    char answer[4112], payload[64];
    int len = snprintf(payload, sizeof payload, "/pause/part-%lu/node-%lu", number / PART, number % PART) + 1;

    memcpy(payload + len, value, strlen(value));
    ask(WRITE, payload, len + strlen(value), answer);
}

static uint64_t update(void)
{
    static const char path[] = "/pause/part-0/node-0", patience[] = "60";
    _Alignas(struct header) char answer[4112];
    struct pollfd answered = { session, POLLIN, 0 };
    uint64_t longest = 0, before = 0;

    /* What dom0 has to do beside this is no pause of the store's. */
    struct sched_param first = { sched_get_priority_max(SCHED_FIFO) };

    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0)
        fail("no priority");
    make(0);
    for (int before_it = 50, behind_it = 50; behind_it > 0;) {
        size_t len = ask(READ, path, sizeof path, answer);
        uint64_t at = now();
        if (len != strlen(value) || memcmp(answer + sizeof(struct header), value, len) != 0)
            fail("a wrong answer");
        if (before && at - before > longest)
            longest = at - before;
        before = at;
        if (before_it > 0 && --before_it == 0)
            step("-s", "-t", patience, sizeof patience);
        else if (before_it == 0 && (behind_it < 50 || poll(&answered, 1, 0) == 1))
            behind_it--;
    }
    hear_ok();
    return longest;
}

int main(int count, char **words)
{
    if (count < 3 || count > 4 || (count == 4 && strlen(words[3]) > 16)) {
        fprintf(stderr, "usage: pause fill COUNT [VALUE] | pause update IMAGE | pause replace PROGRAM\n");
        return 2;
    }
    if ((store = open("/dev/xen/xenbus", O_RDWR)) < 0 || (session = open("/dev/xen/xenbus", O_RDWR)) < 0)
        fail("/dev/xen/xenbus");
    if (strcmp(words[1], "fill") == 0) {
        if (count == 4)
            value = words[3];
        for (unsigned long number = 0; number < strtoul(words[2], NULL, 10); number++)
            make(number);
        return 0;
    }
    if (strcmp(words[1], "replace") == 0) {
        step("-f", words[2], "", 0);
        hear_ok();
    } else {
        send_image(words[2]);
    }
    printf("%llu\n", (unsigned long long)update());
    return 0;
}
