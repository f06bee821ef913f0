/* The list of devices in numbers, as it travels. */

#include "regress/unit/proto_test.h"

#include "lib/proto/devmsg.h"
#include "lib/proto/devstat.h"
#include "lib/proto/wire.h"

static struct ibuf *
new_body(void)
{
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);

	assert_non_null(b);
	return b;
}

static int
decode(struct ibuf *b)
{
	struct dev_list l;

	return dev_list_get(b, &l);
}

static struct dev_list
two(void)
{
	struct dev_list l = { 0 };
	struct dev_stats *d;
	size_t i;

	d = dev_list_add(&l, DEV_VIOBLK, 15);
	d->state = DEVST_RUNNING;
	d->replaced = 3;
	d->size = 1ULL << 40;
	d->counted = 1;
	for (i = 0; i < DEVS_COUNTERS; i++)
		d->counts[i] = DEV_COUNT_MAX - i;
	d = dev_list_add(&l, DEV_VIOSCSI, 0);
	d->state = DEVST_GONE;
	return l;
}

static void
lists(void **state)
{
	struct dev_list in = two(), out;
	struct ibuf *b = new_body();

	assert_int_equal(dev_list_put(b, &in), 0);
	check_truncation(b, decode);
	assert_int_equal(dev_list_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	ibuf_free(b);
	assert_ptr_equal(dev_list_find(&out, DEV_VIOSCSI, 0), &out.devs[1]);
	assert_null(dev_list_find(&out, DEV_VIOSCSI, 1));
	assert_null(dev_list_find(&out, DEV_VIOBLK, 0));
}

/* As many as there may be, and one more. */
static void
full(void **state)
{
	struct dev_list in = { 0 }, out;
	struct ibuf *b = new_body();
	uint32_t i;

	for (i = 0; i < DEV_LIST_MAX; i++)
		assert_non_null(dev_list_add(&in, DEV_VIONET, i));
	assert_null(dev_list_add(&in, DEV_VIOBLK, 0));
	assert_int_equal(dev_list_put(b, &in), 0);
	assert_int_equal(dev_list_get(b, &out), 0);
	assert_int_equal(out.n, DEV_LIST_MAX);
	ibuf_free(b);
	b = new_body();
	assert_int_equal(wire_put_u32(b, DEV_LIST_MAX + 1), 0);
	assert_fails(dev_list_get(b, &out), EBADMSG);
	ibuf_free(b);
	b = new_body();
	assert_int_equal(wire_put_u32(b, UINT32_MAX), 0);
	assert_fails(dev_list_get(b, &out), EBADMSG);
	ibuf_free(b);
}

static void
refuse(const struct dev_list *l)
{
	struct ibuf *b = new_body();
	struct dev_list out;

	assert_int_equal(dev_list_put(b, l), 0);
	assert_fails(dev_list_get(b, &out), EBADMSG);
	assert_int_equal(out.n, 0);
	ibuf_free(b);
}

static void
refused(void **state)
{
	struct dev_list l;
	size_t i;

	l = two();
	l.devs[1].kind = DEV_KIND_MAX;
	refuse(&l);
	l = two();
	l.devs[1].idx = DEV_LIST_MAX;
	refuse(&l);
	l = two();
	l.devs[1].state = DEVST_MAX;
	refuse(&l);
	l = two();
	l.devs[1].size = DEV_COUNT_MAX + 1;
	refuse(&l);
	l = two();
	l.devs[1].counted = 2;
	refuse(&l);
	for (i = 0; i < DEVS_COUNTERS; i++) {
		l = two();
		l.devs[0].counts[i] = DEV_COUNT_MAX + 1;
		refuse(&l);
	}
	/* The same device twice. */
	l = two();
	l.devs[1].kind = DEV_VIOBLK;
	l.devs[1].idx = 15;
	refuse(&l);
}

static void
words(void **state)
{
	assert_null(dev_state_text(DEVST_UNKNOWN));
	assert_string_equal(dev_state_text(DEVST_RUNNING), "running");
	assert_string_equal(dev_state_text(DEVST_GONE), "gone");
	assert_null(dev_state_text(DEVST_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(full),
		cmocka_unit_test(refused),
		cmocka_unit_test(words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
