/*
 * Giving up privileges for good, by the roles control and priv: an empty
 * root, a user of their own, no capabilities but those named, and a check
 * that nothing can be had back.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/proc.h"

static int
wanted(int cap, const int *caps, size_t ncaps)
{
	size_t i;

	for (i = 0; i < ncaps; i++)
		if (caps[i] == cap)
			return 1;
	return 0;
}

static int
set_caps(const int *caps, size_t ncaps)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { 0 } };
	size_t i;

	for (i = 0; i < ncaps; i++) {
		d[caps[i] / 32].permitted |= 1U << (caps[i] % 32);
		d[caps[i] / 32].effective |= 1U << (caps[i] % 32);
	}
	return (int)syscall(SYS_capset, &h, d);
}

/* Nothing may be in the bounding set that was not asked for. */
static int
drop_bounding(const int *caps, size_t ncaps)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!wanted(cap, caps, ncaps) &&
		    prctl(PR_CAPBSET_DROP, cap) == -1)
			return -1;
	return 0;
}

static void
check_ids(const struct passwd *pw)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) == -1 || r != pw->pw_uid || e != r || s != r)
		fatalx("still another user");
	if (getresgid(&rg, &eg, &sg) == -1 || rg != pw->pw_gid || eg != rg ||
	    sg != rg || getgroups(0, NULL) != 0)
		fatalx("still in another group");
	if (setresuid(0, 0, 0) != -1 || setresgid(0, 0, 0) != -1)
		fatalx("could become root again");
}

static void
check_caps(const int *caps, size_t ncaps)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { 0 } };
	uint32_t have;
	int cap;

	if (syscall(SYS_capget, &h, d) == -1)
		fatal("capget");
	for (cap = 0; cap < 64; cap++) {
		have = d[cap / 32].permitted | d[cap / 32].effective |
		    d[cap / 32].inheritable;
		if ((have & (1U << (cap % 32))) == 0 &&
		    prctl(PR_CAPBSET_READ, cap) != 1)
			continue;
		if (!wanted(cap, caps, ncaps))
			fatalx("still has capability %d", cap);
	}
}

void
proc_drop(const char *user, const int *caps, size_t ncaps)
{
	const struct rlimit none = { 0, 0 };
	struct passwd *pw;

	if ((pw = getpwnam(user)) == NULL)
		fatalx("unknown user %s", user);
	if (pw->pw_uid == 0)
		fatalx("user %s is root", user);
	if (sandbox_empty_root() == -1)
		fatal("empty root");
	if (!WITHOUT(CAPS) && drop_bounding(caps, ncaps) == -1)
		fatal("bounding set");
	if (ncaps > 0 && prctl(PR_SET_KEEPCAPS, 1) == -1)
		fatal("PR_SET_KEEPCAPS");
	if (!WITHOUT(IDS) &&
	    (setgroups(0, NULL) == -1 ||
		setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
		setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1))
		fatal("user %s", user);
	if (!WITHOUT(CAPS) && set_caps(caps, ncaps) == -1)
		fatal("capabilities");
	if (sandbox_nnp() == -1 || sandbox_nodump() == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1)
		fatal("no_new_privs");
	/* A change of ids clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fatal("PR_SET_PDEATHSIG");
	if (!WITHOUT(IDS))
		check_ids(pw);
	if (!WITHOUT(CAPS))
		check_caps(caps, ncaps);
}

void
proc_confine(const char *filter)
{
	unsigned int uid = (unsigned int)getuid(); /* not to be asked later */
	int landlock, seccomp;

	if ((landlock = sandbox_landlock(0)) == -1)
		fatal("landlock");
	if (landlock == 1)
		log_info("this kernel has no landlock");
	if ((seccomp = sandbox_seccomp(filter, PROC_CHANNEL_FD)) == -1)
		fatal("seccomp");
	if (seccomp == 1)
		log_info("this kernel has no seccomp");
	proc_ready("uid %u, %s landlock, %s filter", uid,
	    landlock == 1 ? "no" : "with", seccomp == 1 ? "no" : "with");
}
