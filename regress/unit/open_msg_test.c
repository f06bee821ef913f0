/*
 * The body of OPEN_REQUEST: everything arrives, nothing out of range does.
 */

#include "regress/unit/proto_test.h"

#include "lib/proto/wire.h"
#include "vmd/parent/opener.h"

static int
decode(struct ibuf *b)
{
	struct open_msg m;
	int rc = open_msg_get(b, &m), saved_errno = errno;

	/* After a failure nothing is left of it. */
	if (rc == 0)
		open_msg_fini(&m);
	assert_null(m.path);
	assert_null(m.who);
	errno = saved_errno;
	return rc;
}

static struct ibuf *
encode(const struct open_msg *m)
{
	struct ibuf *b = ibuf_dynamic(0, CRED_MAXGROUPS * 4 + BODY_MAX);

	assert_non_null(b);
	assert_int_equal(open_msg_put(b, m), 0);
	return b;
}

/* 0, or the errno of the reader. */
static int
through(const struct open_msg *m)
{
	struct ibuf *b = encode(m);
	int rc = decode_part(b, ibuf_size(b), decode);

	rc = rc == 0 ? 0 : errno;
	ibuf_free(b);
	return rc;
}

static void
same(const struct open_msg *m)
{
	struct ibuf *b = encode(m);
	struct open_msg got;

	check_truncation(b, decode);
	memset(&got, 0xa5, sizeof(got));
	assert_int_equal(open_msg_get(b, &got), 0);
	assert_string_equal(got.path, m->path);
	assert_int_equal(got.how, m->how);
	assert_int_equal(got.trusted, m->trusted);
	assert_int_equal(got.who->uid, m->who->uid);
	assert_int_equal(got.who->gid, m->who->gid);
	assert_int_equal(got.who->ngroups, m->who->ngroups);
	if (m->who->ngroups > 0)
		assert_memory_equal(got.who->groups, m->who->groups,
		    m->who->ngroups * sizeof(gid_t));
	open_msg_fini(&got);
	ibuf_free(b);
}

static char path[] = "/vm/web1.img";
static gid_t groups[] = { 0, 7, 1000, UINT32_MAX - 1 };

static struct cred
someone(void)
{
	return (struct cred){ .uid = 1001,
		.gid = 100,
		.groups = groups,
		.ngroups = sizeof(groups) / sizeof(groups[0]) };
}

static void
arrives(void **state)
{
	struct cred who = someone(), root = { 0 };
	struct open_msg m = { .path = path,
		.how = OPEN_RDWR,
		.trusted = 1,
		.who = &who };

	same(&m);
	m.how = OPEN_READ;
	m.trusted = 0;
	m.who = &root;
	same(&m);
	m.how = OPEN_APPEND;
	same(&m);
}

static void
out_of_range(void **state)
{
	struct cred who = someone();
	struct open_msg m = { .path = path, .who = &who };
	char relative[] = "vm/web1.img", empty[] = "";

	assert_int_equal(through(&m), 0);
	m.how = OPEN_HOW_MAX;
	assert_int_equal(through(&m), EBADMSG);
	m.how = OPEN_READ;
	m.trusted = 2;
	assert_int_equal(through(&m), EBADMSG);
	m.trusted = 0;
	m.path = NULL;
	assert_int_equal(through(&m), EBADMSG);
	m.path = empty;
	assert_int_equal(through(&m), EBADMSG);
	m.path = relative;
	assert_int_equal(through(&m), EBADMSG);
}

/* A count is looked at before memory is taken for it. */
static void
many_groups(void **state)
{
	struct cred who = { .uid = 1, .gid = 1 };
	struct open_msg m = { .path = path, .who = &who };

	assert_non_null(who.groups = calloc(CRED_MAXGROUPS + 1, sizeof(gid_t)));
	who.ngroups = CRED_MAXGROUPS;
	assert_int_equal(through(&m), 0);
	who.ngroups++;
	assert_int_equal(through(&m), EBADMSG);
	free(who.groups);
}

static void
left_over(void **state)
{
	struct cred who = someone();
	struct open_msg m = { .path = path, .who = &who };
	struct ibuf *b = encode(&m);

	assert_int_equal(wire_put_u32(b, 0), 0);
	assert_fails(decode(b), EBADMSG);
	ibuf_free(b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrives),
		cmocka_unit_test(out_of_range),
		cmocka_unit_test(many_groups),
		cmocka_unit_test(left_over),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
