/* Quotas: who is counted, what is said; users and groups are made up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmd/parent/limit.h"
#include "vmd/parent/parent.h"

#define JOE	1001
#define JANE	1002
#define STAFF	2001 /* joe and root are in it */
#define NOGROUP 100

static struct parent parent;
static struct conf conf;
static struct vm vms[8];
static struct vm_spec specs[8];
static size_t nvms;
static char why[512];
static unsigned int lookups;

/* --- what the module links to ------------------------------------------ */

int
vm_is_up(const struct vm *v)
{
	return v->state != VMS_STOPPED && v->state != VMS_WAITING;
}

struct cred *
cred_of_user(uid_t uid)
{
	static gid_t staff[] = { STAFF };
	struct cred *c;

	lookups++;
	if (uid != JOE && uid != 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	c->uid = uid;
	c->gid = NOGROUP;
	c->groups = staff;
	c->ngroups = 1;
	return c;
}

void
cred_free(struct cred *c)
{
	free(c);
}

/* ------------------------------------------------------------------------ */

static int
setup(void **state)
{
	memset(&parent, 0, sizeof(parent));
	memset(&conf, 0, sizeof(conf));
	memset(vms, 0, sizeof(vms));
	memset(specs, 0, sizeof(specs));
	nvms = 0;
	lookups = 0;
	TAILQ_INIT(&parent.vms);
	TAILQ_INIT(&conf.limits);
	parent.conf = &conf;
	return 0;
}

/* A VM of 2 cpus, 1G and one interface. */
static struct vm *
add(uint64_t uid, int64_t gid, enum vm_state s)
{
	struct vm *v = &vms[nvms];

	v->parent = &parent;
	v->run = &specs[nvms++];
	v->run->uid = uid;
	v->run->gid = gid;
	v->run->cpus = 2;
	v->run->memory = 1ULL << 30;
	v->run->nnics = 1;
	v->state = s;
	TAILQ_INSERT_TAIL(&parent.vms, v, entry);
	return v;
}

static void
limit(struct conf_limit *l, int group, uint32_t id)
{
	static char file[] = "/etc/vm.conf", joe[] = "joe", staff[] = "staff";

	l->group = group;
	l->id = id;
	l->name = group ? staff : joe;
	l->file = file;
	l->line = 7;
	TAILQ_INSERT_TAIL(&conf.limits, l, entry);
}

static int
check(const struct vm *v)
{
	why[0] = '\0';
	return limit_check(v, why, sizeof(why));
}

static void
each_quantity(void **state)
{
	struct conf_limit l = { .cpus = 4, .nics = 2 };
	struct vm *v;

	l.memory = 2ULL << 30;
	l.vms = 2;
	limit(&l, 0, JOE);
	add(JOE, VM_GID_NONE, VMS_RUNNING);
	v = add(JOE, VM_GID_NONE, VMS_STARTING);
	assert_int_equal(check(v), 0); /* all of them are just reached */
	v->run->cpus = 3;
	assert_int_equal(check(v), -1);
	assert_string_equal(why,
	    "limit of user joe (/etc/vm.conf:7): cpus: 4 allowed, 2 in use, "
	    "this VM needs 3");
	v->run->cpus = 2;
	v->run->memory += 1ULL << 29;
	assert_int_equal(check(v), -1);
	assert_string_equal(why,
	    "limit of user joe (/etc/vm.conf:7): memory: 2.0G allowed, 1.0G "
	    "in use, this VM needs 1.5G");
	v->run->memory = 1ULL << 30;
	v->run->min_nics = 2;
	assert_int_equal(check(v), -1);
	assert_string_equal(why,
	    "limit of user joe (/etc/vm.conf:7): interfaces: 2 allowed, 1 in "
	    "use, this VM needs 2");
	v->run->min_nics = 0;
	l.vms = 1;
	assert_int_equal(check(v), -1);
	assert_string_equal(why,
	    "limit of user joe (/etc/vm.conf:7): vms: 1 allowed, 1 in use, "
	    "this VM needs 1");
}

/* Nothing but what is up counts, and only of whom it is. */
static void
who_counts(void **state)
{
	struct conf_limit l = { .vms = 1 };
	struct vm *v;

	limit(&l, 0, JOE);
	add(JOE, VM_GID_NONE, VMS_STOPPED);
	add(JOE, VM_GID_NONE, VMS_WAITING);
	add(JANE, VM_GID_NONE, VMS_RUNNING);
	add(0, STAFF, VMS_RUNNING);
	v = add(JOE, VM_GID_NONE, VMS_STARTING);
	assert_int_equal(check(v), 0);
	add(JOE, STAFF, VMS_STOPPING);
	assert_int_equal(check(v), -1);
	/* Others are none of its business. */
	assert_int_equal(check(add(JANE, VM_GID_NONE, VMS_STARTING)), 0);
	assert_int_equal(check(add(0, VM_GID_NONE, VMS_STARTING)), 0);
	assert_int_equal(lookups, 0);
}

static void
groups(void **state)
{
	struct conf_limit l = { .vms = 2 };
	struct vm *v, *other;

	limit(&l, 1, STAFF);
	add(JOE, VM_GID_NONE, VMS_RUNNING);
	add(JANE, VM_GID_NONE, VMS_RUNNING);
	add(0, VM_GID_NONE, VMS_RUNNING);
	v = add(0, STAFF, VMS_STARTING);
	assert_int_equal(check(v), 0);
	v->state = VMS_RUNNING;
	other = add(JOE, VM_GID_NONE, VMS_STARTING);
	assert_int_equal(check(other), -1);
	assert_string_equal(why,
	    "limit of group staff (/etc/vm.conf:7): vms: 2 allowed, 2 in use, "
	    "this VM needs 1");
	other->run->uid = JANE;
	assert_int_equal(check(other), 0);
	other->run->uid = 0;
	assert_int_equal(check(other), 0);
}

/* Root's own, but not what is a group's. */
static void
root(void **state)
{
	struct conf_limit l = { .vms = 1 };
	struct vm *v;

	limit(&l, 0, 0);
	add(0, STAFF, VMS_RUNNING);
	v = add(0, VM_GID_NONE, VMS_STARTING);
	assert_int_equal(check(v), 0);
	assert_int_equal(check(add(0, VM_GID_NONE, VMS_STARTING)), -1);
}

/* A limit on one thing says nothing of the others. */
static void
one_of_several(void **state)
{
	struct conf_limit l[2] = { { .cpus = 2 }, { .vms = 1 } };
	struct vm *v;

	v = add(JOE, VM_GID_NONE, VMS_STARTING);
	v->run->memory = UINT64_MAX;
	parent.conf = NULL;
	assert_int_equal(check(v), 0);
	parent.conf = &conf;
	limit(&l[0], 0, JOE);
	limit(&l[1], 1, STAFF);
	assert_int_equal(check(v), 0);
	add(0, STAFF, VMS_PAUSED);
	assert_int_equal(check(v), -1);
	assert_non_null(strstr(why, "group staff"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_quantity, setup),
		cmocka_unit_test_setup(who_counts, setup),
		cmocka_unit_test_setup(groups, setup),
		cmocka_unit_test_setup(root, setup),
		cmocka_unit_test_setup(one_of_several, setup),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
