/*
 * Runs in dom0: makes many guests that never run, each with all nodes that a real one has.
 *
 * usage: crowd make COUNT STORE RECORDING   makes so many domains of two pages, introduces each to the store, which is
 *                                           the domain STORE, and changes for each what the start in RECORDING
 *                                           (examples/scale/guest.txt) changes. Prints the first domid and the last.
 *        crowd look FIRST LAST              looks whether the nodes of these are there. Prints how many have all.
 *        crowd end FIRST LAST               destroys these domains
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

enum { READ = 2, INTRODUCE = 8, WRITE = 11, MKDIR = 12, RM = 13, SET_PERMS = 14, ERROR = 16 };  /* io/xs_wire.h */
enum { MEMORY = 12, EVENTS = 32, DOMCTL = 36 };              /* xen.h */
enum { CREATE = 1, DESTROY = 2, MAX_MEMORY = 11 };           /* domctl.h */
enum { FIRST_VERSION = 0x14, LAST_VERSION = 0x40 };          /* of its interface */
enum { POPULATE = 6, GRANT_TABLE = 1 };                      /* memory.h */
enum { ALLOC_UNBOUND = 6 };                                  /* event_channel.h */
enum { PERMIT_ACCESS = 1, STORE_GRANT = 1 };                 /* grant_table.h */
enum { PAGE = 4096, PAGES = 2 };

struct header { uint32_t type, req_id, tx_id, len; };
struct hypercall { uint64_t op, arg[5]; };                   /* linux: xen/privcmd.h */
struct resource { uint16_t domain; uint32_t type, id, index; uint64_t count, address; };
/* domctl.h; what is behind it, since Xen 4.20, is 0, too. */
struct create {
    uint32_t ssid; uint8_t handle[16]; uint32_t flags, iommu, vcpus, ports;
    int32_t grant_frames, maptrack_frames; uint32_t grants, trace, pool;
};
struct domctl { uint32_t cmd, version; uint16_t domain, pad[3]; union { struct create create; uint64_t words[16]; } u; };
struct reservation { uint64_t *frames; uint64_t count; uint32_t order, flags; uint16_t domain; };
struct unbound { uint16_t domain, remote; uint32_t port; };
struct grant { uint16_t flags, domain; uint32_t frame; };

static int store, privcmd;

static void fail(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int hypercall(uint64_t op, uint64_t first, uint64_t second)
{
    struct hypercall call = { op, { first, second } };

    return ioctl(privcmd, _IOC(_IOC_NONE, 'P', 0, sizeof(call)), &call);
}

/* Carried out in place: what Xen writes is in it. */
static void domctl(struct domctl *op)
{
    static uint32_t version = FIRST_VERSION;

    for (; version <= LAST_VERSION; version++) {
        op->version = version;
        if (hypercall(DOMCTL, (uintptr_t)op, 0) == 0)
            return;
        if (errno != EACCES)
            break;
    }
    fail("the domain cannot be made or ended");
}

/* What the hypervisor reads and writes stays where it is. */
static struct {
    struct domctl op;
    struct reservation reservation;
    uint64_t frames[PAGES];
    struct unbound unbound;
} shared;

static int ask(uint32_t type, const char *payload, size_t len, char answer[PAGE])
{
    struct { struct header header; char payload[PAGE]; } request = { { type, 1, 0, len }, { 0 } };
    struct header *header = (struct header *)answer;

    memcpy(request.payload, payload, len);
    if (write(store, &request, sizeof(struct header) + len) < 0)
        fail("a request is not taken");
    if (read(store, answer, PAGE) < (ssize_t)sizeof(struct header))
        fail("no answer");
    return header->type == type;
}

/* A paravirtual one without a processor, as no version of Xen refuses it. */
static uint16_t make_domain(uint16_t store_domain)
{
    struct resource table = { .type = GRANT_TABLE, .count = 1 };
    char payload[64], answer[PAGE];
    struct grant *grants;
    int len;

    shared.op = (struct domctl){ CREATE, 0, 0, { 0 }, { .create = {
        .vcpus = 1, .ports = 16, .grant_frames = 1, .maptrack_frames = 1, .grants = 1 } } };
    domctl(&shared.op);
    uint16_t domain = table.domain = shared.op.domain;
    shared.op = (struct domctl){ .cmd = MAX_MEMORY, .domain = domain, .u.words = { PAGES * PAGE / 1024 } };
    domctl(&shared.op);
    shared.frames[0] = 0;
    shared.frames[1] = 1;
    shared.reservation = (struct reservation){ shared.frames, PAGES, 0, 0, domain };
    if (hypercall(MEMORY, POPULATE, (uintptr_t)&shared.reservation) != PAGES)
        fail("there is no memory for a domain");
    grants = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, privcmd, 0);
    table.address = (uintptr_t)grants;
    if (grants == MAP_FAILED || ioctl(privcmd, _IOC(_IOC_NONE, 'P', 7, sizeof(table)), &table) != 0)
        fail("a grant table cannot be mapped");
    grants[STORE_GRANT].domain = store_domain;
    grants[STORE_GRANT].frame = shared.frames[1];
    __atomic_store_n(&grants[STORE_GRANT].flags, PERMIT_ACCESS, __ATOMIC_RELEASE);
    munmap(grants, PAGE);
    shared.unbound = (struct unbound){ domain, store_domain, 0 };
    if (hypercall(EVENTS, ALLOC_UNBOUND, (uintptr_t)&shared.unbound) != 0)
        fail("a domain has no event channel");
    len = snprintf(payload, sizeof payload, "%u%c%llu%c%u", domain, 0, (unsigned long long)shared.frames[1], 0,
                   shared.unbound.port) + 1;
    if (!ask(INTRODUCE, payload, len, answer))
        fail("the store refuses a domain");
    return domain;
}

/* The recording's words for a guest are this one's: see tests/support/lives/recording.rs. */
static size_t fill_in(char *payload, const char *text, int is_guests, unsigned domain)
{
    size_t len = 0;

    if (is_guests && *text != '/')
        len = sprintf(payload, "/local/domain/%u/", domain);
    for (; *text && *text != '\n'; text++) {
        if (*text == '|') {
            payload[len++] = 0;
        } else if (*text == '{') {
            const char *form = strncmp(text, "{domid}", 7) == 0 ? "%u" : "00000000-0000-4000-8000-%012u";
            len += sprintf(payload + len, form, domain);
            text = strchr(text, '}');
        } else {
            payload[len++] = *text;
        }
    }
    return len;
}

static uint32_t kind_of(const char *name)
{
    static const struct { const char *name; uint32_t kind; } kinds[] = {
        { "WRITE", WRITE }, { "MKDIR", MKDIR }, { "RM", RM }, { "SET_PERMS", SET_PERMS } };

    for (size_t n = 0; n < sizeof kinds / sizeof *kinds; n++)
        if (strcmp(kinds[n].name, name) == 0)
            return kinds[n].kind;
    return 0;
}

static void live(FILE *recording, uint16_t domain)
{
    char line[PAGE], payload[PAGE], answer[PAGE], who[16], kind[32], result[16];
    int begun = 0, text;

    rewind(recording);
    while (fgets(line, sizeof line, recording)) {
        if (strncmp(line, "== ", 3) == 0) {
            begun = strcmp(line, "== start\n") == 0;
            continue;
        }
        if (!begun || sscanf(line, "%15s %31s %*s %15s %n", who, kind, result, &text) != 3)
            continue;
        uint32_t type = kind_of(kind);
        if (!type || strcmp(result, "ok") != 0)
            continue;
        size_t len = fill_in(payload, line + text, strcmp(who, "guest") == 0, domain);
        /* RM of what only another guest had is the one that may find nothing. */
        if (!ask(type, payload, len, answer) && type != RM) {
            fprintf(stderr, "crowd: domain %u: %s: %s", domain, answer + sizeof(struct header), line);
            exit(1);
        }
    }
}

static void look(unsigned first, unsigned last)
{
    char payload[64], answer[PAGE], wanted[16];
    unsigned good = 0;

    for (unsigned domain = first; domain <= last; domain++) {
        int len = snprintf(payload, sizeof payload, "/local/domain/%u/domid", domain) + 1;
        int size = snprintf(wanted, sizeof wanted, "%u", domain);
        good += ask(READ, payload, len, answer) && memcmp(answer + sizeof(struct header), wanted, size) == 0;
    }
    printf("%u\n", good);
}

int main(int count_of_words, char **words)
{
    if (count_of_words < 4)
        fail("usage: crowd make COUNT STORE RECORDING | look FIRST LAST | end FIRST LAST");
    store = open("/dev/xen/xenbus", O_RDWR);
    privcmd = open("/dev/xen/privcmd", O_RDWR);
    if (store < 0 || privcmd < 0 || mlock(&shared, sizeof shared) != 0)
        fail("dom0 has no store or no privcmd");
    unsigned first = atoi(words[2]), last = atoi(words[3]);
    if (strcmp(words[1], "look") == 0) {
        look(first, last);
    } else if (strcmp(words[1], "end") == 0) {
        for (unsigned domain = first; domain <= last; domain++) {
            shared.op = (struct domctl){ .cmd = DESTROY, .domain = domain };
            domctl(&shared.op);
        }
    } else {
        FILE *recording = count_of_words > 4 ? fopen(words[4], "r") : NULL;
        uint16_t domain = 0;

        if (!recording)
            fail("the recording cannot be read");
        for (unsigned n = 0, from = 0; n < first; n++) {
            domain = make_domain(last);
            live(recording, domain);
            from = n ? from : domain;
            if (n + 1 == first)
                printf("%u %u\n", from, domain);
        }
    }
    return 0;
}
