/* Fails system calls of one process on files of one directory, as a control file says.
 *
 * Preloaded into the server. The control file holds lines "OP ERRNO TEXT": from now on calls of kind
 * OP (write, truncate, sync, open, rename, read) on a path that contains TEXT fail with ERRNO, or succeed in
 * part where ERRNO is -N (a write of at most N bytes, then ENOSPC). An empty file: no fault. It is
 * read anew at each call, so that a fault begins and ends while the server runs.
 *
 * Environment: FAULT_CONTROL, the control file; FAULT_DIRECTORY, the directory concerned.
 * Everything here calls the system directly: the functions it takes the place of are never called.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The errno that a call `op` on `path` is to fail with; 0 for none. */
static int planned(const char *op, const char *path) {
    const char *control = getenv("FAULT_CONTROL"), *directory = getenv("FAULT_DIRECTORY");
    if (!control || !directory || strncmp(path, directory, strlen(directory)) != 0) return 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return 0;
    char text[2048];
    long size = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (size <= 0) return 0;
    text[size] = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char kind[16], part[1024];
        int error;
        if (sscanf(line, "%15s %d %1023s", kind, &error, part) != 3) continue;
        if (strcmp(kind, op) == 0 && strstr(path, part)) return error;
    }
    return 0;
}

static int planned_of(const char *op, int fd) {
    int before = errno;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = before;
    if (size <= 0) return 0;
    path[size] = 0;
    return planned(op, path);
}

#define REFUSE(op, fd)                          \
    do {                                        \
        int error = planned_of(op, fd);         \
        if (error > 0) return errno = error, -1; \
    } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    int error = planned_of("write", fd);
    if (error > 0) return errno = error, -1;
    if (error < 0 && size > (size_t)-error) size = (size_t)-error;
    else if (error < 0) return errno = ENOSPC, -1;
    return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REFUSE("write", fd);
    return syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return pwrite64(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    int error = planned_of("write", fd);
    if (error > 0) return errno = error, -1;
    if (error < 0 && count > 0) return write(fd, parts[0].iov_base, parts[0].iov_len);
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t read(int fd, void *data, size_t size) {
    REFUSE("read", fd);
    return syscall(SYS_read, fd, data, size);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    REFUSE("read", fd);
    return syscall(SYS_pread64, fd, data, size, at);
}

ssize_t pread(int fd, void *data, size_t size, off_t at) { return pread64(fd, data, size, at); }

int fsync(int fd) {
    REFUSE("sync", fd);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    REFUSE("sync", fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int ftruncate64(int fd, off64_t size) {
    REFUSE("truncate", fd);
    return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *from, const char *to) {
    int error = planned("rename", to);
    if (error > 0) return errno = error, -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* Only opens that may change something: a server may always read what it has. */
static int open_at(int dir, const char *path, int flags, mode_t mode) {
    if (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) {
        int error = planned("open", path);
        if (error > 0) return errno = error, -1;
    }
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define MODE(flags)                                \
    mode_t mode = 0;                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {         \
        va_list rest;                              \
        va_start(rest, flags);                     \
        mode = va_arg(rest, mode_t);               \
        va_end(rest);                              \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    MODE(flags)
    return open_at(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    MODE(flags)
    return open_at(dir, path, flags | O_LARGEFILE, mode);
}
