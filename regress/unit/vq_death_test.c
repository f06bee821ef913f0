/*
 * The process that works on a queue dies, before or after each of its
 * stores, and another goes on with the in-flight record: each chain is given
 * out again in its order, none is lost, none is returned twice.
 *
 * For queues of 1, 2 and 4: every sequence of DEPTH actions (take, give
 * back, push the oldest or the newest, publish), then all that is left; a
 * death at each step of that, and for each a second one at each of the next
 * SECOND steps, recovery included.  The driver looks after every step, or only between actions,
 * takes what was returned and offers it again.
 */

static void step(void);
#define VQ_STEP() step()
/* The code under test with its steps in it. */
#include "lib/virtio/vq.c"
#include "lib/virtio/vq_inflight.c"

#include "regress/unit/vq_test.h"

#define DEPTH	   4
#define SECOND	   36
#define MAX_CHAINS 64
#define DEATHS	   5000000UL /* at least so many */

enum action {
	TAKE,
	GIVE_BACK,
	PUSH_OLD,
	PUSH_NEW,
	PUBLISH,
	NACTIONS
};

/* The driver's view: chains are numbered as they are offered. */
static struct gmem g;
static struct vq_conf conf;
static struct vq_inflight *record;
static unsigned int offered, limit, returned;
static uint8_t state[MAX_CHAINS]; /* 1: offered, 2: returned */
static unsigned int number_of[4]; /* by head: its chain */
static uint8_t busy[4];
static uint16_t seen_used;
static int eager;

/* The device's: what it has, in the order of taking. */
static struct vq q;
static unsigned int have[4], nhave;

static jmp_buf death;
static long left; /* steps to live */
static unsigned long deaths, scripts;

static void
fill(void)
{
	uint16_t head;

	for (head = 0; head < conf.size && offered < limit; head++)
		if (!busy[head]) {
			busy[head] = 1;
			number_of[head] = offered;
			state[offered++] = 1;
			offer(&g, &conf, head);
		}
}

/* Take what the device returned, offer it again. */
static void
driver(void)
{
	uint32_t head;

	while (seen_used != peek16(&g, conf.used + 2)) {
		head = peek32(&g,
		    conf.used + 4 + 8UL * (seen_used & (conf.size - 1)));
		assert_true(head < conf.size && busy[head]);
		assert_int_equal(state[number_of[head]], 1);
		state[number_of[head]] = 2;
		busy[head] = 0;
		returned++;
		seen_used++;
	}
	fill();
}

static void
step(void)
{
	if (eager)
		driver();
	if (left-- == 0)
		longjmp(death, 1);
}

static int
take(int (*from)(struct vq *, struct vq_chain *))
{
	struct iovec iov[2];
	struct vq_chain c = { .iov = iov, .max = 2 };
	int n = from(&q, &c);

	assert_int_not_equal(n, -1);
	if (n == 1)
		have[nhave++] = number_of[c.head];
	return n;
}

static uint16_t
head_of(unsigned int number)
{
	uint16_t h = 0;

	while (h < conf.size && !(busy[h] && number_of[h] == number))
		h++;
	assert_true(h < conf.size);
	return h;
}

static void
push(unsigned int i)
{
	uint16_t head;

	if (nhave == 0)
		return;
	head = head_of(have[i]);
	assert_int_equal(vq_push(&q, head, 0), 0);
	nhave--;
	memmove(&have[i], &have[i + 1], (nhave - i) * sizeof(have[0]));
}

static void
act(enum action a)
{
	switch (a) {
	case TAKE:
		take(vq_next);
		break;
	case GIVE_BACK:
		if (nhave > 0 && vq_untake(&q, head_of(have[nhave - 1])) == 0)
			nhave--;
		break;
	case PUSH_OLD:
		push(0);
		break;
	case PUSH_NEW:
		push(nhave - 1);
		break;
	default:
		vq_publish(&q);
		break;
	}
	driver();
}

static void
run(unsigned int script)
{
	int i;

	for (i = 0; i < DEPTH; i++, script /= NACTIONS)
		act(script % NACTIONS);
	while (nhave > 0)
		act(PUSH_NEW);
	act(PUBLISH);
}

static void
fresh(uint16_t size, unsigned int chains)
{
	unsigned int i;

	memset(g.base, 0, g.size);
	memset(state, 0, sizeof(state));
	memset(busy, 0, sizeof(busy));
	/* Of another time, but for this. */
	memset(record, 0x11, vq_inflight_size(4));
	record->size = 0;
	conf.size = size;
	for (i = 0; i < size; i++) {
		const struct test_desc d = { 0xc0, 8, F_WRITE, 0 };

		desc_put(&g, 0, i, &d);
	}
	offered = returned = nhave = 0;
	seen_used = 0;
	limit = chains;
	fill();
}

/* Chains that are offered, not returned, in order, must all come again. */
static void
recover_and_finish(void)
{
	unsigned int i, next = 0;

	nhave = 0;
	while (take(vq_next) == 1) {
		i = have[nhave - 1];
		while (next < i)
			assert_int_not_equal(state[next++], 1);
		assert_int_equal(next, i);
		assert_int_equal(state[next++], 1);
		if (nhave == conf.size) {
			push(nhave - 1);
			vq_publish(&q);
			driver();
		}
	}
	while (nhave > 0) {
		act(PUSH_NEW);
		act(PUBLISH);
	}
	while (take(vq_next) == 1) {
		act(PUSH_OLD);
		act(PUBLISH);
	}
	assert_int_equal(vq_inflight_count(&q), 0);
	assert_int_equal(returned, limit);
	for (i = 0; i < conf.size; i++)
		assert_int_equal(record->slots[i].state, 0);
}

/* A new process: nothing of the old one is left.  0: it died as well. */
static int
second_life(long steps)
{
	memset(&q, 0xa5, sizeof(q));
	left = steps;
	if (setjmp(death) != 0) {
		deaths++;
		return 0;
	}
	assert_int_equal(vq_init(&q, &conf), 0);
	recover_and_finish();
	return 1;
}

/*
 * Run `script', die at step `first', then at step `second' of what follows.
 * 0: it did not last that long; 1: the second life did not; 2: both did.
 */
static int
life(uint16_t size, unsigned int script, long first, long second)
{
	static int how;

	fresh(size, (unsigned int)size + DEPTH);
	memset(&q, 0x5a, sizeof(q));
	how = 0;
	left = first;
	if (setjmp(death) == 0) {
		assert_int_equal(vq_init(&q, &conf), 0);
		run(script);
	} else {
		deaths++;
		how = 1;
	}
	/* It may have died with the driver's look still due. */
	driver();
	if (how == 1 && second_life(second))
		return 1;
	driver();
	assert_true(second_life(-1));
	return how == 1 ? 2 : 0;
}

static void
scripts_of(uint16_t size, unsigned int script)
{
	long first, second;
	int how = 1;

	scripts++;
	for (first = 0; how != 0; first++) {
		how = life(size, script, first, -1);
		for (second = 0; how != 0 && second < SECOND; second++)
			if (life(size, script, first, second) != 2)
				break;
	}
}

static void
all(uint16_t size)
{
	unsigned int script, n = 1;
	int i;

	for (i = 0; i < DEPTH; i++)
		n *= NACTIONS;
	mem_make(&g, 0x100);
	record = calloc(1, vq_inflight_size(4));
	assert_non_null(record);
	conf.mem = &g;
	conf.avail = 0x40;
	conf.used = 0x60;
	conf.inflight = record;
	for (eager = 0; eager <= 1; eager++)
		for (script = 0; script < n; script++)
			scripts_of(size, script);
	free(record);
	mem_drop(&g);
	print_message("# size %u: %lu scripts, %lu deaths so far\n", size,
	    scripts, deaths);
}

static void
size_1(void **st)
{
	all(1);
}

static void
size_2(void **st)
{
	all(2);
}

static void
size_4(void **st)
{
	all(4);
}

static void
enough(void **st)
{
	assert_true(deaths >= DEATHS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_1),
		cmocka_unit_test(size_2),
		cmocka_unit_test(size_4),
		cmocka_unit_test(enough),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
