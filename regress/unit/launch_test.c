/*
 * Launch for real: the namespaces that the parent makes for vmm, the ids and
 * the pid namespace of each guest, what happens to guests when vmm is gone,
 * and a chroot, where there can be no user namespace.  Needs root.
 *
 * This program plays all of them: started as `ns' it is vmm in its
 * namespaces, as `vm' it is a guest.
 */

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lib/sandbox/sandbox.h"
#include "proc/spawn.h"
#include "regress/unit/vmmrole_test.h"

#define START	 IMSG_VMDOP_START_VM_RESPONSE
#define ENDED	 IMSG_VMDOP_TERMINATE_VM_EVENT
#define PATIENCE 10000 /* ms */

/* --- the guest --------------------------------------------------------- */

/* Tells what it is; obeys STOP. */
void
guest_started(struct imsgbuf *ib, struct imsg *m, uint64_t reqid, char *name)
{
	char text[128];
	struct vmop_result r = { .text = text };
	uid_t u[3];
	gid_t g[3];
	int sig;

	if (getresuid(&u[0], &u[1], &u[2]) == -1 ||
	    getresgid(&g[0], &g[1], &g[2]) == -1 ||
	    prctl(PR_GET_PDEATHSIG, &sig) == -1 || u[0] != u[1] ||
	    u[0] != u[2] || g[0] != u[0] || g[1] != u[0] || g[2] != u[0])
		_exit(8);
	snprintf(text, sizeof(text),
	    "uid %u groups %d pid %d signal %d root %d", u[0],
	    getgroups(0, NULL), (int)getpid(), sig, setuid(0) != -1);
	guest_send(ib, START, reqid, &r);
}

void
guest_order_got(struct imsgbuf *ib, struct imsg *m, uint64_t reqid,
    const char *name)
{
	if (m->hdr.type == IMSG_VMDOP_VM_STOP)
		guest_end(ib, VMEXIT_STOPPED);
}

/* --- vmm in its namespaces --------------------------------------------- */

struct ns_report {
	uid_t uid;
	gid_t gid;
	int ngroups;
	int ids;     /* of sandbox_ids_init() */
	int nifs;    /* network interfaces */
	int root;    /* the empty root is there */
	int host;    /* a file of the host can be reached */
	uid_t slot;  /* the first one claimed */
	int becomes; /* can be that id */
	int outside; /* can be an id that is not in the range */
};

static void
look(struct ns_report *r)
{
	struct if_nameindex *ifs = if_nameindex();
	pid_t pid;
	int status;

	memset(r, 0, sizeof(*r));
	r->uid = getuid();
	r->gid = getgid();
	r->ngroups = getgroups(0, NULL);
	for (; ifs != NULL && ifs[r->nifs].if_index != 0; r->nifs++)
		;
	if_freenameindex(ifs);
	r->ids = sandbox_ids_init();
	sandbox_ids_file(PROC_CHANNEL_FD + 1);
	if (sandbox_slot_claim(&r->slot) == -1)
		r->slot = 0;
	r->root = sandbox_empty_root() == 0;
	r->host = access("/etc/passwd", F_OK) == 0;
	r->outside = setresuid(VMD_IDS_COUNT + 1000, -1, -1) == 0;
	if ((pid = fork()) == 0)
		_exit(setresgid(r->slot, r->slot, r->slot) == -1 ||
		    setresuid(r->slot, r->slot, r->slot) == -1);
	r->becomes = pid != -1 && waitpid(pid, &status, 0) == pid &&
	    status == 0;
}

static int
ns_main(void)
{
	struct ns_report r;

	look(&r);
	/* No search for leaks in here: it needs a root with files. */
	_exit(write(PROC_CHANNEL_FD, &r, sizeof(r)) != (ssize_t)sizeof(r));
}

/* The range must be nobody else's: what /proc says of a process in it. */
static void
check_map(const char *path)
{
	unsigned int inside, outside, n, count = 0, first = 1;
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	while (fscanf(f, "%u %u %u", &inside, &outside, &n) == 3) {
		if (count == 0)
			first = inside;
		assert_true(outside >= 1000);
		count += n;
	}
	fclose(f);
	assert_int_equal(first, 0);
	assert_true(count >= 4 * SB_SLOT_IDS && count <= VMD_IDS_COUNT);
}

/* spawn.started: the real one, and a look at what it wrote. */
static int
map(pid_t pid, void *arg)
{
	char path[64];

	if (sandbox_vmm_map(pid, arg) == -1)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	check_map(path);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	check_map(path);
	return 0;
}

static void
reap(int pidfd, int want)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int status = -1;

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(spawn_reap(pidfd, &status), 1);
	assert_int_equal(status, want);
	close(pidfd);
}

static void
test_namespaces(void **state)
{
	static const char *const argv[] = { "ns", NULL };
	struct spawn s = { .argv = argv,
		.started = map,
		.child = sandbox_vmm_child };
	struct ns_report r;
	unsigned int lacking;
	int sv[2], ids, pidfd;

	s.flags = sandbox_vmm_flags(&lacking);
	if (lacking)
		skip(); /* we are in a chroot ourselves */
	assert_true(s.flags & CLONE_NEWUSER);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	assert_true((ids = sandbox_ids_open()) != -1);
	assert_true((s.exe = open("/proc/self/exe", O_RDONLY)) != -1);
	s.channel = sv[1];
	s.fds = &ids;
	s.nfds = 1;
	assert_true(spawn(&s, &pidfd) > 0);
	close(s.exe);
	close(sv[1]);
	close(ids);
	/* The one that holds the slot of this "vmm". */
	assert_int_equal(close(sandbox_ids_open()), 0);
	assert_int_equal(read(sv[0], &r, sizeof(r)), sizeof(r));
	close(sv[0]);
	assert_int_equal(r.uid, 0);
	assert_int_equal(r.gid, 0);
	assert_int_equal(r.ngroups, 0);
	assert_int_equal(r.ids, 0);
	assert_true(r.nifs <= 1); /* lo */
	assert_true(r.root);
	assert_false(r.host);
	assert_true(r.slot >= SB_SLOT_IDS);
	assert_int_equal(r.slot % SB_SLOT_IDS, 0);
	assert_true(r.becomes);
	assert_false(r.outside);
	reap(pidfd, 0);
}

/* Root of a chroot gets no user namespace, and is told so. */
static void
test_chroot(void **state)
{
	char dir[] = "/tmp/launch_test.XXXXXX";
	unsigned int lacking = 2;
	int flags, status;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	if ((pid = fork()) == 0) {
		if (chroot(dir) == -1 || chdir("/") == -1)
			_exit(1);
		flags = sandbox_vmm_flags(&lacking);
		_exit(lacking == 1 && (flags & CLONE_NEWUSER) == 0 &&
			    (flags & CLONE_NEWNET) != 0 ?
			0 :
			2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(status, 0);
}

/* --- guests, with ids of their own ------------------------------------- */

static int
setup_ids(void **state)
{
	int fd;

	if (setup(state) == -1)
		return -1;
	role.shared_ids = 0;
	/* Here without a user namespace: as in a chroot. */
	if (sandbox_ids_init() != 1 || (fd = sandbox_ids_open()) == -1)
		return -1;
	sandbox_ids_file(fd);
	return 0;
}

static int
teardown_ids(void **state)
{
	sandbox_ids_file(-1);
	return teardown(state);
}

/* Its id, after a check of all else that it told. */
static uid_t
guest_id(uint64_t reqid, pid_t *pid)
{
	struct vmop_result r;
	unsigned int uid;
	int groups, inner, sig, root;
	uint32_t type;

	assert_int_equal(next(&type, &r), reqid);
	assert_int_equal(type, START);
	assert_non_null(r.text);
	assert_int_equal(sscanf(r.text,
			     "uid %u groups %d pid %d signal %d root %d", &uid,
			     &groups, &inner, &sig, &root),
	    5);
	assert_int_equal(groups, 0);
	assert_int_equal(inner, 1);
	assert_int_equal(sig, SIGKILL);
	assert_int_equal(root, 0);
	assert_true(r.pid > 1);
	if (pid != NULL)
		*pid = r.pid;
	vmop_result_fini(&r);
	return uid;
}

static void
stop(uint32_t id)
{
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, id, 1, 90, VMOP_FORCE, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 90, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

static void
test_own_ids(void **state)
{
	uid_t one, two;

	start("one", 1, 11);
	one = guest_id(11, NULL);
	start("two", 2, 12);
	two = guest_id(12, NULL);
	assert_true(one >= 1000 && two >= 1000);
	assert_int_not_equal(one, two);
	assert_int_equal(((int64_t)one - two) % SB_SLOT_IDS, 0);
	/* The first one's is free again; another daemon may have it now. */
	stop(1);
	start("three", 3, 13);
	assert_int_not_equal(guest_id(13, NULL), two);
	stop(2);
	stop(3);
}

/* Whatever kills it: the cause is told, and its id is free. */
static void
test_killed(void **state)
{
	pid_t pid;
	uid_t id;

	start("one", 1, 11);
	id = guest_id(11, &pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	expect(ENDED, 0, VMERR_OK, VMEXIT_SIGNAL,
	    "killed by signal 9 (Killed)");
	start("one", 1, 12);
	assert_int_equal(((int64_t)guest_id(12, NULL) - id) % SB_SLOT_IDS, 0);
	stop(1);
}

static void
test_no_ids(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* Not to be locked for writing. */
	sandbox_ids_file(fd);
	start("one", 1, 11);
	expect(START, 11, VMERR_GUEST, VMEXIT_NONE, "ids: ");
}

/* vmm is killed: its guests are gone at once, and so is their claim. */
static void
vmm_alone(int report)
{
	struct vmop_result r;
	uint32_t type;

	if (setup_ids(NULL) == -1)
		_exit(1);
	start("one", 1, 11);
	if (next(&type, &r) != 11 ||
	    write(report, &r.pid, sizeof(r.pid)) != (ssize_t)sizeof(r.pid))
		_exit(2);
	for (;;)
		pause();
}

static void
test_vmm_dies(void **state)
{
	struct pollfd p = { .events = POLLIN };
	int report[2], status;
	pid_t vmm, guest;

	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	if ((vmm = fork()) == 0)
		vmm_alone(report[1]);
	close(report[1]);
	assert_int_equal(read(report[0], &guest, sizeof(guest)), sizeof(guest));
	close(report[0]);
	assert_true((p.fd = (int)syscall(SYS_pidfd_open, guest, 0)) != -1);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(kill(vmm, SIGKILL), 0);
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	close(p.fd);
	assert_int_equal(waitpid(vmm, &status, 0), vmm);
}

#define IDS(f) cmocka_unit_test_setup_teardown(f, setup_ids, teardown_ids)

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_chroot),
		IDS(test_own_ids),
		IDS(test_killed),
		IDS(test_no_ids),
		cmocka_unit_test(test_vmm_dies),
	};

	if (strcmp(argv[0], "vm") == 0)
		guest_main();
	if (strcmp(argv[0], "ns") == 0)
		return ns_main();
	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
