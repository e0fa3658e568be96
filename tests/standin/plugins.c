/*
 * Plugins of a daemon that is not installed: oxenstored of Xen 4.20 has the path of theirs compiled in. STANDIN_ROOT is
 * the directory in which its packages were unpacked.
 */
#define _GNU_SOURCE
#include "standin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSTALLED "/usr/lib/xen-"

/* Where the file is: the path, or one below the root that is put into `place`. */
static const char *unpacked(const char *path, char place[PATH_MAX])
{
    const char *root = getenv("STANDIN_ROOT");

    if (!root || !path || strncmp(path, INSTALLED, strlen(INSTALLED)) != 0)
        return path;
    return snprintf(place, PATH_MAX, "%s%s", root, path) < PATH_MAX ? place : path;
}

VISIBLE DIR *opendir(const char *path)
{
    DIR *(*real)(const char *);
    char place[PATH_MAX];

    *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    return real(unpacked(path, place));
}

VISIBLE void *dlopen(const char *path, int flags)
{
    void *(*real)(const char *, int);
    char place[PATH_MAX];

    *(void **)&real = dlsym(RTLD_NEXT, "dlopen");
    return real(unpacked(path, place), flags);
}

VISIBLE int stat64(const char *path, struct stat64 *found)
{
    int (*real)(const char *, struct stat64 *);
    char place[PATH_MAX];

    *(void **)&real = dlsym(RTLD_NEXT, "stat64");
    return real(unpacked(path, place), found);
}

VISIBLE int access(const char *path, int mode)
{
    int (*real)(const char *, int);
    char place[PATH_MAX];

    *(void **)&real = dlsym(RTLD_NEXT, "access");
    return real(unpacked(path, place), mode);
}
