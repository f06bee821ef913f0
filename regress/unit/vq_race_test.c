/*
 * A driver and a device on two threads, each asleep whenever the other does
 * not have to wake it: no kick and no interrupt is lost, with flags and with
 * event indices, and every chain comes back once with its bytes.
 */
#include <sys/eventfd.h>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "regress/unit/vq_test.h"

#define SIZE	8
#define CHAINS	300000U
#define DATA	0x400
#define LOST_MS 10000 /* nobody is that slow */

static struct gmem g;
static struct vq_conf conf;
static int kick, call;
static int lost; /* atomic */
static unsigned long kicks, calls;

static int
sleep_on(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	if (poll(&p, 1, LOST_MS) != 1 || read(fd, &n, sizeof(n)) == -1) {
		__atomic_store_n(&lost, 1, __ATOMIC_SEQ_CST);
		return -1;
	}
	return 0;
}

static void
wake(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) == -1)
		__atomic_store_n(&lost, 1, __ATOMIC_SEQ_CST);
}

/* --- device ------------------------------------------------------------------ */

static int
serve(struct vq *q, unsigned int *done)
{
	struct iovec iov[4];
	struct vq_chain c = { .iov = iov, .max = NELEM(iov) };
	uint32_t in;

	while (vq_next(q, &c) == 1) {
		if (vq_iov_get(c.rd, c.nrd, 0, &in, 4) != 4)
			return -1;
		in = ~in;
		vq_iov_put(c.wr, c.nwr, 0, &in, 4);
		vq_push(q, c.head, 4);
		/* Batches of all sizes. */
		if (++*done % 7 < 3 && vq_publish(q)) {
			calls++;
			wake(call);
		}
	}
	if (vq_publish(q)) {
		calls++;
		wake(call);
	}
	return 0;
}

static void *
device(void *arg)
{
	static struct vq q;
	unsigned int done = 0;

	if (vq_init(&q, &conf) == -1)
		return NULL;
	while (done < CHAINS) {
		vq_kick_off(&q);
		if (serve(&q, &done) == -1)
			break;
		if (done < CHAINS && !vq_kick_on(&q) && sleep_on(kick) == -1)
			break;
	}
	return NULL;
}

/* --- driver ------------------------------------------------------------------- */

static uint16_t *
word(uint64_t gpa)
{
	return (uint16_t *)(void *)(g.base + gpa);
}

static uint16_t
load(uint64_t gpa)
{
	return __atomic_load_n(word(gpa), __ATOMIC_ACQUIRE);
}

static void
store(uint64_t gpa, uint16_t v)
{
	__atomic_store_n(word(gpa), v, __ATOMIC_RELEASE);
}

static int
events(void)
{
	return (conf.features & VQ_F_EVENT_IDX) != 0;
}

static void
submit(uint16_t *idx, uint16_t head, uint32_t tag)
{
	uint16_t old = *idx, event;

	memcpy(g.base + DATA + 16UL * head, &tag, 4);
	poke16(&g, conf.avail + 4 + 2UL * (old % SIZE), head);
	store(conf.avail + 2, ++*idx);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = load(conf.used + 4 + 8 * SIZE);
	if (events() ? (uint16_t)(*idx - event - 1) < 1 :
		       (load(conf.used) & 1) == 0) {
		kicks++;
		wake(kick);
	}
}

/* Ask for an interrupt for the next one; 1 if it is there already. */
static int
ask(uint16_t seen)
{
	if (events())
		store(conf.avail + 4 + 2 * SIZE, seen);
	else
		store(conf.avail, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load(conf.used + 2) != seen;
}

static unsigned int
collect(uint16_t *seen, uint16_t *idx, unsigned int *sent)
{
	unsigned int n = 0;
	uint32_t head, out, tag;

	while (*seen != load(conf.used + 2)) {
		head = peek32(&g, conf.used + 4 + 8UL * (*seen % SIZE));
		memcpy(&tag, g.base + DATA + 16 * head, 4);
		memcpy(&out, g.base + DATA + 16 * head + 8, 4);
		if (out != ~tag)
			fail_msg("chain %u came back with %x", tag, out);
		++*seen;
		n++;
		if (*sent < CHAINS)
			submit(idx, (uint16_t)head, (*sent)++);
	}
	return n;
}

static void
drive(void)
{
	uint16_t seen = 0, idx = 0, head;
	unsigned int sent = 0, done = 0;

	for (head = 0; head < SIZE; head += 2)
		submit(&idx, head, sent++);
	while (done < CHAINS) {
		if (!events())
			store(conf.avail, 1);
		done += collect(&seen, &idx, &sent);
		if (done < CHAINS && !ask(seen) && sleep_on(call) == -1)
			break;
	}
	assert_int_equal(__atomic_load_n(&lost, __ATOMIC_SEQ_CST), 0);
	assert_int_equal(done, CHAINS);
}

static void
run(uint64_t features)
{
	pthread_t t;
	unsigned int i;

	mem_make(&g, 0x800);
	conf.mem = &g;
	conf.size = SIZE;
	conf.avail = 0x100;
	conf.used = 0x200;
	conf.features = features;
	kicks = calls = 0;
	for (i = 0; i < SIZE; i += 2) {
		const struct test_desc in = { DATA + 16 * i, 4, F_NEXT,
			(uint16_t)(i + 1) };
		const struct test_desc out = { DATA + 16 * i + 8, 4, F_WRITE,
			0 };

		desc_put(&g, 0, i, &in);
		desc_put(&g, 0, i + 1, &out);
	}
	kick = eventfd(0, EFD_CLOEXEC);
	call = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&t, NULL, device, NULL), 0);
	drive();
	assert_int_equal(pthread_join(t, NULL), 0);
	print_message("# %u chains, %lu kicks, %lu interrupts\n", CHAINS, kicks,
	    calls);
	close(kick);
	close(call);
	mem_drop(&g);
}

static void
by_flags(void **state)
{
	run(0);
}

static void
by_events(void **state)
{
	run(VQ_F_EVENT_IDX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_flags),
		cmocka_unit_test(by_events),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
