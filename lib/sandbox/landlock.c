/*
 * Landlock: no file but what was granted, no TCP, no signal or abstract
 * socket outside, as far as the running kernel knows these rights.
 */

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"

/* Grows with the kernel; Debian's header knows the first field only. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

#define FS_EXEC	     ((1ULL << 0) | (1ULL << 2)) /* EXECUTE and READ_FILE */
#define VERSION_FLAG 1U

/* Of a grant: WRITE_FILE, READ_FILE, READ_DIR, and ioctl(2) on devices. */
#define FS_DIR		  (1ULL << 3)
#define FS_GRANT	  ((1ULL << 1) | (1ULL << 2) | FS_DIR | (1ULL << 15))
#define RULE_PATH_BENEATH 1

struct rule {
	uint64_t rights;
	int32_t fd;
} __attribute__((packed));

/* The rights of each version: all known to that kernel. */
static const struct {
	size_t size;
	struct ruleset rights;
} abis[] = {
	[1] = { 8, { (1ULL << 13) - 1, 0, 0 } },
	[2] = { 8, { (1ULL << 14) - 1, 0, 0 } },
	[3] = { 8, { (1ULL << 15) - 1, 0, 0 } },
	[4] = { 16, { (1ULL << 15) - 1, 3, 0 } },
	[5] = { 16, { (1ULL << 16) - 1, 3, 0 } },
	[6] = { 24, { (1ULL << 16) - 1, 3, 3 } },
};
#define NABIS (long)(sizeof(abis) / sizeof(abis[0]))

static unsigned int own;
static int grants[SB_GRANTS];
static size_t ngrants;

void
sandbox_landlock_grant(int fd)
{
	if (ngrants < SB_GRANTS)
		grants[ngrants++] = fd;
}

static int
add_grants(int ruleset, uint64_t handled)
{
	struct rule r;
	struct stat st;
	size_t i;

	for (i = 0; i < ngrants; i++) {
		if (fstat(grants[i], &st) == -1)
			return -1;
		r.rights = FS_GRANT & handled;
		if (!S_ISDIR(st.st_mode))
			r.rights &= ~FS_DIR;
		r.fd = grants[i];
		if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH,
			&r, 0) == -1)
			return -1;
	}
	return 0;
}

unsigned int
sandbox_landlock_own(void)
{
	return own;
}

static int
lacking(void)
{
	own = SB_OWN_NO_LANDLOCK;
	return 1;
}

static long
version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION_FLAG);
}

int
sandbox_has_landlock(void)
{
	return version() > 0;
}

int
sandbox_landlock(int keep_exec)
{
	struct ruleset r;
	long abi, fd, rc;
	int saved_errno;

	abi = version();
	if (WITHOUT(LANDLOCK) || WITHOUT(NNP))
		return 0;
	if (abi == -1 && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (abi < 1)
		return lacking();
	if (abi >= NABIS)
		abi = NABIS - 1;
	r = abis[abi].rights;
	if (keep_exec)
		r.fs &= ~FS_EXEC; /* execveat(2) opens for reading */
	fd = syscall(SYS_landlock_create_ruleset, &r, abis[abi].size, 0);
	if (fd == -1)
		return -1;
	rc = add_grants((int)fd, r.fs);
	if (rc == 0)
		rc = syscall(SYS_landlock_restrict_self, fd, 0);
	saved_errno = errno;
	close((int)fd);
	errno = saved_errno;
	if (rc == 0)
		own = SB_OWN_LANDLOCK;
	return rc == 0 ? 0 : -1;
}
