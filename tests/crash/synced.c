/* Notes what a process has made durable: loaded with LD_PRELOAD, it writes "device inode bytes" of a file
 * to the descriptor of MILVUS_SYNCED whenever fsync or fdatasync of that file has returned. What is not
 * noted may be gone after a loss of power; power.py takes it away. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int notes(void) {
    static int fd = -1;
    const char *path = getenv("MILVUS_SYNCED");
    if (fd < 0 && path) fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return fd;
}

static int sync_and_note(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    struct stat before;
    char line[96];
    /* What is written while it syncs is not promised: the size is that of before. */
    int known = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
    int result = real(fd);
    if (result == 0 && known) {
        int length = snprintf(line, sizeof line, "%lu %lu %lld\n", (unsigned long)before.st_dev,
                              (unsigned long)before.st_ino, (long long)before.st_size);
        if (notes() >= 0 && write(notes(), line, (size_t)length) != length) abort();
    }
    return result;
}

int fsync(int fd) { return sync_and_note("fsync", fd); }
int fdatasync(int fd) { return sync_and_note("fdatasync", fd); }
