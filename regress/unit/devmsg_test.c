/* Messages from and to device processes, on the wire. */

#include "regress/unit/proto_test.h"

#include "lib/proto/devmsg.h"

#define DECODE(type, fini)                                                     \
	static int decode_##type(struct ibuf *b)                               \
	{                                                                      \
		struct type x;                                                 \
                                                                               \
		if (type##_get(b, &x) == -1)                                   \
			return -1;                                             \
		fini;                                                          \
		return 0;                                                      \
	}                                                                      \
	static int through_##type(const struct type *x)                        \
	{                                                                      \
		struct ibuf *b = ibuf_dynamic(0, BODY_MAX);                    \
		int rc;                                                        \
                                                                               \
		assert_non_null(b);                                            \
		assert_int_equal(type##_put(b, x), 0);                         \
		rc = decode_part(b, ibuf_size(b), decode_##type);              \
		rc = rc == 0 ? 0 : errno;                                      \
		if (rc == 0)                                                   \
			check_truncation(b, decode_##type);                    \
		ibuf_free(b);                                                  \
		return rc;                                                     \
	}

DECODE(dev_id, dev_id_fini(&x))
DECODE(dev_start, dev_start_fini(&x))
DECODE(dev_ready, dev_ready_fini(&x))
DECODE(dev_hello, (void)x)
DECODE(dev_activate, (void)x)
DECODE(dev_order, (void)x)

static char text[] = "does not answer", vm[] = "web1", path[] = "/vm/a.img",
	    serial[] = "12345678901234567890";

static void
ids(void **state)
{
	struct dev_id d = { .kind = DEV_VIONET,
		.idx = VM_MAX_NICS - 1,
		.flags = 1,
		.run = 7 };

	assert_int_equal(through_dev_id(&d), 0);
	d.text = text;
	assert_int_equal(through_dev_id(&d), 0);
	d.idx++;
	assert_int_equal(through_dev_id(&d), EBADMSG);
	d.kind = DEV_VIOSCSI;
	d.idx = 0;
	assert_int_equal(through_dev_id(&d), 0);
	d.idx = 1;
	assert_int_equal(through_dev_id(&d), EBADMSG);
	d.kind = DEV_KIND_MAX;
	d.idx = 0;
	assert_int_equal(through_dev_id(&d), EBADMSG);
	d.kind = 0;
	d.idx = VM_MAX_DISKS;
	assert_int_equal(through_dev_id(&d), EBADMSG);
	d.idx = 0;
	d.flags = 2;
	assert_int_equal(through_dev_id(&d), EBADMSG);
	d.flags = 0;
	d.text = repeat('x', 1025);
	assert_int_equal(through_dev_id(&d), EMSGSIZE);
	free(d.text);
}

static void
starts(void **state)
{
	struct dev_start s = { .kind = DEV_VIOBLK,
		.idx = 3,
		.flags = DISKF_READONLY,
		.qcow2 = 3,
		.layers = VM_MAX_LAYERS,
		.name = vm,
		.path = path,
		.serial = serial };

	assert_int_equal(through_dev_start(&s), 0);
	s.layers = VM_MAX_LAYERS + 1;
	assert_int_equal(through_dev_start(&s), EBADMSG);
	s.layers = 1;
	s.serial = path;
	assert_int_equal(through_dev_start(&s), 0);
	s.serial = repeat('x', 21);
	assert_int_equal(through_dev_start(&s), EMSGSIZE);
	free(s.serial);
	s.serial = s.path = NULL;
	assert_int_equal(through_dev_start(&s), 0);
	s.name = NULL;
	assert_int_equal(through_dev_start(&s), EBADMSG);
}

/* What a network process is told arrives, and is checked. */
static void
nets(void **state)
{
	struct dev_start got,
	    s = { .kind = DEV_VIONET,
		    .idx = VM_MAX_NICS - 1,
		    .name = vm,
		    .net = { .flags = NETF_LOCAL,
			.mtu = 1500,
			.pairs = NET_MAX_PAIRS,
			.guest4 = 0x64400103,
			.ndns4 = 1,
			.dns4 = { 0x08080808 },
			.ifname = "tap0",
			.host = "web1" } };
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);

	assert_int_equal(through_dev_start(&s), 0);
	assert_int_equal(dev_start_put(b, &s), 0);
	assert_int_equal(dev_start_get(b, &got), 0);
	assert_memory_equal(&got.net, &s.net, sizeof(s.net));
	dev_start_fini(&got);
	ibuf_free(b);
	s.net.pairs = NET_MAX_PAIRS + 1;
	assert_int_equal(through_dev_start(&s), EBADMSG);
	s.net.pairs = 1;
	s.net.flags = NETF_ALL + 1;
	assert_int_equal(through_dev_start(&s), EBADMSG);
	s.net.flags = 0;
	s.net.mtu = NET_MAX_MTU + 1;
	assert_int_equal(through_dev_start(&s), EBADMSG);
}

static void
hellos(void **state)
{
	struct dev_hello h = { .nqueues = DEV_MAXQUEUES,
		.queue_max = DEV_QUEUE_MAX,
		.page_size = 8192 };
	struct dev_hello got;
	struct ibuf *b;

	assert_int_equal(gmem_add(&h.mem, 0, 0x9f000, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&h.mem, 0x100000, 0x100000, GMEM_RAM), 0);
	assert_int_equal(through_dev_hello(&h), 0);
	b = ibuf_dynamic(0, BODY_MAX);
	assert_int_equal(dev_hello_put(b, &h), 0);
	assert_int_equal(dev_hello_get(b, &got), 0);
	assert_int_equal(got.mem.nranges, 2);
	assert_int_equal(got.mem.size, 0x200000);
	assert_int_equal(got.mem.ranges[1].offset, 0x100000);
	assert_int_equal(got.mem.fd, -1);
	ibuf_free(b);
	/* Not in order, not in pages, or around the end. */
	h.mem.ranges[1].gpa = 0x9e000;
	assert_int_equal(through_dev_hello(&h), EBADMSG);
	h.mem.ranges[1].gpa = 0x100001;
	assert_int_equal(through_dev_hello(&h), EBADMSG);
	h.mem.ranges[1].gpa = UINT64_MAX - 0xfff;
	h.mem.ranges[1].size = 0x2000;
	assert_int_equal(through_dev_hello(&h), EBADMSG);
	h.mem.nranges = 1;
	assert_int_equal(through_dev_hello(&h), 0);
	h.nqueues = DEV_MAXQUEUES + 1;
	assert_int_equal(through_dev_hello(&h), EBADMSG);
	h.nqueues = 1;
	h.queue_max = DEV_QUEUE_MAX + 1;
	assert_int_equal(through_dev_hello(&h), EBADMSG);
}

/* A count of ranges that is a lie. */
static void
many_ranges(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);
	const uint32_t head[5] = { 0, 1, 128, 4096, UINT32_MAX };

	assert_int_equal(ibuf_add(b, head, sizeof(head)), 0);
	assert_int_equal(decode_part(b, sizeof(head), decode_dev_hello), -1);
	assert_int_equal(errno, EBADMSG);
	ibuf_free(b);
}

static void
readies(void **state)
{
	struct dev_ready r = { .features = 1ULL << 32,
		.config_len = DEV_MAXCONFIG };
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);
	const uint32_t lie[3] = { 0, 0, DEV_MAXCONFIG + 1 };
	uint8_t rest[DEV_MAXCONFIG + 8] = { 0 };

	assert_int_equal(through_dev_ready(&r), 0);
	r.config_len = 0;
	r.error = text;
	assert_int_equal(through_dev_ready(&r), 0);
	assert_int_equal(ibuf_add(b, lie, sizeof(lie)), 0);
	assert_int_equal(ibuf_add(b, rest, sizeof(rest)), 0);
	assert_int_equal(decode_part(b, ibuf_size(b), decode_dev_ready), -1);
	ibuf_free(b);
}

static void
activates(void **state)
{
	struct dev_activate a = { .generation = 7,
		.features = UINT64_MAX,
		.resume = 1,
		.nqueues = DEV_MAXQUEUES };

	a.queues[8] = (struct dev_queue){ 1024, 1, 2, UINT64_MAX };
	assert_int_equal(through_dev_activate(&a), 0);
	a.queues[8].size = 1025;
	assert_int_equal(through_dev_activate(&a), EBADMSG);
	a.nqueues = 8;
	assert_int_equal(through_dev_activate(&a), 0);
	a.resume = 2;
	assert_int_equal(through_dev_activate(&a), EBADMSG);
}

static void
orders(void **state)
{
	const struct dev_order o = { 1, 2, 3, UINT32_MAX };

	assert_int_equal(through_dev_order(&o), 0);
}

static void
names(void **state)
{
	assert_string_equal(dev_kind_name(DEV_VIOBLK), "vioblk");
	assert_string_equal(dev_kind_name(DEV_KIND_MAX), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),
		cmocka_unit_test(starts),
		cmocka_unit_test(nets),
		cmocka_unit_test(hellos),
		cmocka_unit_test(many_ranges),
		cmocka_unit_test(readies),
		cmocka_unit_test(activates),
		cmocka_unit_test(orders),
		cmocka_unit_test(names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
