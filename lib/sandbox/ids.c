/*
 * User and group ids for guests: the user namespace of vmm, made by the root
 * parent, and the slots of ids that vmm hands out in it.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"

#define SUBUID_USER "_vmd:"
#define MAXSLOTS    (VMD_IDS_COUNT / SB_SLOT_IDS)

static struct {
	int fd;
	uid_t base;	   /* of slot 0, in this namespace */
	unsigned int root; /* which one is slot 0 in here */
	unsigned int nslots;
	unsigned char taken[MAXSLOTS];
} ids = { .fd = -1 };

/* In the parent: the file of locks for the vmm that is being started. */
static int next_file = -1;

/* The range outside: _vmd's line of /etc/subuid, else the build setting. */
static void
outer_range(unsigned int *base, unsigned int *count)
{
	char line[256];
	unsigned int b, n;
	FILE *f;

	*base = VMD_IDS_BASE;
	*count = VMD_IDS_COUNT;
	if ((f = fopen("/etc/subuid", "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, SUBUID_USER, strlen(SUBUID_USER)) == 0 &&
		    sscanf(line + strlen(SUBUID_USER), "%u:%u", &b, &n) == 2 &&
		    b >= 1000 && n >= 4 * SB_SLOT_IDS && b < 0xfffffffeU - n) {
			*base = b;
			*count = n < VMD_IDS_COUNT ? n : VMD_IDS_COUNT;
			break;
		}
	fclose(f);
}

/* Root of a chroot cannot make user namespaces; ask, in a child. */
static int
userns_possible(void)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == -1)
		return 0;
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) == -1);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int
sandbox_vmm_flags(unsigned int *lacking)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	if (WITHOUT(NS))
		flags = CLONE_NEWNS;
	*lacking = WITHOUT(USERNS) || !userns_possible();
	return *lacking ? flags : flags | CLONE_NEWUSER;
}

static int
write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	ssize_t n;
	int fd, saved_errno;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	n = write(fd, text, strlen(text));
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static int
open_file(void)
{
	struct stat st;
	int fd;

	fd = open(SB_IDS_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_uid != 0) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

static int
lock_slot(int fd, unsigned int slot, short type)
{
	struct flock fl = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = slot,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &fl);
}

/* The file of locks, with one on a slot for the next vmm; or -1. */
static int
claim_root(unsigned int nslots, unsigned int *slot)
{
	unsigned int i;
	int fd;

	if ((fd = open_file()) == -1) {
		log_warn(SB_IDS_FILE);
		return -1;
	}
	for (i = 0; i < nslots; i++) {
		if (lock_slot(fd, i, F_WRLCK) == 0) {
			*slot = i;
			return fd;
		}
		if (errno != EAGAIN && errno != EACCES)
			break;
	}
	log_warn(SB_IDS_FILE ": no ids for vmm");
	fd_close(&fd);
	return -1;
}

/*
 * From the end of the range, where vmm comes last.  A lock is its file
 * description's: opened afresh, each excludes all others, our own too.
 */
int
sandbox_slot_outside(uid_t *id)
{
	unsigned int base, count, i;
	int fd;

	outer_range(&base, &count);
	if ((fd = open_file()) == -1)
		return -1;
	for (i = count / SB_SLOT_IDS; i-- > 0;) {
		if (lock_slot(fd, i, F_WRLCK) == 0) {
			*id = base + i * SB_SLOT_IDS;
			return fd;
		}
		if (errno != EAGAIN && errno != EACCES)
			break;
	}
	fd_close(&fd);
	return -1;
}

/*
 * Slot `root' becomes the first inside, so that no two vmm are the same
 * user; those before it move up, those behind it keep their place.
 */
int
sandbox_vmm_map(pid_t pid, void *arg)
{
	unsigned int base, count, root, first, behind;
	char map[128];
	int n;

	outer_range(&base, &count);
	fd_close(&next_file);
	if ((next_file = claim_root(count / SB_SLOT_IDS, &root)) == -1)
		return -1;
	first = root * SB_SLOT_IDS;
	behind = first + SB_SLOT_IDS;
	n = snprintf(map, sizeof(map), "0 %u %d\n", base + first, SB_SLOT_IDS);
	if (first > 0)
		n += snprintf(map + n, sizeof(map) - (size_t)n, "%d %u %u\n",
		    SB_SLOT_IDS, base, first);
	if (behind < count)
		snprintf(map + n, sizeof(map) - (size_t)n, "%u %u %u\n", behind,
		    base + behind, count - behind);
	if (write_proc(pid, "uid_map", map) == -1 ||
	    write_proc(pid, "gid_map", map) == -1)
		return -1;
	return 0;
}

/* The root we were is nobody in there, and would lose everything by exec. */
int
sandbox_vmm_child(void *arg)
{
	if (setgroups(0, NULL) == -1 || setresgid(0, 0, 0) == -1)
		return -1;
	return setresuid(0, 0, 0);
}

int
sandbox_ids_open(void)
{
	int fd = next_file;

	next_file = -1;
	return fd != -1 ? fd : open_file();
}

/* Lines of uid_map: 0 to 3 with the slot of vmm; -1 with errno. */
static int
read_map(unsigned int *first, unsigned int *base, unsigned int *count)
{
	unsigned int inside, outside, n;
	int lines = 0;
	FILE *f;

	if ((f = fopen("/proc/self/uid_map", "re")) == NULL)
		return -1;
	*base = UINT_MAX;
	for (*count = 0; fscanf(f, "%u %u %u", &inside, &outside, &n) == 3;
	     lines++) {
		if (inside == 0)
			*first = outside;
		if (outside < *base)
			*base = outside;
		*count += n;
	}
	fclose(f);
	return lines;
}

/*
 * The map is the parent's if it says what sandbox_vmm_map() wrote; else the
 * ids are taken as they are.
 */
int
sandbox_ids_init(void)
{
	unsigned int first = 0, base = 0, count = 0, range, n;
	int lines, ours;

	if ((lines = read_map(&first, &base, &count)) == -1)
		return -1;
	outer_range(&range, &n);
	ours = lines > 0 && base == range && count == n &&
	    (first - base) % SB_SLOT_IDS == 0;
	ids.base = ours ? 0 : range;
	ids.root = ours ? (first - base) / SB_SLOT_IDS : 0;
	ids.nslots = n / SB_SLOT_IDS;
	memset(ids.taken, 0, sizeof(ids.taken));
	return !ours;
}

void
sandbox_ids_file(int fd)
{
	if (ids.fd != -1)
		close(ids.fd);
	ids.fd = fd;
}

/* The slot outside, which is what is locked, of slot `i' inside. */
static unsigned int
outer_slot(unsigned int i)
{
	return i <= ids.root ? i - 1 : i;
}

int
sandbox_slot_claim(uid_t *id)
{
	unsigned int i;

	for (i = 1; i < ids.nslots; i++) {
		if (ids.taken[i])
			continue;
		if (lock_slot(ids.fd, outer_slot(i), F_WRLCK) == 0) {
			ids.taken[i] = 1;
			*id = ids.base + (WITHOUT(SLOT) ? 1 : i) * SB_SLOT_IDS;
			return 0;
		}
		if (errno != EAGAIN && errno != EACCES)
			return -1;
	}
	errno = EAGAIN;
	return -1;
}

void
sandbox_slot_release(uid_t id)
{
	unsigned int i = (id - ids.base) / SB_SLOT_IDS;

	if (i == 0 || i >= ids.nslots || !ids.taken[i])
		return;
	lock_slot(ids.fd, outer_slot(i), F_UNLCK);
	ids.taken[i] = 0;
}
