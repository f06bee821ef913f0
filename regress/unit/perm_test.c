/* Who may do what: every combination of person, owner and state. */

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proto/msg.h"
#include "lib/proto/vmspec.h"
#include "vmd/parent/perm.h"

enum {
	ROOT = 0,
	JOE = 1000,
	ANN = 1001,
	STAFF = 50,
	WHEEL = 0,
	OTHER = 60
};

static gid_t staff_groups[] = { OTHER, STAFF };
static gid_t other_groups[] = { OTHER };

/* Uids, and how they belong to the group STAFF. */
static const struct cred people[] = {
	{ ROOT, 0, NULL, 0 },
	{ JOE, JOE, NULL, 0 },
	{ JOE, STAFF, NULL, 0 },
	{ JOE, JOE, staff_groups, 2 },
	{ JOE, JOE, other_groups, 1 },
	{ JOE, WHEEL, NULL, 0 },
	{ ANN, ANN, NULL, 0 },
	{ ANN, STAFF, other_groups, 1 },
	{ ANN, ANN, staff_groups, 2 },
};
static const int in_staff[] = { 0, 0, 1, 1, 0, 0, 0, 1, 1 };

#define NPEOPLE (sizeof(people) / sizeof(people[0]))

static void
operate(void **state)
{
	static const uint64_t uids[] = { ROOT, JOE, ANN };
	static const int64_t gids[] = { VM_GID_NONE, STAFF };
	size_t w, o, g, r, u;
	int may;

	for (w = 0; w < NPEOPLE; w++)
		for (o = 0; o < 3; o++)
			for (g = 0; g < 2; g++)
				for (r = 0; r < 2; r++)
					for (u = 0; u < 3; u++) {
						const struct perm_vm vm = {
							uids[o], gids[g],
							(int)r, uids[u]
						};

						may = people[w].uid == ROOT ||
						    people[w].uid == uids[o] ||
						    (r &&
							people[w].uid ==
							    uids[u]) ||
						    (gids[g] == STAFF &&
							in_staff[w]);
						assert_int_equal(
						    perm_may_operate(&people[w],
							&vm),
						    may ? VMERR_OK :
							  VMERR_PERM);
					}
}

/* Group 0 is a group like any other. */
static void
wheel_is_nothing_special(void **state)
{
	const struct perm_vm vm = { ROOT, VM_GID_NONE, 1, ROOT };

	assert_int_equal(perm_may_operate(&people[5], &vm), VMERR_PERM);
}

static void
requests(void **state)
{
	uint32_t t;
	int open, root;

	for (t = 0; t <= IMSG_TYPE_MAX; t++) {
		open = t == IMSG_VMDOP_START_VM_REQUEST ||
		    t == IMSG_VMDOP_TERMINATE_VM_REQUEST ||
		    t == IMSG_VMDOP_WAIT_VM_REQUEST ||
		    t == IMSG_VMDOP_PAUSE_VM || t == IMSG_VMDOP_UNPAUSE_VM ||
		    t == IMSG_VMDOP_ENABLE_VM || t == IMSG_VMDOP_DISABLE_VM ||
		    t == IMSG_VMDOP_GET_INFO_VM_REQUEST ||
		    t == IMSG_CTL_CONSOLE_REQUEST || t == IMSG_CTL_BREAK ||
		    t == IMSG_CTL_HOST_REQUEST;
		root = t == IMSG_CTL_VERBOSE || t == IMSG_CTL_RESET ||
		    t == IMSG_CTL_AUDIT_REQUEST || t == IMSG_VMDOP_LOAD ||
		    t == IMSG_VMDOP_RELOAD;
		assert_int_equal(perm_may_request(&people[0], t),
		    open || root ? VMERR_OK : VMERR_PERM);
		assert_int_equal(perm_may_request(&people[5], t),
		    open ? VMERR_OK : VMERR_PERM);
		assert_int_equal(perm_may_request(NULL, t), VMERR_PERM);
	}
}

static void
nobody(void **state)
{
	const struct perm_vm vm = { ROOT, VM_GID_NONE, 0, ROOT };

	assert_int_equal(perm_may_operate(NULL, &vm), VMERR_PERM);
	assert_int_equal(perm_may_define(NULL), VMERR_PERM);
	assert_int_equal(perm_may_change(NULL, 0), VMERR_PERM);
}

static void
define_and_change(void **state)
{
	const uint32_t mine = VMGIVEN_BOOT | VMGIVEN_INITRD | VMGIVEN_CMDLINE |
	    VMGIVEN_BOOTDEV;
	unsigned int bit;
	uint32_t g;

	assert_int_equal(perm_may_define(&people[0]), VMERR_OK);
	assert_int_equal(perm_may_define(&people[1]), VMERR_PERM);
	for (bit = 0; bit < 32; bit++) {
		g = 1U << bit;
		assert_int_equal(perm_may_change(&people[0], g), VMERR_OK);
		assert_int_equal(perm_may_change(&people[1], g),
		    g & mine ? VMERR_OK : VMERR_PERM);
		assert_int_equal(perm_may_change(&people[1], g | mine),
		    g & mine ? VMERR_OK : VMERR_PERM);
	}
	assert_int_equal(perm_may_change(&people[1], 0), VMERR_OK);
}

/* What the kernel says of the other end, here ourselves. */
static void
of_a_socket(void **state)
{
	gid_t groups[256];
	struct cred *c, *d;
	int sv[2], n, i;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_non_null(c = cred_of_socket(sv[0]));
	assert_int_equal(c->uid, getuid());
	assert_int_equal(c->gid, getgid());
	n = getgroups(256, groups);
	assert_int_equal(c->ngroups, n);
	for (i = 0; i < n; i++)
		assert_true(cred_in_group(c, groups[i]));
	assert_non_null(d = cred_copy(c));
	assert_int_equal(d->ngroups, c->ngroups);
	cred_free(c);
	cred_free(d);
	close(sv[0]);
	close(sv[1]);
	assert_null(cred_of_socket(sv[0]));
}

static void
of_a_user(void **state)
{
	struct cred *c;

	assert_non_null(c = cred_of_user(0));
	assert_int_equal(c->uid, 0);
	assert_int_equal(c->gid, 0);
	cred_free(c);
	assert_null(cred_of_user(4000000000U));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operate),
		cmocka_unit_test(wheel_is_nothing_special),
		cmocka_unit_test(requests),
		cmocka_unit_test(nobody),
		cmocka_unit_test(define_and_change),
		cmocka_unit_test(of_a_socket),
		cmocka_unit_test(of_a_user),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
