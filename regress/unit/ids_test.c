/*
 * Ids of vmm and its guests: several daemons at once, each in a user
 * namespace of its own, and no two processes with the same user id.
 */

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"

#define NDAEMONS 3
#define NGUESTS	 4
#define NIDS	 (NDAEMONS * (1 + NGUESTS))

struct daemon {
	pid_t pid;
	int sock;
	int file;
	uid_t got[NGUESTS];
};

/* One byte with a descriptor. */
static int
pass(int sock, int *fd, int sending)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf),
	};

	u.hdr.cmsg_level = SOL_SOCKET;
	u.hdr.cmsg_type = SCM_RIGHTS;
	u.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	if (sending) {
		memcpy(CMSG_DATA(&u.hdr), fd, sizeof(int));
		return sendmsg(sock, &mh, MSG_NOSIGNAL) == 1 ? 0 : -1;
	}
	if (recvmsg(sock, &mh, 0) != 1 || mh.msg_controllen == 0)
		return -1;
	memcpy(fd, CMSG_DATA(&u.hdr), sizeof(int));
	return 0;
}

/* A vmm: it learns its ids and claims those of its guests. */
static void __attribute__((noreturn)) vmm(int sock)
{
	uid_t got[NGUESTS], again;
	char byte = 0;
	size_t i;
	int file;

	if (unshare(CLONE_NEWUSER) == -1 || write(sock, &byte, 1) != 1 ||
	    pass(sock, &file, 0) == -1)
		_exit(2);
	if (sandbox_vmm_child(NULL) == -1 || getuid() != 0 || getgid() != 0 ||
	    sandbox_ids_init() != 0)
		_exit(3);
	sandbox_ids_file(file);
	for (i = 0; i < NGUESTS; i++)
		if (sandbox_slot_claim(&got[i]) == -1)
			_exit(4);
	/* What is given back can be had again. */
	sandbox_slot_release(got[1]);
	if (sandbox_slot_claim(&again) == -1 || again != got[1])
		_exit(5);
	if (write(sock, got, sizeof(got)) != (ssize_t)sizeof(got))
		_exit(6);
	_exit(read(sock, &byte, 1) == 1 ? 0 : 7);
}

/* An id of a namespace, as the host sees it. */
static unsigned int
outside(pid_t pid, const char *map, unsigned int id)
{
	unsigned int in, out, n, found = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, map);
	assert_non_null(f = fopen(path, "r"));
	while (fscanf(f, "%u %u %u", &in, &out, &n) == 3)
		if (id >= in && id - in < n)
			found = out + (id - in);
	fclose(f);
	assert_int_not_equal(found, 0);
	return found;
}

/* As the parent does it. */
static void
begin(struct daemon *d)
{
	char byte;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	assert_int_not_equal(d->pid = fork(), -1);
	if (d->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sv[0]);
		vmm(sv[1]);
	}
	close(sv[1]);
	d->sock = sv[0];
	assert_int_equal(read(d->sock, &byte, 1), 1);
	assert_int_equal(sandbox_vmm_map(d->pid, NULL), 0);
	assert_int_not_equal(d->file = sandbox_ids_open(), -1);
	assert_int_equal(pass(d->sock, &d->file, 1), 0);
	close(d->file);
	assert_int_equal(read(d->sock, d->got, sizeof(d->got)), sizeof(d->got));
}

static void
end(struct daemon *d)
{
	int status;

	assert_int_equal(write(d->sock, "", 1), 1);
	close(d->sock);
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	assert_int_equal(status, 0);
}

static int
by_number(const void *a, const void *b)
{
	const unsigned int *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Everyone's slot, as seen from outside, is its own. */
static void
all_different(const struct daemon *d)
{
	unsigned int all[NIDS];
	size_t n = 0, i, j;

	for (i = 0; i < NDAEMONS; i++) {
		all[n++] = outside(d[i].pid, "uid_map", 0);
		assert_int_equal(outside(d[i].pid, "gid_map", 0), all[n - 1]);
		for (j = 0; j < NGUESTS; j++) {
			all[n++] = outside(d[i].pid, "uid_map", d[i].got[j]);
			assert_int_equal(outside(d[i].pid, "uid_map",
					     d[i].got[j] + SB_SLOT_IDS - 1),
			    all[n - 1] + SB_SLOT_IDS - 1);
		}
	}
	qsort(all, n, sizeof(all[0]), by_number);
	for (i = 1; i < n; i++)
		assert_true(all[i] - all[i - 1] >= SB_SLOT_IDS);
}

static void
several_daemons(void **state)
{
	struct daemon d[NDAEMONS];
	unsigned int first;
	size_t i;

	for (i = 0; i < NDAEMONS; i++)
		begin(&d[i]);
	all_different(d);
	/* The place of one that is gone is taken again. */
	first = outside(d[0].pid, "uid_map", 0);
	end(&d[0]);
	begin(&d[0]);
	assert_int_equal(outside(d[0].pid, "uid_map", 0), first);
	for (i = 0; i < NDAEMONS; i++)
		end(&d[i]);
}

/* Without the parent's map the ids are the host's. */
static void
no_namespace(void **state)
{
	int status;
	uid_t id;
	pid_t pid;

	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		if (sandbox_ids_init() != 1)
			_exit(2);
		sandbox_ids_file(sandbox_ids_open());
		if (sandbox_slot_claim(&id) == -1)
			_exit(3);
		_exit(id < 1000);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* For processes that are in no user namespace of a vmm. */
static void
no_vmm(void **state)
{
	uid_t id[3], again;
	int fd[3], i;

	for (i = 0; i < 3; i++) {
		fd[i] = sandbox_slot_outside(&id[i]);
		assert_int_not_equal(fd[i], -1);
		assert_true(id[i] >= 1000);
	}
	assert_true(id[0] != id[1] && id[1] != id[2] && id[0] != id[2]);
	/* A slot is free when its descriptor is closed, and not before. */
	close(fd[1]);
	fd[1] = sandbox_slot_outside(&again);
	assert_int_equal(again, id[1]);
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_daemons),
		cmocka_unit_test(no_namespace),
		cmocka_unit_test(no_vmm),
	};

	unsigned int lacking = 1;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (getuid() == 0)
		sandbox_vmm_flags(&lacking);
	if (lacking) {
		printf("1..0 # SKIP needs root and user namespaces\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
