/*
 * The queues of a device process as dev_queue.c starts them, and somebody
 * who begins to ask, while they are in use, where guest memory is written.
 */

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/proto/msg.h"
#include "regress/unit/dirty_watch.h"
#include "regress/unit/vq_test.h"
#include "vmd/dev/dev_int.h"

#define RAM   0x8000U
#define SIZE  8
#define DESC  0x0
#define AVAIL 0x400
#define USED  0x800
#define DATA  0x1000

static struct dev d;
static struct dev_page page;
static struct watch watch;
static struct vq_conf conf = { .size = SIZE, .avail = AVAIL };

/* --- what the rest of the process would do ----------------------------- */

void
dev_broken(struct dev *dev, unsigned int q)
{
	fail();
}

int
io_ready(const struct io *io)
{
	return -1;
}

int
io_is_ring(const struct io *io)
{
	return 0;
}

/* --- a device ---------------------------------------------------------- */

/* What is writable becomes ones. */
static int
ones_queue(struct dev *dev, struct dev_vq *q)
{
	struct iovec iov[SIZE];
	struct vq_chain c = { .iov = iov, .max = SIZE };

	while (vq_next(&q->vq, &c) == 1) {
		memset(c.wr[0].iov_base, 1, c.wr[0].iov_len);
		vq_wrote(&q->vq, c.wr, c.nwr, 0, c.wrlen);
		dev_begin(dev);
		dev_end(dev, q, c.head, c.wrlen);
	}
	return 0;
}

static const struct dev_ops ones = { .queue = ones_queue };

static void
activate(uint64_t features)
{
	struct dev_activate a = { .generation = 1,
		.features = features,
		.nqueues = 1,
		.queues = { { SIZE, DESC, AVAIL, USED } } };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE), in;

	assert_non_null(b);
	assert_int_equal(dev_activate_put(b, &a), 0);
	ibuf_from_ibuf(&in, b);
	d.active = 0;
	dev_activate(&d, &in);
	assert_true(d.active);
	ibuf_free(b);
}

/* One buffer more, and what the process does for it. */
static void
one(uint16_t i)
{
	struct test_desc t = { DATA + 64U * i, 40, F_WRITE, 0 };

	desc_put(&d.mem, DESC, i, &t);
	offer(&d.mem, &conf, i);
	watch_begin(&watch, &d.mem, RAM);
	dev_work(&d, &d.queues[0]);
	dev_publish(&d);
	dev_rest(&d, 0);
	watch_end(&watch);
}

static void
test_marks(void **state)
{
	const uint64_t *features = *state;

	memset(d.mem.base, 0, RAM);
	d.dirty.mark = NULL;
	watch.on = 0;
	watch.marked = 0;
	activate(*features);
	one(0);
	assert_int_equal(peek16(&d.mem, USED + 2), 1);
	assert_int_equal(watch.marked, 0);
	watch.on = 1;
	d.dirty = (struct vq_dirty){ watch_mark, &watch };
	one(1);
	assert_int_equal(peek16(&d.mem, USED + 2), 2);
	assert_true(watch.marked >= 40 + 8 + 2);
	/* The next driver's queues tell as well, until nobody asks. */
	activate(*features);
	d.dirty.mark = NULL;
	watch.on = 0;
	watch.marked = 0;
	one(2);
	assert_int_equal(watch.marked, 0);
}

static int
enter(void **state)
{
	mem_make(&d.mem, RAM);
	d.ops = &ones;
	d.page = &page;
	d.nqueues = 1;
	d.hello.queue_max = SIZE;
	d.queues[0].dev = &d;
	d.queues[0].call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d.queues[0].record = calloc(1, vq_inflight_size(SIZE));
	return d.queues[0].call == -1 || d.queues[0].record == NULL ? -1 : 0;
}

static int
leave(void **state)
{
	mem_drop(&d.mem);
	close(d.queues[0].call);
	free(d.queues[0].record);
	return 0;
}

int
main(void)
{
	static uint64_t plain = 0, events = VQ_F_EVENT_IDX;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_marks, &plain),
		cmocka_unit_test_prestate(test_marks, &events),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("dev_dirty", tests, enter, leave);
}
