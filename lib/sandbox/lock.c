/*
 * Capabilities, no_new_privs, core dumps, and the empty root.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/securebits.h>

#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"

static uid_t tun_uid; /* who may open it; 0: there is none */

void
sandbox_root_tun(uid_t uid)
{
	tun_uid = uid;
}

/* In the new root, which is where we are. */
static int
make_tun(void)
{
	static const char host[] = "/dev/net/tun";
	struct stat st;
	int fd;

	if (tun_uid == 0 || stat(host, &st) == -1 || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(10, 200))
		return 0;
	if (mkdir("dev", 0755) == -1 || mkdir("dev/net", 0755) == -1)
		return -1;
	if (mknod("dev/net/tun", S_IFCHR | 0600, st.st_rdev) == 0)
		return chown("dev/net/tun", tun_uid, (gid_t)-1);
	fd = open("dev/net/tun", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	close(fd);
	return mount(host, "dev/net/tun", NULL, MS_BIND, NULL);
}

int
sandbox_empty_root(void)
{
	const unsigned long dev = tun_uid == 0 ? MS_NODEV : 0;

	/* Any directory that is always there: only we see the mount. */
	if (WITHOUT(ROOT))
		return 0;
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", "/tmp", "tmpfs", MS_NOSUID | dev | MS_NOEXEC,
		"size=4k,mode=0555") == -1 ||
	    chdir("/tmp") == -1 || make_tun() == -1)
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
	    MS_REMOUNT | MS_RDONLY | MS_NOSUID | dev | MS_NOEXEC, NULL);
}

/* That none but these can be had by an exec. */
static int
bound(uint64_t keep)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if ((keep & (1ULL << cap)) == 0 &&
		    prctl(PR_CAPBSET_DROP, cap) == -1)
			return -1;
	return 0;
}

int
sandbox_caps(uint64_t keep)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { 0 } };

	if (WITHOUT(CAPS))
		return 0;
	if (bound(keep) == -1)
		return -1;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		return -1;
	d[0].permitted = d[0].effective = (uint32_t)keep;
	d[1].permitted = d[1].effective = (uint32_t)(keep >> 32);
	return (int)syscall(SYS_capset, &h, d);
}

#define BITS                                                                   \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |       \
	    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |          \
	    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

int
sandbox_no_gain(void)
{
	if (WITHOUT(CAPS))
		return 0;
	return bound(0) == -1 ? -1 : prctl(PR_SET_SECUREBITS, BITS);
}

int
sandbox_has_bits(void)
{
	return prctl(PR_GET_SECUREBITS) == BITS;
}

int
sandbox_no_caps(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (WITHOUT(CAPS))
		return 0;
	return (int)syscall(SYS_capset, &h, none);
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
	const struct rlimit zero = { 0, 0 };

	*what = "ambient capabilities";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		return -1;
	*what = "capabilities";
	if (sandbox_no_caps() == -1)
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
