/* Talks to the store by Xen's own library: cc talk.c -lxenstore */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Adds one to the number of a node. If another client writes it meanwhile, the whole is done anew. */
static unsigned long add_one(struct xs_handle *store, const char *path)
{
    for (;;) {
        char text[24];
        unsigned int length;
        xs_transaction_t transaction = xs_transaction_start(store);
        char *value = xs_read(store, transaction, path, &length);
        unsigned long number = (value ? strtoul(value, NULL, 10) : 0) + 1;

        free(value);
        snprintf(text, sizeof(text), "%lu", number);
        if (!xs_write(store, transaction, path, text, strlen(text)))
            fail("xs_write");
        if (xs_transaction_end(store, transaction, false))
            return number;
        if (errno != EAGAIN)
            fail("xs_transaction_end");
    }
}

int main(void)
{
    struct xs_handle *store = xs_open(0);
    unsigned int count;
    char *value, **names, **event;

    if (!store)
        fail("xs_open");
    if (!xs_write(store, XBT_NULL, "/talk/greeting", "hello", 5))
        fail("xs_write");
    value = xs_read(store, XBT_NULL, "/talk/greeting", &count);
    printf("read: %s\n", value);
    free(value);
    printf("number: %lu\n", add_one(store, "/talk/number"));
    names = xs_directory(store, XBT_NULL, "/talk", &count);
    for (unsigned int n = 0; n < count; n++)
        printf("child: %s\n", names[n]);
    free(names);

    /* The first event says that the watch is set. */
    if (!xs_watch(store, "/talk/greeting", "token"))
        fail("xs_watch");
    free(xs_read_watch(store, &count));
    xs_write(store, XBT_NULL, "/talk/greeting", "goodbye", 7);
    event = xs_read_watch(store, &count);
    printf("changed: %s\n", event[XS_WATCH_PATH]);
    free(event);

    xs_rm(store, XBT_NULL, "/talk");
    if (!xs_read(store, XBT_NULL, "/talk/greeting", &count) && errno == ENOENT)
        printf("gone\n");
    xs_close(store);
    return 0;
}
