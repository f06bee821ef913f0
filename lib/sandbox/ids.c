/*
 * User and group ids for guests: the user namespace of vmm, made by the root
 * parent, and the slots of ids that vmm hands out in it.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sandbox/sandbox.h"

#define SUBUID_USER "_vmd:"
#define MAXSLOTS    (VMD_IDS_COUNT / SB_SLOT_IDS)

static struct {
	int fd;
	uid_t base; /* of slot 0, in this namespace */
	unsigned int nslots;
	unsigned char taken[MAXSLOTS];
} ids = { .fd = -1 };

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

	*lacking = !userns_possible();
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

int
sandbox_vmm_map(pid_t pid, void *arg)
{
	unsigned int base, count;
	char map[64];

	outer_range(&base, &count);
	snprintf(map, sizeof(map), "0 %u %u\n", base, count);
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

int
sandbox_ids_init(void)
{
	unsigned int inside, outside, count, base, n;
	int ours, got;
	FILE *f;

	if ((f = fopen("/proc/self/uid_map", "re")) == NULL)
		return -1;
	got = fscanf(f, "%u %u %u", &inside, &outside, &count);
	fclose(f);
	if (got != 3) {
		errno = EINVAL;
		return -1;
	}
	outer_range(&base, &n);
	ours = inside == 0 && outside == base && count == n;
	ids.base = ours ? 0 : base;
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

static int
lock_slot(unsigned int slot, short type)
{
	struct flock fl = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = slot,
		.l_len = 1,
	};

	return fcntl(ids.fd, F_OFD_SETLK, &fl);
}

int
sandbox_slot_claim(uid_t *id)
{
	unsigned int i;

	for (i = 1; i < ids.nslots; i++) {
		if (ids.taken[i])
			continue;
		if (lock_slot(i, F_WRLCK) == 0) {
			ids.taken[i] = 1;
			*id = ids.base + i * SB_SLOT_IDS;
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
	lock_slot(i, F_UNLCK);
	ids.taken[i] = 0;
}
