/*
 * Preloaded into a broker (disk-image.ts): keeps, beside each file of a folder, what a disk would hold of it, and fails
 * syncs on order. Only a sync that succeeds brings written pages into the image. One that fails marks them clean without
 * that, as Linux does after an I/O error: no later sync brings them, only writing them again does. What a killed process
 * had not synced is lost in the same way. Names of files are taken to be durable at once.
 *
 * DISK_FOLDER     files directly in this folder are kept
 * DISK_IMAGE      the folder of their images
 * DISK_FAILS      a file; while it exists, syncs of files whose name contains its text fail with EIO
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES (64 * 1024)
#define FILES 256

struct tracked {
  dev_t dev;
  ino_t ino;
  unsigned char dirty[PAGES / 8];
};

static struct tracked *files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The name of an open regular file that lies in the folder, "./" for the folder itself, or NULL. */
static const char *name_of(int fd, char path[PATH_MAX]) {
  const char *folder = getenv("DISK_FOLDER");
  char link[64];
  if (!folder) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return NULL;
  path[length] = 0;
  size_t prefix = strlen(folder);
  if (strcmp(path, folder) == 0) return "./";
  if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/') return NULL;
  const char *name = path + prefix + 1;
  return strchr(name, '/') || strstr(name, " (deleted)") ? NULL : name;
}

static struct tracked *tracked(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return NULL;
  for (int i = 0; i < FILES; i++) {
    if (!files[i]) {
      files[i] = calloc(1, sizeof *files[i]);
      files[i]->dev = info.st_dev;
      files[i]->ino = info.st_ino;
    }
    if (files[i]->dev == info.st_dev && files[i]->ino == info.st_ino) return files[i];
  }
  abort();
}

static void wrote(int fd, off_t from, ssize_t bytes) {
  char path[PATH_MAX];
  if (bytes <= 0 || from < 0 || !name_of(fd, path)) return;
  pthread_mutex_lock(&lock);
  struct tracked *file = tracked(fd);
  for (off_t page = from / PAGE; file && page <= (from + bytes - 1) / PAGE; page++) {
    if (page >= PAGES) abort();
    file->dirty[page / 8] |= 1 << (page % 8);
  }
  pthread_mutex_unlock(&lock);
}

static int fails(const char *name) {
  char wanted[256];
  const char *order = getenv("DISK_FAILS");
  int fd = order ? open(order, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  ssize_t length = syscall(SYS_read, fd, wanted, sizeof wanted - 1);
  close(fd);
  wanted[length < 0 ? 0 : length] = 0;
  return strstr(name, wanted) != NULL;
}

static void image_path(const char *name, char image[PATH_MAX]) {
  snprintf(image, PATH_MAX, "%s/%s", getenv("DISK_IMAGE"), name);
}

static void into_image(int fd, const char *path, const char *name, struct tracked *file) {
  char image[PATH_MAX], page[PAGE];
  struct stat info;
  image_path(name, image);
  /* A second descriptor only where it must be: to close it drops the locks that the process holds on the file. */
  int writable_only = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
  int from = writable_only ? open(path, O_RDONLY | O_CLOEXEC) : fd;
  int to = open(image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (from < 0 || to < 0 || fstat(fd, &info) != 0) abort();
  for (off_t i = 0; i < PAGES; i++) {
    if (!(file->dirty[i / 8] & (1 << (i % 8)))) continue;
    ssize_t length = pread(from, page, PAGE, i * PAGE);
    if (length > 0 && syscall(SYS_pwrite64, to, page, length, i * PAGE) != length) abort();
  }
  if (syscall(SYS_ftruncate, to, info.st_size) != 0) abort();
  if (writable_only) close(from);
  close(to);
}

static int synced(int fd, const char *function) {
  char path[PATH_MAX];
  const char *name = name_of(fd, path);
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
  if (!name) return real(fd);
  pthread_mutex_lock(&lock);
  struct tracked *file = tracked(fd);
  int failed = fails(name);
  if (file) {
    if (!failed) into_image(fd, path, name, file);
    memset(file->dirty, 0, sizeof file->dirty);
  }
  pthread_mutex_unlock(&lock);
  if (failed) errno = EIO;
  return failed ? -1 : 0;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  ssize_t done = REAL(pwrite)(fd, data, size, at);
  wrote(fd, at, done);
  return done;
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  ssize_t done = REAL(pwrite64)(fd, data, size, at);
  wrote(fd, at, done);
  return done;
}
ssize_t write(int fd, const void *data, size_t size) {
  ssize_t done = REAL(write)(fd, data, size);
  if (done > 0) wrote(fd, lseek(fd, 0, SEEK_CUR) - done, done);
  return done;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  ssize_t done = REAL(writev)(fd, parts, count);
  if (done > 0) wrote(fd, lseek(fd, 0, SEEK_CUR) - done, done);
  return done;
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t done = REAL(pwritev)(fd, parts, count, at);
  wrote(fd, at, done);
  return done;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  ssize_t done = REAL(pwritev64)(fd, parts, count, at);
  wrote(fd, at, done);
  return done;
}

/* In the folder: the image of the file at `path`, else 0. */
static int image_at(const char *path, char image[PATH_MAX]) {
  const char *folder = getenv("DISK_FOLDER");
  size_t prefix = folder ? strlen(folder) : 0;
  if (!folder || strncmp(path, folder, prefix) != 0 || path[prefix] != '/') return 0;
  image_path(path + prefix + 1, image);
  return 1;
}

int unlink(const char *path) {
  char image[PATH_MAX];
  int result = REAL(unlink)(path);
  if (result == 0 && image_at(path, image)) REAL(unlink)(image);
  return result;
}
int rename(const char *from, const char *to) {
  char old[PATH_MAX], new[PATH_MAX];
  int result = REAL(rename)(from, to);
  if (result == 0 && image_at(from, old) && image_at(to, new) && REAL(rename)(old, new) != 0) REAL(unlink)(new);
  return result;
}
int link(const char *from, const char *to) {
  char old[PATH_MAX], new[PATH_MAX];
  int result = REAL(link)(from, to);
  if (result == 0 && image_at(from, old) && image_at(to, new)) REAL(link)(old, new);
  return result;
}
