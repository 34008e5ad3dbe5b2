/*
 * Loaded before libc by the dynamic linker. Passes every call on, and writes those that concern the event log to a trace; lets some of
 * them fail as the control file says.
 *
 *   FAILING_DISK_LOG      folder of the log; calls on its segments ("segment"), on the files that become segments ("next") and on the
 *                         folder itself ("folder") are seen, nothing else is
 *   FAILING_DISK_CONTROL  first line: the number of this order; then one line per rule: <operation> <what> <n> <how> <times>, for example
 *                         "write segment 3 ENOSPC 1". The n-th such call after the order was first seen fails, and (times - 1) after
 *                         it; times 0: all after it.
 *   FAILING_DISK_TRACE    one line per call: <operation> <what> <descriptor> <bytes asked> <result> <errno or 0> <1 if it was made to fail>
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#define RULES 4
static int order = -1, full_writes = 0;
static struct { int matched, fired; } seen[RULES];

/* How a call fails: 0: it passes; > 0: this errno; else one of these. */
enum { SHORT = -1, FULL_AFTER_SHORT = -2 /* the next two writes find no room: libuv makes the first of them by itself */, ZERO = -3 };

static const struct { const char *name; int how; } WAYS[] = {
  {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EFBIG", EFBIG}, {"EINTR", EINTR},
  {"EROFS", EROFS},   {"EMFILE", EMFILE}, {"partial", SHORT}, {"short", FULL_AFTER_SHORT}, {"zero", ZERO},
};

/* What of the log a path is, or NULL. */
static const char *what_is(const char *path) {
  const char *folder = getenv("FAILING_DISK_LOG");
  size_t length = folder == NULL ? 0 : strlen(folder);
  if (length == 0 || strncmp(path, folder, length) != 0) return NULL;
  if (path[length] == 0) return "folder";
  if (strncmp(path + length, "/events-", 8) != 0 || strchr(path + length + 1, '/') != NULL) return NULL;
  return strcmp(path + strlen(path) - 4, ".tmp") == 0 ? "next" : "segment";
}

static const char *what_has(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return NULL;
  path[n] = 0;
  return what_is(path);
}

static void trace(const char *op, const char *what, int fd, long asked, long result, int error, int was_fired) {
  const char *path = getenv("FAILING_DISK_TRACE");
  if (path == NULL) return;
  char line[160];
  int n = snprintf(line, sizeof line, "%s %s %d %ld %ld %d %d\n", op, what, fd, asked, result, error, was_fired);
  int out = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (out < 0) abort(); /* a fault that nobody can see would prove nothing */
  if (syscall(SYS_write, out, line, n) != n) abort();
  syscall(SYS_close, out);
}

static int way_of(const char *name) {
  for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++)
    if (strcmp(WAYS[i].name, name) == 0) return WAYS[i].how;
  abort();
}

static int judge_by(int rule, const char *line, const char *op, const char *what) {
  char want_op[32], want_what[32], how[32];
  int n, times;
  if (sscanf(line, "%31s %31s %d %31s %d", want_op, want_what, &n, how, &times) != 5) abort();
  if (full_writes > 0 && strcmp(op, "write") == 0 && strcmp(what, want_what) == 0) return full_writes--, ENOSPC;
  if (strcmp(op, want_op) != 0 || strcmp(what, want_what) != 0 || ++seen[rule].matched < n) return 0;
  if (times != 0 && seen[rule].fired >= times) return 0;
  seen[rule].fired++;
  full_writes = way_of(how) == FULL_AFTER_SHORT ? 2 : 0;
  return way_of(how);
}

static int judge(const char *op, const char *what) {
  char text[512] = "", *rest = NULL;
  int verdict = 0;
  const char *path = getenv("FAILING_DISK_CONTROL");
  int in = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (in < 0) return 0;
  ssize_t length = syscall(SYS_read, in, text, sizeof text - 1);
  syscall(SYS_close, in);
  if (length <= 0) return 0;
  pthread_mutex_lock(&lock);
  char *line = strtok_r(text, "\n", &rest);
  if (atoi(line) != order) {
    order = atoi(line), full_writes = 0;
    memset(seen, 0, sizeof seen);
  }
  for (int rule = 0; verdict == 0 && rule < RULES && (line = strtok_r(NULL, "\n", &rest)) != NULL; rule++)
    verdict = judge_by(rule, line, op, what);
  pthread_mutex_unlock(&lock);
  return verdict;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A call that takes no bytes: passes, or fails. */
#define PLAIN(op, subject, fd, call)                                  \
  do {                                                                \
    const char *what = subject;                                       \
    if (what == NULL) return call;                                    \
    int how = judge(op, what);                                        \
    long result = how > 0 ? -1 : (long)(call);                        \
    int error = how > 0 ? how : result < 0 ? errno : 0;               \
    trace(op, what, fd, 0, result, error, how > 0);                   \
    errno = error;                                                    \
    return result;                                                    \
  } while (0)

/* A call that takes bytes; `call` writes the first `length` of them. */
#define TAKES(fd, asked, call)                                        \
  do {                                                                \
    const char *what = what_has(fd);                                  \
    size_t length = asked;                                            \
    if (what == NULL) return call;                                    \
    int how = judge("write", what);                                   \
    if (how == SHORT || how == FULL_AFTER_SHORT) length /= 2;         \
    ssize_t result = how > 0 ? -1 : how == ZERO ? 0 : call;           \
    int error = how > 0 ? how : result < 0 ? errno : 0;               \
    trace("write", what, fd, asked, result, error, how != 0);         \
    errno = error;                                                    \
    return result;                                                    \
  } while (0)

ssize_t write(int fd, const void *bytes, size_t asked) { TAKES(fd, asked, NEXT(write)(fd, bytes, length)); }
ssize_t pwrite(int fd, const void *bytes, size_t asked, off_t at) { TAKES(fd, asked, NEXT(pwrite)(fd, bytes, length, at)); }
ssize_t pwrite64(int fd, const void *bytes, size_t asked, off64_t at) { TAKES(fd, asked, NEXT(pwrite64)(fd, bytes, length, at)); }

static size_t sum_of(const struct iovec *parts, int n) {
  size_t sum = 0;
  for (int i = 0; i < n; i++) sum += parts[i].iov_len;
  return sum;
}
static ssize_t write_first(int fd, const struct iovec *parts, int n, size_t length) {
  if (length == sum_of(parts, n)) return NEXT(writev)(fd, parts, n);
  return NEXT(write)(fd, parts[0].iov_base, length < parts[0].iov_len ? length : parts[0].iov_len);
}
ssize_t writev(int fd, const struct iovec *parts, int n) { TAKES(fd, sum_of(parts, n), write_first(fd, parts, n, length)); }

int fdatasync(int fd) { PLAIN("fdatasync", what_has(fd), fd, NEXT(fdatasync)(fd)); }
int fsync(int fd) { PLAIN("fsync", what_has(fd), fd, NEXT(fsync)(fd)); }
int ftruncate(int fd, off_t length) { PLAIN("ftruncate", what_has(fd), fd, NEXT(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { PLAIN("ftruncate", what_has(fd), fd, NEXT(ftruncate64)(fd, length)); }
int rename(const char *from, const char *to) { PLAIN("rename", what_is(from), -1, NEXT(rename)(from, to)); }
int unlink(const char *path) { PLAIN("unlink", what_is(path), -1, NEXT(unlink)(path)); }

/* Only an open that creates changes the disk; others are "read". */
static const char *open_of(int flags) { return flags & O_CREAT ? "create" : "read"; }
#define OPEN(name)                                                    \
  int name(const char *path, int flags, ...) {                        \
    va_list rest;                                                     \
    va_start(rest, flags);                                            \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                     \
    PLAIN(open_of(flags), what_is(path), -1, NEXT(name)(path, flags, mode)); \
  }
OPEN(open)
OPEN(open64)
