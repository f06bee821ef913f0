/*
 * The process of a device with a vmm and a vm process that do not keep to
 * the rules.  Both are above it, so there is nothing to defend; but it must
 * end at once, by an exit, and say why.
 */

#include "regress/unit/devproc_test.h"

/* --- from vmm ------------------------------------------------------------- */

/* Anything but START. */
static void
not_start(void **state)
{
	static const uint32_t types[] = { 0, IMSG_CTL_VERBOSE, IMSG_DEVOP_HELLO,
		IMSG_DEVOP_ACTIVATE, IMSG_TYPE_MAX, UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		say(VMM, types[i], "", 0, NULL, 0);
		ends(1, "bad START");
		another();
	}
}

static void
short_start(void **state)
{
	const struct fdlist none = FDLIST_INIT;
	struct ibuf *b = start_body(DEV_VIOBLK, 0, &none);
	size_t n;

	for (n = 0; n < ibuf_size(b); n += 5) {
		say(VMM, IMSG_DEVOP_START, ibuf_data(b), n, NULL, 0);
		ends(1, "bad START");
		another();
	}
	assert_int_equal(ibuf_add(b, "more", 4), 0);
	say_body(VMM, IMSG_DEVOP_START, b, NULL, 0);
	ends(1, "bad START");
}

static void
start_descriptors(void **state)
{
	struct fdlist fds = FDLIST_INIT;
	int fd[2] = { copy(t.image), copy(t.image) };

	/* One too many ... */
	assert_int_equal(fdlist_add(&fds, FD_DISK, 0, 0, &fd[0]), 0);
	fd[0] = fds.ents[0].fd;
	say_body(VMM, IMSG_DEVOP_START, start_body(DEV_VIOBLK, 0, &fds), fd, 2);
	ends(1, "bad START");
	another();
	/* ... and one too few. */
	say_body(VMM, IMSG_DEVOP_START, start_body(DEV_VIOBLK, 0, &fds), NULL,
	    0);
	ends(1, "bad START");
}

static void
other_kind(void **state)
{
	const struct fdlist none = FDLIST_INIT;

	say_body(VMM, IMSG_DEVOP_START, start_body(DEV_VIOSCSI, 0, &none), NULL,
	    0);
	ends(1, "bad START");
}

/* Once it runs vmm has only one thing to say. */
static void
from_vmm(void **state)
{
	const struct vmop_id v = { .arg = 1 };
	struct ibuf *b;
	uint32_t type;

	for (type = IMSG_DEVOP_START; type <= IMSG_TYPE_MAX; type++) {
		ready();
		say(VMM, type, "", 0, NULL, 0);
		ends(1, " from vmm");
		another();
	}
	ready();
	b = body();
	assert_int_equal(vmop_id_put(b, &v), 0);
	say(VMM, IMSG_CTL_VERBOSE, ibuf_data(b), ibuf_size(b), NULL, 0);
	round_trip(1);
	assert_int_equal(ibuf_add(b, "more", 4), 0);
	say_body(VMM, IMSG_CTL_VERBOSE, b, NULL, 0);
	ends(1, "too long");
}

/* --- HELLO ----------------------------------------------------------------- */

static void
begin_hello(void)
{
	int fd = copy(t.image);

	say_start(0, &fd);
}

static void
not_hello(void **state)
{
	static const uint32_t types[] = { 0, IMSG_DEVOP_START,
		IMSG_DEVOP_ACTIVATE, IMSG_DEVOP_SHUTDOWN, UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		begin_hello();
		say(VM, types[i], "", 0, NULL, 0);
		ends(1, "bad HELLO");
		another();
	}
}

static void
short_hello(void **state)
{
	struct ibuf *b = hello_body(1, QUEUE, t.page_size);
	int fds[NHELLO];
	size_t n;

	for (n = 0; n < ibuf_size(b); n += 3) {
		begin_hello();
		hello_fds(fds);
		say(VM, IMSG_DEVOP_HELLO, ibuf_data(b), n, fds, NHELLO);
		ends(1, "bad HELLO");
		another();
	}
	assert_int_equal(ibuf_add(b, "more", 4), 0);
	begin_hello();
	hello_fds(fds);
	say_body(VM, IMSG_DEVOP_HELLO, b, fds, NHELLO);
	ends(1, "bad HELLO");
}

static void
hello_counts(void **state)
{
	static const struct {
		uint32_t nqueues, queue_max;
		size_t nfds;
	} bad[] = {
		{ 0, QUEUE, 2 },
		{ DEV_MAXQUEUES + 1, QUEUE, NHELLO },
		{ UINT32_MAX, QUEUE, NHELLO },
		{ 1, DEV_QUEUE_MAX + 1, NHELLO },
		{ 1, UINT32_MAX, NHELLO },
		{ 1, QUEUE, 0 },
		{ 1, QUEUE, NHELLO - 1 },
		{ 1, QUEUE, NHELLO + 1 },
		{ 2, QUEUE, NHELLO },
	};
	int fds[NHELLO + 1];
	size_t i, j;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin_hello();
		hello_fds(fds);
		fds[NHELLO] = copy(t.kick);
		say_body(VM, IMSG_DEVOP_HELLO,
		    hello_body(bad[i].nqueues, bad[i].queue_max, t.page_size),
		    fds, bad[i].nfds);
		for (j = bad[i].nfds; j < NHELLO + 1; j++)
			close(fds[j]);
		ends(1, "bad HELLO");
		another();
	}
}

/* With `fd' in place of one of its own, which must be `what'. */
static void
hello_with(unsigned int place, int fd, size_t page_size, const char *what)
{
	int fds[NHELLO];

	assert_int_not_equal(fd, -1);
	begin_hello();
	hello_fds(fds);
	close(fds[place]);
	fds[place] = fd;
	say_body(VM, IMSG_DEVOP_HELLO, hello_body(1, QUEUE, page_size), fds,
	    NHELLO);
	ends(1, what);
	another();
}

static void
memory(void **state)
{
	const char *const what = "guest memory";
	size_t size = t.page_size;

	/* What could shrink, and be the death of it. */
	hello_with(0, sealed("m", MEMORY, 0), size, what);
	hello_with(0, sealed("m", MEMORY, SEALS & ~F_SEAL_SHRINK), size, what);
	hello_with(0, sealed("m", MEMORY, SEALS & ~F_SEAL_SEAL), size, what);
	hello_with(0, sealed("m", MEMORY - 4096, SEALS), size, what);
	hello_with(0, sealed("m", MEMORY + 4096, SEALS), size, what);
	hello_with(0, open("/dev/null", O_RDWR | O_CLOEXEC), size, what);
}

static void
page(void **state)
{
	const char *const what = "shared page";
	size_t size = t.page_size;

	hello_with(1, sealed("p", size, 0), size, what);
	hello_with(1, sealed("p", size, SEALS & ~F_SEAL_SHRINK), size, what);
	hello_with(1, sealed("p", size, SEALS & ~F_SEAL_SEAL), size, what);
	hello_with(1, sealed("p", size - 4096, SEALS), size, what);
	hello_with(1, sealed("p", size + 4096, SEALS), size, what);
	hello_with(1, sealed("p", size, SEALS), size + 4096, what);
	hello_with(1, sealed("p", size, SEALS), 0, what);
	hello_with(1, open("/dev/null", O_RDWR | O_CLOEXEC), size, what);
}

/* --- orders ------------------------------------------------------------------ */

static void
unknown_orders(void **state)
{
	static const uint32_t types[] = { 0, IMSG_CTL_VERBOSE, IMSG_DEVOP_START,
		IMSG_DEVOP_HELLO, IMSG_DEVOP_READY, IMSG_DEVOP_RESET_DONE,
		IMSG_DEVOP_PAUSED, IMSG_DEVOP_CONFIG, IMSG_DEVOP_BROKEN,
		IMSG_DEVOP_SHUTDOWN_DONE, IMSG_TYPE_MAX, UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ready();
		say(VM, types[i], "", 0, NULL, 0);
		ends(1, " from vm");
		another();
	}
}

static void
short_orders(void **state)
{
	static const uint32_t types[] = { IMSG_DEVOP_RESET, IMSG_DEVOP_PAUSE,
		IMSG_DEVOP_CONFIG_WRITE };
	struct ibuf *b = activate_body(0);
	size_t i, n;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		for (n = 0; n < 20; n += 3) {
			ready();
			say(VM, types[i], "0123456789012345678901234", n, NULL,
			    0);
			ends(1, "bad order");
			another();
		}
	for (n = 0; n < ibuf_size(b); n += 5) {
		ready();
		say(VM, IMSG_DEVOP_ACTIVATE, ibuf_data(b), n, NULL, 0);
		ends(1, "bad ACTIVATE");
		another();
	}
	ibuf_free(b);
	/* One without a whole header. */
	ready();
	assert_int_equal(imsg_compose(&t.ib[VM], IMSG_DEVOP_RESUME, 0, 0, -1,
			     "1234", 4),
	    1);
	assert_int_equal(imsgbuf_flush(&t.ib[VM]), 0);
	ends(1, "short message");
}

static void
long_orders(void **state)
{
	static const uint32_t types[] = { IMSG_DEVOP_RESET, IMSG_DEVOP_PAUSE,
		IMSG_DEVOP_CONFIG_WRITE };
	static const uint32_t empty[] = { IMSG_DEVOP_RESUME,
		IMSG_DEVOP_SHUTDOWN };
	const char more[21] = { 0 };
	struct ibuf *b;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ready();
		say(VM, types[i], more, sizeof(more), NULL, 0);
		ends(1, "bad order");
		another();
	}
	for (i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		ready();
		say(VM, empty[i], more, 1, NULL, 0);
		ends(1, "too long");
		another();
	}
	b = activate_body(0);
	assert_int_equal(ibuf_add(b, "", 1), 0);
	ready();
	say_body(VM, IMSG_DEVOP_ACTIVATE, b, NULL, 0);
	ends(1, "bad ACTIVATE");
}

/* No order comes with a descriptor. */
static void
order_descriptors(void **state)
{
	static const uint32_t types[] = { IMSG_DEVOP_ACTIVATE, IMSG_DEVOP_RESET,
		IMSG_DEVOP_PAUSE, IMSG_DEVOP_RESUME, IMSG_DEVOP_SHUTDOWN };
	size_t i;
	int fd;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ready();
		fd = copy(t.image);
		say(VM, types[i], "", 0, &fd, 1);
		ends(1, "descriptors");
		another();
	}
}

static void
bad_activate(const struct dev_activate *a, const char *why)
{
	struct ibuf *b = body();

	assert_int_equal(dev_activate_put(b, a), 0);
	ready();
	say_body(VM, IMSG_DEVOP_ACTIVATE, b, NULL, 0);
	ends(1, why);
	another();
}

static void
activations(void **state)
{
	const struct dev_queue q = { QUEUE, DESC, AVAIL, USED };
	struct dev_activate a = { .generation = 1, .nqueues = 1 };

	a.queues[0] = q;
	a.queues[0].size = QUEUE + 1;
	bad_activate(&a, "size");
	a.queues[0].size = 2 * QUEUE;
	bad_activate(&a, "size");
	a.queues[0].size = DEV_QUEUE_MAX + 1;
	bad_activate(&a, "bad ACTIVATE");
	a.queues[0] = q;
	a.nqueues = 2;
	a.queues[1] = q;
	bad_activate(&a, "bad ACTIVATE");
	a.nqueues = 1;
	a.resume = 2;
	bad_activate(&a, "bad ACTIVATE");
	ready();
	activate(0);
	activate(0);
	ends(1, "ACTIVATE while active");
}

/* Such a queue the vm process lets nobody have: not to be worked on. */
static void
impossible_queues(void **state)
{
	static const struct dev_queue bad[] = {
		{ 3, DESC, AVAIL, USED },
		{ QUEUE, MEMORY, AVAIL, USED },
		{ QUEUE, DESC, UINT64_MAX - 1, USED },
		{ QUEUE, DESC, AVAIL, MEMORY - 4 },
		{ QUEUE, DESC + 1, AVAIL, USED },
	};
	struct dev_activate a = { .generation = 1, .nqueues = 1 };
	struct ibuf *b;
	struct imsg im;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ready();
		b = body();
		a.queues[0] = bad[i];
		assert_int_equal(dev_activate_put(b, &a), 0);
		say_body(VM, IMSG_DEVOP_ACTIVATE, b, NULL, 0);
		expect(&im, IMSG_DEVOP_BROKEN);
		imsg_free(&im);
		kick();
		round_trip(1);
		say(VM, IMSG_DEVOP_SHUTDOWN, "", 0, NULL, 0);
		expect_ready(IMSG_DEVOP_SHUTDOWN_DONE, NULL);
		ends(0, "queue 0");
		another();
	}
}

/* A record of another queue: whoever wrote it, it is not gone by. */
static void
bad_record(void **state)
{
	struct imsg im;

	memset((uint8_t *)t.page + DEV_PAGE_RECORDS, 0xa5,
	    t.page_size - DEV_PAGE_RECORDS);
	ready();
	activate(1);
	expect(&im, IMSG_DEVOP_BROKEN);
	imsg_free(&im);
	assert_int_equal(used(), 0);
}

static void
noise(void **state)
{
	unsigned char junk[512];

	memset(junk, 0xa5, sizeof(junk));
	assert_int_equal(write(t.fd[VMM], junk, sizeof(junk)), sizeof(junk));
	ends(1, "vmm: ");
	another();
	begin_hello();
	assert_int_equal(write(t.fd[VM], junk, sizeof(junk)), sizeof(junk));
	ends(1, "vm: ");
	another();
	ready();
	assert_int_equal(write(t.fd[VM], junk, sizeof(junk)), sizeof(junk));
	ends(1, "channel: ");
}

/* --- images -------------------------------------------------------------------- */

static void
bad_image(uint32_t qcow2, int fd)
{
	struct dev_ready r;
	struct imsg im;

	assert_int_not_equal(fd, -1);
	say_start(qcow2, &fd);
	say_hello();
	expect(&im, IMSG_DEVOP_READY);
	assert_int_equal(dev_ready_get(im.buf, &r), 0);
	assert_int_equal(wire_end(im.buf), 0);
	assert_non_null(r.error);
	assert_true(strlen(r.error) > 5);
	dev_ready_fini(&r);
	imsg_free(&im);
	ends(0, NULL);
	another();
}

static void
images(void **state)
{
	const struct fdlist none = FDLIST_INIT;
	char junk[4096];
	int fd;

	/* Empty; not what it is said to be; not to be read. */
	bad_image(1, copy(t.image));
	memset(junk, 0xff, sizeof(junk));
	memcpy(junk, "QFI\373\0\0\0\3", 8);
	assert_int_equal(pwrite(t.image, junk, sizeof(junk), 0), sizeof(junk));
	bad_image(1, copy(t.image));
	bad_image(1, open("/dev/null", O_WRONLY | O_CLOEXEC));
	bad_image(1, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	/* None at all. */
	say_body(VMM, IMSG_DEVOP_START, start_body(DEV_VIOBLK, 0, &none), NULL,
	    0);
	say_hello();
	expect_ready(IMSG_DEVOP_READY, "no image");
	ends(0, NULL);
	another();
	/* Another device's. */
	fd = copy(t.image);
	{
		struct fdlist fds = FDLIST_INIT;

		assert_int_equal(fdlist_add(&fds, FD_DISK, 1, 0, &fd), 0);
		say_body(VMM, IMSG_DEVOP_START, start_body(DEV_VIOBLK, 0, &fds),
		    &fds.ents[0].fd, 1);
	}
	say_hello();
	expect_ready(IMSG_DEVOP_READY, "layer 0 is missing");
	ends(0, NULL);
}

/* --- they are gone --------------------------------------------------------------- */

/* At each step of the start, and in the middle of a message. */
static void
gone(void **state)
{
	begin_hello();
	hang_up(VM);
	ends(1, NULL);
	another();
	begin_hello();
	hang_up(VMM);
	hang_up(VM);
	ends(1, NULL);
	another();
	begin_hello();
	assert_int_equal(write(t.fd[VM], "\1\0\0", 3), 3);
	hang_up(VM);
	ends(1, NULL);
	another();
	ready();
	assert_int_equal(write(t.fd[VM], "\1\0\0", 3), 3);
	hang_up(VM);
	ends(0, NULL);
	another();
	/* It must not matter that nobody hears READY. */
	begin_hello();
	say_hello();
	hang_up(VM);
	hang_up(VMM);
	ends(1, NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(not_start),
		T(short_start),
		T(start_descriptors),
		T(other_kind),
		T(from_vmm),
		T(not_hello),
		T(short_hello),
		T(hello_counts),
		T(memory),
		T(page),
		T(unknown_orders),
		T(short_orders),
		T(long_orders),
		T(order_descriptors),
		T(activations),
		T(impossible_queues),
		T(bad_record),
		T(noise),
		T(images),
		T(gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
