/*
 * The block device without a write cache: whatever it has acknowledged is on
 * the disk, in each way a guest can say that it wants that.
 *
 * Below it is an engine that does what is queued in any order and notes it.
 * With each acknowledgement the power fails: of the file there is what some
 * fdatasync(2) covers, and the sectors of the request must be in that.
 */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/disk/convert.h"
#include "lib/disk/create.h"
#include "lib/disk/disk.h"
#include "regress/unit/dev_fake.h"
#include "regress/unit/fake_ioq.h"
#include "regress/unit/vq_test.h"

#define SIZE   (1UL << 20)
#define ROOM   (4UL << 20) /* of the file */
#define SLOTS  5	   /* requests at a time */
#define ROUNDS 400
#define LEN    8192 /* most bytes of one */
#define HDR    FAKE_DATA
#define STATUS (FAKE_DATA + 0x800)
#define BUF    (FAKE_DATA + 0x1000)
#define WCE    (1ULL << VIRTIO_BLK_F_CONFIG_WCE)
#define FLUSH  (1ULL << VIRTIO_BLK_F_FLUSH)
#define OFFSET offsetof(struct virtio_blk_config, wce)

/* --- the engine ------------------------------------------------------------ */

/* What happened to file 0. */
static struct event {
	enum fake_op kind;
	uint64_t off, len;
	uint8_t *data;
} * events;
static size_t nevents, ncovered; /* of which so many are on the disk */
static uint8_t durable[ROOM];	 /* what is there */
static uint64_t durable_len;
static int fail_syncs; /* so many of the next */
static uint64_t seed;

uint64_t
fake_dice(uint64_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

static void
note(enum fake_op kind, uint64_t off, uint64_t len, uint8_t *data)
{
	const struct event e = { kind, off, len, data };

	events = realloc(events, (nevents + 1) * sizeof(*events));
	assert_non_null(events);
	events[nevents++] = e;
}

static int
do_write(int fd, const struct io_op *op)
{
	size_t len;
	uint8_t *data = fake_data(op, &len);

	assert_int_equal(pwrite(fd, data, len, (off_t)op->off), len);
	note(OP_WRITE, op->off, len, data);
	return (int)len;
}

static int
do_zero(int fd, const struct io_op *op)
{
	if (fallocate(fd, op->mode, (off_t)op->off, (off_t)op->len) == -1)
		return -errno;
	note(OP_FALLOCATE, op->off, op->len, NULL);
	return 0;
}

/* Now all before it is there. */
static int
do_sync(const struct io_op *op)
{
	if (fail_syncs > 0) {
		fail_syncs--;
		return -EIO;
	}
	for (; ncovered < op->len; ncovered++) {
		const struct event *e = &events[ncovered];

		assert_true(e->off + e->len <= ROOM);
		if (e->kind == OP_FALLOCATE)
			memset(durable + e->off, 0, e->len);
		else
			memcpy(durable + e->off, e->data, e->len);
		if (durable_len < e->off + e->len)
			durable_len = e->off + e->len;
	}
	return 0;
}

int
fake_do(int fd, const struct io_op *op)
{
	switch ((enum fake_op)op->kind) {
	case OP_READ:
		return (int)preadv(fd, op->iov, op->niov, (off_t)op->off);
	case OP_WRITE:
		return do_write(fd, op);
	case OP_FALLOCATE:
		return do_zero(fd, op);
	default:
		return do_sync(op);
	}
}

size_t
fake_changes(void)
{
	return nevents;
}

/* --- the guest --------------------------------------------------------------- */

struct slot {
	int used;
	uint64_t off, len;
	uint8_t data[LEN];
};

static struct one {
	struct fake f;
	int qcow2;
	int base;  /* descriptor, or -1 */
	int image; /* the same as the device's */
	struct slot slots[SLOTS];
	unsigned int kept, lost; /* acknowledged, and on the disk or not */
} * o;

static void
submit(unsigned int i)
{
	struct gmem *g = &o->f.d.mem;
	struct slot *s = &o->slots[i];
	struct virtio_blk_outhdr h = { 0 };
	struct virtio_blk_discard_write_zeroes r = { 0 };
	int zero = fake_dice(5) == 0;
	uint64_t hdr = HDR + 64 * i, buf = BUF + LEN * i, len, at;
	struct test_desc d[3] = {
		{ hdr, sizeof(h), F_NEXT, (uint16_t)(3 * i + 1) },
		{ buf, 0, F_NEXT, (uint16_t)(3 * i + 2) },
		{ STATUS + i, 1, F_WRITE, 0 },
	};

	s->used = 1;
	s->len = 512 * (1 + fake_dice(LEN / 512));
	/* Each has a part of the disk: what was written last is known. */
	s->off = SIZE / SLOTS / 512 * 512 * i;
	s->off += 512 * fake_dice((SIZE / SLOTS - LEN) / 512);
	for (at = 0; at < s->len; at++)
		s->data[at] = zero ? 0 : (uint8_t)(seed >> at % 56);
	h.type = htole32(zero ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_OUT);
	h.sector = htole64(zero ? 0 : s->off / 512);
	r.sector = htole64(s->off / 512);
	r.num_sectors = htole32((uint32_t)s->len / 512);
	len = zero ? sizeof(r) : s->len;
	d[1].len = (uint32_t)len;
	memcpy(g->base + hdr, &h, sizeof(h));
	memcpy(g->base + buf, zero ? (void *)&r : s->data, len);
	g->base[STATUS + i] = 0xee;
	desc_put(g, FAKE_DESC, 3 * i, &d[0]);
	desc_put(g, FAKE_DESC, 3 * i + 1, &d[1]);
	desc_put(g, FAKE_DESC, 3 * i + 2, &d[2]);
	offer(g, &o->f.d.queues[0].vq.conf, (uint16_t)(3 * i));
}

/* What a power cut leaves of the request's sectors is what it wrote. */
static int
survives(const struct slot *s)
{
	struct image_chain *c = image_chain_new();
	int fd = memfd_create("cut", MFD_CLOEXEC);
	uint8_t got[LEN];
	char why[256];
	int rc;

	assert_non_null(c);
	assert_int_equal(pwrite(fd, durable, durable_len, 0), durable_len);
	assert_int_equal(image_chain_add(c, fd, o->qcow2, why, sizeof(why)), 0);
	if (o->base != -1)
		assert_int_equal(image_chain_add(c, o->base, 0, why,
				     sizeof(why)),
		    0);
	assert_int_equal(image_chain_read(c, s->off, got, s->len, why,
			     sizeof(why)),
	    0);
	rc = memcmp(got, s->data, s->len) == 0;
	image_chain_free(c);
	close(fd);
	return rc;
}

static void
look(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		struct slot *s = &o->slots[i];
		uint8_t status = o->f.d.mem.base[STATUS + i];

		if (!s->used || status == 0xee)
			continue;
		assert_int_equal(status, VIRTIO_BLK_S_OK);
		s->used = 0;
		if (survives(s))
			o->kept++;
		else
			o->lost++;
	}
}

/* Requests and answers in any order; at the end nothing is in flight. */
static void
work(unsigned int rounds)
{
	struct dev *d = &o->f.d;
	unsigned int i;

	o->kept = o->lost = 0;
	while (rounds-- > 0) {
		i = (unsigned int)fake_dice(SLOTS);
		if (!o->slots[i].used) {
			submit(i);
			assert_int_equal(d->ops->queue(d, &d->queues[0]), 0);
			look();
		}
		for (i = (unsigned int)fake_dice(8); i > 0; i--) {
			io_run(d->io, 0);
			look();
		}
		vq_publish(&d->queues[0].vq);
	}
}

static void
finish(void)
{
	while (o->f.d.busy > 0) {
		io_run(o->f.d.io, 0);
		look();
	}
}

/* --- images ------------------------------------------------------------------ */

static void
forget(void)
{
	while (nevents > 0)
		free(events[--nevents].data);
	free(events);
	events = NULL;
	ncovered = 0;
}

static int
new_image(int qcow2, int backed)
{
	const struct image_spec spec = { .qcow2 = qcow2,
		.size = SIZE,
		.backing = backed ? "base" : NULL };
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct image_new *n;
	char why[256];

	n = image_new(fd, &spec, why, sizeof(why));
	assert_non_null(n);
	assert_int_equal(image_new_finish(n), 0);
	image_new_free(n);
	return fd;
}

static int
new_base(void)
{
	int fd = memfd_create("base", MFD_CLOEXEC);
	uint8_t b[4096];
	unsigned int i;

	memset(b, 0xb5, sizeof(b));
	for (i = 0; i < SIZE / sizeof(b); i++)
		assert_int_equal(write(fd, b, sizeof(b)), sizeof(b));
	return fd;
}

static void
begin(int qcow2, int backed, uint64_t features, uint8_t wce)
{
	int fds[2];

	forget();
	assert_non_null(o = calloc(1, sizeof(*o)));
	o->qcow2 = qcow2;
	o->base = backed ? new_base() : -1;
	o->image = new_image(qcow2, backed);
	memset(durable, 0, sizeof(durable));
	durable_len = (uint64_t)pread(o->image, durable, ROOM, 0);
	fds[0] = dup(o->image);
	fds[1] = backed ? dup(o->base) : -1;
	assert_int_equal(fake_open(&o->f, &vioblk_ops, fds, backed ? 2 : 1, 0,
			     (uint32_t)qcow2),
	    0);
	virtio_page_write(&o->f.page.virtio, OFFSET, &wce, 1);
	fake_activate(&o->f, 0, features);
}

static void
end(void)
{
	finish();
	fake_close(&o->f);
	close(o->image);
	if (o->base != -1)
		close(o->base);
	free(o);
	forget();
}

static void
set_cache(uint8_t on)
{
	struct dev *d = &o->f.d;

	d->ops->config_write(d, OFFSET, 1, on);
}

/* --- tests ------------------------------------------------------------------- */

static const struct {
	int qcow2, backed;
} images[] = { { 0, 0 }, { 1, 0 }, { 1, 1 } };

static void
all_kept(uint64_t features, uint8_t wce)
{
	size_t i;

	for (i = 0; i < NELEM(images); i++) {
		begin(images[i].qcow2, images[i].backed, features, wce);
		work(ROUNDS);
		finish();
		assert_int_equal(o->lost, 0);
		assert_true(o->kept > ROUNDS / 8);
		end();
	}
}

/* The driver can neither flush nor switch the cache. */
static void
no_features(void **state)
{
	all_kept(0, 1);
}

/* It can switch it, and it is off when the driver comes up. */
static void
off_at_first(void **state)
{
	all_kept(WCE | FLUSH, 0);
}

/*
 * It can switch it and not flush it: off, and the guest sees that.  What it
 * switched on itself stays so when the device's process is replaced.
 */
static void
off_without_flush(void **state)
{
	uint8_t now;

	all_kept(WCE, 1);
	begin(0, 0, WCE, 1);
	virtio_page_read(&o->f.page.virtio, OFFSET, &now, 1);
	assert_int_equal(now, 0);
	set_cache(1);
	o->f.d.resumed = 1;
	assert_int_equal(o->f.d.ops->activate(&o->f.d), 0);
	virtio_page_read(&o->f.page.virtio, OFFSET, &now, 1);
	assert_int_equal(now, 1);
	work(ROUNDS);
	finish();
	assert_true(o->lost > 0);
	end();
}

/* It is switched off under requests in flight. */
static void
switched_off(void **state)
{
	size_t i;

	for (i = 0; i < NELEM(images); i++) {
		begin(images[i].qcow2, images[i].backed, WCE | FLUSH, 1);
		work(ROUNDS);
		/* This is what the cache is for; and we do notice. */
		assert_true(o->lost > 0);
		set_cache(0);
		work(ROUNDS);
		finish();
		assert_int_equal(o->lost, 0);
		set_cache(1);
		work(ROUNDS);
		assert_true(o->lost > 0);
		end();
	}
}

static uint8_t
flush(void)
{
	struct gmem *g = &o->f.d.mem;
	struct virtio_blk_outhdr h = { .type = htole32(VIRTIO_BLK_T_FLUSH) };
	const struct test_desc d[2] = {
		{ HDR, sizeof(h), F_NEXT, 1 },
		{ STATUS, 1, F_WRITE, 0 },
	};

	memcpy(g->base + HDR, &h, sizeof(h));
	desc_put(g, FAKE_DESC, 0, &d[0]);
	desc_put(g, FAKE_DESC, 1, &d[1]);
	offer(g, &o->f.d.queues[0].vq.conf, 0);
	assert_int_equal(fake_run(&o->f), 0);
	return g->base[STATUS];
}

/* The process is replaced, by one with the page of the first or without. */
static void
again(const struct dev_page *page)
{
	int fd = dup(o->image);

	fake_close(&o->f);
	assert_int_equal(fake_open_again(&o->f, &vioblk_ops, &fd, 1, 0,
			     (uint32_t)o->qcow2, page),
	    0);
	fake_activate(&o->f, 0, FLUSH);
}

/* What was lost stays lost: for the next flush, and the next process. */
static void
lost_for_good(void **state)
{
	struct dev_page page;
	size_t i;

	for (i = 0; i < 2; i++) {
		begin(images[i].qcow2, 0, FLUSH, 1);
		assert_int_equal(flush(), VIRTIO_BLK_S_OK);
		fail_syncs = 1;
		assert_int_equal(flush(), VIRTIO_BLK_S_IOERR);
		assert_int_equal(flush(), VIRTIO_BLK_S_IOERR);
		page = o->f.page;
		again(&page);
		assert_int_equal(flush(), VIRTIO_BLK_S_IOERR);
		again(NULL);
		assert_int_equal(flush(), VIRTIO_BLK_S_OK);
		end();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_features),
		cmocka_unit_test(off_at_first),
		cmocka_unit_test(off_without_flush),
		cmocka_unit_test(switched_off),
		cmocka_unit_test(lost_for_good),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
