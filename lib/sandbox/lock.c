/*
 * Capabilities, no_new_privs, core dumps, and the empty root.
 */

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"

int
sandbox_empty_root(void)
{
	/* Any directory that is always there: only we see the mount. */
	if (WITHOUT(ROOT))
		return 0;
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		"size=4k,mode=0555") == -1 ||
	    chdir("/tmp") == -1)
		return -1;
	if (syscall(SYS_pivot_root, ".", ".") == -1) {
		/* The root of a chroot or of the initramfs. */
		if (errno != EINVAL || chroot(".") == -1)
			return -1;
	} else if (umount2(".", MNT_DETACH) == -1)
		return -1;
	if (chdir("/") == -1)
		return -1;
	return mount("none", "/", NULL,
	    MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

int
sandbox_caps(uint64_t keep)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { 0 } };
	int cap;

	if (WITHOUT(CAPS))
		return 0;
	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if ((keep & (1ULL << cap)) == 0 &&
		    prctl(PR_CAPBSET_DROP, cap) == -1)
			return -1;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		return -1;
	d[0].permitted = d[0].effective = (uint32_t)keep;
	d[1].permitted = d[1].effective = (uint32_t)(keep >> 32);
	return (int)syscall(SYS_capset, &h, d);
}

int
sandbox_nnp(void)
{
	if (WITHOUT(NNP))
		return 0;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int
sandbox_nodump(void)
{
	if (WITHOUT(NODUMP))
		return 0;
	return prctl(PR_SET_DUMPABLE, 0);
}

int
sandbox_lock(const char **what)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	const struct rlimit zero = { 0, 0 };

	*what = "ambient capabilities";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		return -1;
	*what = "capabilities";
	if (!WITHOUT(CAPS) && syscall(SYS_capset, &h, none) == -1)
		return -1;
	*what = "no_new_privs";
	if (sandbox_nnp() == -1)
		return -1;
	*what = "dumpable";
	if (sandbox_nodump() == -1)
		return -1;
	*what = "core size";
	return setrlimit(RLIMIT_CORE, &zero);
}
