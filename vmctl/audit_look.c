/*
 * A process from outside: /proc, and its filters by ptrace(2).
 *
 * We are root in the initial namespaces; the process is not asked.  It may
 * end at any time, and if a guest has taken it over it lies where it can.
 */

#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/magic.h>

#include "vmctl/audit.h"

#define STOP_S	    5 /* for a process to stop */
#define MAXFILTERS  32
#define X32_BIT	    0x40000000U
#define MEM_MAJOR   1
#define TTYAUX	    5
#define PTS_FIRST   136
#define PTS_LAST    143
#define MISC_MAJOR  10
#define KVM_MINOR   232
#define TUN_MINOR   200
#define NULL_DEV    makedev(MEM_MAJOR, 3)
#define GUEST_MEMFD "/memfd:guest "

const char *const look_ns_names[LOOK_NNS] = { "cgroup", "ipc", "mnt", "net",
	"pid", "user", "uts" };

const char *const look_fd_names[LOOK_NFDS] = {
	[LOOK_DIR] = "directory",
	[LOOK_EPOLL] = "epoll",
	[LOOK_EVENTFD] = "eventfd",
	[LOOK_FILE] = "file",
	[LOOK_KVM] = "kvm",
	[LOOK_MEMFD] = "memfd",
	[LOOK_NULL] = "null",
	[LOOK_OTHER] = "other",
	[LOOK_PIDFD] = "pidfd",
	[LOOK_PIPE] = "pipe",
	[LOOK_RING] = "io_uring",
	[LOOK_SOCKET] = "socket",
	[LOOK_SYSCTL] = "/proc/sys/net",
	[LOOK_TIMER] = "timer",
	[LOOK_TTY] = "tty",
	[LOOK_TUN] = "tun",
	[LOOK_VCPU] = "vcpu",
	[LOOK_VM] = "vm",
};

static FILE *
open_proc(pid_t pid, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

/* --- status ------------------------------------------------------------ */

static void
ids(const char *text, uint32_t id[4])
{
	sscanf(text, "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]);
}

static unsigned int
words(const char *s)
{
	unsigned int n = 0;

	for (; *s != '\0'; s++)
		n += !isspace((unsigned char)s[0]) &&
		    (s[1] == '\0' || isspace((unsigned char)s[1]));
	return n;
}

static void
status_line(struct look *l, const char *key, const char *text)
{
	static const char *const sets[CAP_SETS] = { "CapInh", "CapPrm",
		"CapEff", "CapBnd", "CapAmb" };
	size_t i;

	if (strcmp(key, "Uid") == 0)
		ids(text, l->uid);
	else if (strcmp(key, "Gid") == 0)
		ids(text, l->gid);
	else if (strcmp(key, "Groups") == 0)
		l->ngroups = words(text);
	else if (strcmp(key, "NoNewPrivs") == 0)
		l->nnp = (unsigned int)strtoul(text, NULL, 10);
	else if (strcmp(key, "Seccomp") == 0)
		l->seccomp = (unsigned int)strtoul(text, NULL, 10);
	else if (strcmp(key, "Seccomp_filters") == 0)
		l->nfilters = (unsigned int)strtoul(text, NULL, 10);
	for (i = 0; i < CAP_SETS; i++)
		if (strcmp(key, sets[i]) == 0)
			l->caps[i] = strtoull(text, NULL, 16);
}

/* `name' is "status" or "task/N/status". */
static int
read_status(struct look *l, const char *name)
{
	char *line = NULL, *colon;
	size_t size = 0;
	FILE *f;

	if ((f = open_proc(l->pid, name)) == NULL)
		return -1;
	while (getline(&line, &size, f) != -1) {
		if ((colon = strchr(line, ':')) == NULL)
			continue;
		*colon = '\0';
		status_line(l, line, colon + 1);
	}
	free(line);
	fclose(f);
	return 0;
}

static const char *
difference(const struct look *a, const struct look *b)
{
	if (memcmp(a->uid, b->uid, sizeof(a->uid)) != 0 ||
	    memcmp(a->gid, b->gid, sizeof(a->gid)) != 0 ||
	    a->ngroups != b->ngroups)
		return "ids";
	if (memcmp(a->caps, b->caps, sizeof(a->caps)) != 0)
		return "capabilities";
	if (a->nnp != b->nnp)
		return "no_new_privs";
	if (a->seccomp != b->seccomp || a->nfilters != b->nfilters)
		return "filters";
	return NULL;
}

/* Every thread has to be like the first. */
static int
look_threads(struct look *l)
{
	char path[PATH_MAX], name[PATH_MAX];
	const struct dirent *e;
	struct look t;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)l->pid);
	if ((d = opendir(path)) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		memset(&t, 0, sizeof(t));
		t.pid = l->pid;
		snprintf(name, sizeof(name), "task/%s/status", e->d_name);
		if (read_status(&t, name) == -1)
			continue; /* that thread has ended */
		l->nthreads++;
		if (l->mixed == NULL)
			l->mixed = difference(l, &t);
	}
	closedir(d);
	return 0;
}

/* --- namespaces and root ----------------------------------------------- */

/* The range may be in pieces: root's slot comes first. */
static void
look_map(struct look *l)
{
	unsigned int inside, outside, n;
	FILE *f;

	if ((f = open_proc(l->pid, "uid_map")) == NULL)
		return;
	l->map_base = UINT32_MAX;
	while (fscanf(f, "%u %u %u", &inside, &outside, &n) == 3) {
		if (inside == 0)
			l->map_root = outside;
		if (outside < l->map_base)
			l->map_base = outside;
		l->map_count += n;
	}
	fclose(f);
}

static void
look_namespaces(struct look *l)
{
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	for (i = 0; i < LOOK_NNS; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)l->pid,
		    look_ns_names[i]);
		l->ns[i] = stat(path, &st) == 0 ? st.st_ino : 0;
	}
	look_map(l);
}

/* How many there are in that directory, `name' not counted; -1: unknown. */
static int
count_others(const char *dir, const char *name)
{
	const struct dirent *e;
	DIR *d;
	int n = 0;

	if ((d = opendir(dir)) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    (name == NULL || strcmp(e->d_name, name) != 0);
	closedir(d);
	return n;
}

static void
look_root(struct look *l)
{
	static const char *const tun[][2] = { { "", "dev" }, { "dev", "net" },
		{ "dev/net", "tun" } };
	char path[PATH_MAX];
	struct stat ours, its;
	struct statvfs fs;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/root/", (int)l->pid);
	if (stat("/", &ours) == -1 || stat(path, &its) == -1)
		return;
	l->root_same = ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
	l->root_rdonly = statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY);
	l->root_empty = count_others(path, NULL) == 0;
	l->root_tun = 1;
	for (i = 0; i < sizeof(tun) / sizeof(tun[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/root/%s", (int)l->pid,
		    tun[i][0]);
		if (count_others(path, tun[i][1]) != 0)
			l->root_tun = 0;
	}
}

/* --- descriptors and memory -------------------------------------------- */

static enum look_fd
char_device(dev_t dev)
{
	if (dev == NULL_DEV)
		return LOOK_NULL;
	if (dev == makedev(MISC_MAJOR, KVM_MINOR))
		return LOOK_KVM;
	if (dev == makedev(MISC_MAJOR, TUN_MINOR))
		return LOOK_TUN;
	if (major(dev) == TTYAUX ||
	    (major(dev) >= PTS_FIRST && major(dev) <= PTS_LAST))
		return LOOK_TTY;
	return LOOK_OTHER;
}

/* `link' is what /proc says of it. */
static enum look_fd
fd_kind(const char *link, const struct stat *st)
{
	static const struct {
		const char *prefix;
		enum look_fd kind;
	} names[] = {
		{ "anon_inode:[eventpoll]", LOOK_EPOLL },
		{ "anon_inode:[eventfd]", LOOK_EVENTFD },
		{ "anon_inode:[timerfd]", LOOK_TIMER },
		{ "anon_inode:[pidfd]", LOOK_PIDFD },
		{ "pidfd:", LOOK_PIDFD },
		{ "anon_inode:[io_uring]", LOOK_RING },
		{ "anon_inode:kvm-vm", LOOK_VM },
		{ "anon_inode:kvm-vcpu", LOOK_VCPU },
		{ "/memfd:", LOOK_MEMFD },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(link, names[i].prefix, strlen(names[i].prefix)) ==
		    0)
			return names[i].kind;
	switch (st->st_mode & S_IFMT) {
	case S_IFSOCK:
		return LOOK_SOCKET;
	case S_IFIFO:
		return LOOK_PIPE;
	case S_IFDIR:
		return LOOK_DIR;
	case S_IFREG:
	case S_IFBLK:
		return LOOK_FILE;
	case S_IFCHR:
		return char_device(st->st_rdev);
	default:
		return LOOK_OTHER;
	}
}

/* A directory: is it /proc/sys/net?  Its mount may be out of sight. */
static int
is_sysctl(int dirfd, const char *name, const char *link)
{
	static const char end[] = "/sys/net";
	size_t n = strlen(link), m = strlen(end);
	struct statfs fs;
	int fd, rc;

	if (n < m || strcmp(link + n - m, end) != 0 ||
	    (fd = openat(dirfd, name, O_PATH | O_CLOEXEC)) == -1)
		return 0;
	rc = fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
	close(fd);
	return rc;
}

static int
look_descriptors(struct look *l)
{
	enum look_fd kind;
	char path[PATH_MAX], link[PATH_MAX];
	const struct dirent *e;
	struct stat st;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)l->pid);
	if ((d = opendir(path)) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		if (n == -1 || fstatat(dirfd(d), e->d_name, &st, 0) == -1)
			continue; /* closed meanwhile */
		link[n] = '\0';
		kind = fd_kind(link, &st);
		if (kind == LOOK_DIR && is_sysctl(dirfd(d), e->d_name, link))
			kind = LOOK_SYSCTL;
		l->fds[kind]++;
	}
	closedir(d);
	return 0;
}

/* "address perms offset dev inode name" */
static void
add_memory(struct look *l, const char *line)
{
	unsigned long ino;
	unsigned int i;

	if (sscanf(line, "%*s %*s %*s %*s %lu", &ino) != 1)
		ino = 0;
	for (i = 0; i < l->nmemory; i++)
		if (l->memory[i] == ino)
			return;
	if (l->nmemory < LOOK_NMEMORY)
		l->memory[l->nmemory++] = ino;
}

static int
look_memory(struct look *l)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	if ((f = open_proc(l->pid, "maps")) == NULL)
		return -1;
	while (getline(&line, &size, f) != -1)
		if (strstr(line, GUEST_MEMFD) != NULL)
			add_memory(l, line);
	free(line);
	fclose(f);
	return 0;
}

/* --- filters ----------------------------------------------------------- */

static void
late(int sig)
{
}

/* Stop its first thread.  0 or -1 with errno; then it is not traced. */
static int
stop(pid_t pid)
{
	const struct sigaction sa = { .sa_handler = late };
	int status, rc = -1, saved_errno;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1)
		return -1;
	sigaction(SIGALRM, &sa, NULL); /* interrupts */
	alarm(STOP_S);
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 &&
	    waitpid(pid, &status, __WALL) == pid) {
		rc = WIFSTOPPED(status) ? 0 : -1;
		errno = ESRCH;
	}
	saved_errno = errno == EINTR ? ETIMEDOUT : errno;
	alarm(0);
	if (rc == -1)
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	errno = saved_errno;
	return rc;
}

/* Calls by other architectures: bits of what is allowed. */
#define I386 1
#define X32  2

static int
may(const struct sock_filter *prog, size_t len, uint32_t arch, uint32_t nr)
{
	return (sb_eval(prog, len, arch, nr) & SB_ALLOW) != 0;
}

/* What one filter may allow stays if the others may too. */
static void
apply(struct look *l, uint8_t other[SB_NCALLS], const struct sock_filter *prog,
    size_t len)
{
	uint32_t nr;

	for (nr = 0; nr < SB_NCALLS; nr++) {
		if (!may(prog, len, AUDIT_ARCH_X86_64, nr))
			l->allowed[nr] = 0;
		if (!may(prog, len, AUDIT_ARCH_I386, nr))
			other[nr] &= ~I386;
		if (!may(prog, len, AUDIT_ARCH_X86_64, nr | X32_BIT))
			other[nr] &= ~X32;
	}
}

static int
fetch(struct look *l)
{
	struct sock_filter prog[BPF_MAXINSNS];
	uint8_t other[SB_NCALLS];
	long n, i;

	memset(l->allowed, 1, sizeof(l->allowed));
	memset(other, I386 | X32, sizeof(other));
	for (i = 0; i < MAXFILTERS; i++) {
		n = ptrace(PTRACE_SECCOMP_GET_FILTER, l->pid, i, prog);
		if (n == -1 && errno == ENOENT)
			break;
		if (n <= 0 || n > BPF_MAXINSNS)
			return -1;
		apply(l, other, prog, (size_t)n);
	}
	for (i = 0; i < SB_NCALLS; i++) {
		l->nallowed += l->allowed[i];
		l->other_arch |= other[i] != 0;
	}
	return 0;
}

static int
look_filters(struct look *l)
{
	int rc;

	if (stop(l->pid) == -1) {
		l->filters_errno = errno;
		return errno == ESRCH ? -1 : 0;
	}
	if ((rc = fetch(l)) == -1)
		l->filters_errno = errno;
	l->filters_read = rc == 0;
	ptrace(PTRACE_DETACH, l->pid, NULL, NULL);
	return 0;
}

int
look_at(pid_t pid, struct look *l)
{
	memset(l, 0, sizeof(*l));
	l->pid = pid;
	if (read_status(l, "status") == -1 || look_threads(l) == -1)
		return -1;
	look_namespaces(l);
	look_root(l);
	if (look_descriptors(l) == -1 || look_memory(l) == -1)
		return -1;
	if (l->seccomp == 2 && look_filters(l) == -1)
		return -1;
	return look_alive(pid) ? 0 : -1;
}
