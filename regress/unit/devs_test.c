/*
 * Device processes, seen from the vm process: the start, what the guest does
 * and how it reaches them, pause and end, a death in every state and what
 * the successor is told, and answers that do not come in time.
 */

#include "lib/proto/devstat.h"
#include "regress/unit/devs_test.h"

/* --- start ------------------------------------------------------------------ */

static void
hello(void **state)
{
	const struct got *g = attach(0, 0);

	assert_int_equal(g->h.nqueues, 1);
	assert_int_equal(g->h.mem.size, MEMORY);
	assert_int_equal(g->h.page_size, t.ds->devs[0].page_size);
	ready(0);
	run();
	assert_int_equal(t.nready, 0);
	attach(1, 0);
	ready(1);
	UNTIL(t.nready > 0);
	assert_string_equal(t.ready, "");
	silent(&t.vmm);
	assert_int_equal(t.nready, 1);
	assert_int_equal(t.ds->devs[1].features, FEATURES);
	assert_int_equal(t.ds->devs[1].config_len, 60);
}

static void
cannot_start(void **state)
{
	attach(0, 0);
	attach(1, 0);
	say_ready(1, IMSG_DEVOP_READY, 0, 0, "no image");
	UNTIL(t.nready > 0);
	assert_string_equal(t.ready, "no image");
	say_ready(0, IMSG_DEVOP_READY, 0, 0, "no image either");
	end_close(&t.dev[1]);
	run();
	assert_int_equal(t.nready, 1);
	silent(&t.vmm);
}

/* It ends without a word, and with status 0: vmm says nothing either. */
static void
dies_in_hello(void **state)
{
	attach(0, 0);
	attach(1, 0);
	ready(1);
	end_close(&t.dev[0]);
	run();
	assert_int_equal(t.nready, 0);
	vdev_arm(&t.ds->devs[0], SOON_MS);
	UNTIL(t.nready > 0);
	assert_string_equal(t.ready, "vioblk0 ended before it was ready");
	run();
	assert_int_equal(t.nready, 1);
	silent(&t.vmm);
}

static void
late_ready(void **state)
{
	t.ds->ready_ms = SOON_MS;
	attach(0, 0);
	UNTIL(t.nready > 0);
	assert_string_equal(t.ready, "vioblk0 is not ready in time");
	expect_failed(0, "is not ready in time");
	assert_int_equal(t.nready, 1);
}

/* --- the guest ----------------------------------------------------------------- */

static void
activate_and_reset(void **state)
{
	const struct got *g;
	uint64_t first;

	plug();
	drv_activate(0);
	g = hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	first = g->a.generation;
	assert_true(first > 0);
	assert_int_equal(g->a.resume, 0);
	assert_int_equal(g->a.nqueues, 1);
	assert_int_equal(g->a.queues[0].size, 16);
	assert_int_equal(g->a.queues[0].used, 0x3000);
	drv_reset(0);
	g = hear(&t.dev[0], IMSG_DEVOP_RESET);
	assert_int_equal(g->o.generation, first);
	run();
	assert_int_equal(transports[0].resets, 0);
	say_order(0, IMSG_DEVOP_RESET_DONE, first);
	UNTIL(transports[0].resets > 0);
	drv_activate(0);
	g = hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	assert_int_equal(g->a.generation, first + 1);
	assert_int_equal(transports[0].resets, 1);
	/* The other one has heard nothing of all this. */
	silent(&t.dev[1]);
}

/* Both before anybody looked: there is nothing to tell. */
static void
activate_and_reset_at_once(void **state)
{
	plug();
	drv_write(0, 32, 1);
	run();
	drv_activate(0);
	drv_reset(0);
	UNTIL(transports[0].resets > 0);
	silent(&t.dev[0]);
	assert_int_equal(transports[0].resets, 1);
	drv_activate(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	silent(&t.dev[0]);
}

/* Writes come after the features that they depend on. */
static void
write_after_activate(void **state)
{
	const struct got *g;

	plug();
	drv_activate(0);
	drv_write(0, 32, 0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	g = hear(&t.dev[0], IMSG_DEVOP_CONFIG_WRITE);
	assert_int_equal(g->o.off, 32);
	assert_int_equal(g->o.size, 1);
	assert_int_equal(g->o.val, 0);
	silent(&t.dev[0]);
}

#define NWRITES 20000

static void *
many_writes(void *arg)
{
	unsigned int i;

	for (i = 1; i <= NWRITES; i++)
		drv_write(0, i % 4, i);
	return NULL;
}

/* From another thread, and more than it reads: the last one counts. */
static void
writes(void **state)
{
	struct end *e = &t.dev[0];
	const struct got *g;
	pthread_t thread;
	unsigned int n;

	run_guest();
	assert_int_equal(pthread_create(&thread, NULL, many_writes, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* Nobody looked meanwhile. */
	for (n = 0; n < 4; n++) {
		g = hear(e, IMSG_DEVOP_CONFIG_WRITE);
		assert_int_equal(g->o.val, NWRITES - 3 + (g->o.off + 3) % 4);
	}
	silent(e);
	/* While one looks. */
	assert_int_equal(pthread_create(&thread, NULL, many_writes, NULL), 0);
	UNTIL(e->total >= e->seen + n);
	assert_int_equal(pthread_join(thread, NULL), 0);
	run();
	assert_true(e->total <= NWRITES + 16);
	/* More places than there can be. */
	for (n = 0; n < 1000; n++)
		drv_write(0, n, n);
	n = e->total;
	UNTIL(e->total > n);
	run();
	assert_true(e->total <= n + MAXWRITES);
	silent(&t.vmm);
}

static void *
up_and_down(void *arg)
{
	drv_activate(0);
	drv_reset(0);
	return NULL;
}

/* In the middle of which there may be a look, or not: one reset is done. */
static void
from_another_thread(void **state)
{
	struct end *e = &t.dev[0];
	pthread_t thread;
	unsigned int i;

	plug();
	for (i = 0; i < 200; i++) {
		assert_int_equal(pthread_create(&thread, NULL, up_and_down,
				     NULL),
		    0);
		while (transports[0].resets == i) {
			UNTIL(e->n > e->seen || transports[0].resets > i);
			while (e->n > e->seen)
				if (e->got[e->seen++].type == IMSG_DEVOP_RESET)
					say_order(0, IMSG_DEVOP_RESET_DONE,
					    e->got[e->seen - 1].o.generation);
			e->n = e->seen = 0;
		}
		assert_int_equal(pthread_join(thread, NULL), 0);
		run();
		assert_int_equal(transports[0].resets, i + 1);
	}
	silent(&t.vmm);
}

static void
late_reset(void **state)
{
	run_guest();
	t.ds->reset_ms = SOON_MS;
	drv_reset(0);
	hear(&t.dev[0], IMSG_DEVOP_RESET);
	expect_failed(0, "does not answer a reset");
	assert_int_equal(transports[0].resets, 0);
	end_close(&t.dev[0]);
	run();
	assert_int_equal(transports[0].resets, 0);
	/* When nobody works on the queues any more. */
	replace(0);
	assert_int_equal(transports[0].resets, 1);
	run();
	silent(&t.dev[0]);
	assert_int_equal(transports[0].resets, 1);
}

/* --- pause and end -------------------------------------------------------------- */

static uint64_t
expect_pause(unsigned int i)
{
	return hear(&t.dev[i], IMSG_DEVOP_PAUSE)->o.generation;
}

static void
pause_all(void **state)
{
	uint64_t nr;
	unsigned int i;

	plug();
	for (i = 1; i <= 3; i++) {
		devs_pause(t.ds);
		nr = expect_pause(0);
		assert_int_equal(expect_pause(1), nr);
		say_order(0, IMSG_DEVOP_PAUSED, nr);
		run();
		assert_int_equal(t.npaused, i - 1);
		say_order(1, IMSG_DEVOP_PAUSED, nr);
		UNTIL(t.npaused == i);
		assert_string_equal(t.paused, "");
		devs_resume(t.ds);
		hear(&t.dev[0], IMSG_DEVOP_RESUME);
		hear(&t.dev[1], IMSG_DEVOP_RESUME);
	}
	run();
	assert_int_equal(t.npaused, 3);
	silent(&t.vmm);
}

/* Given up; what is said then does not end the next one. */
static void
late_pause(void **state)
{
	uint64_t nr;

	plug();
	t.ds->pause_ms = SOON_MS;
	devs_pause(t.ds);
	nr = expect_pause(0);
	expect_pause(1);
	say_order(1, IMSG_DEVOP_PAUSED, nr);
	UNTIL(t.npaused > 0);
	assert_non_null(strstr(t.paused, "vioblk0: requests in flight"));
	assert_int_equal(t.npaused, 1);
	hear(&t.dev[0], IMSG_DEVOP_RESUME);
	hear(&t.dev[1], IMSG_DEVOP_RESUME);
	t.ds->pause_ms = DEADLINE * 1000;
	devs_pause(t.ds);
	assert_int_equal(expect_pause(0), nr + 1);
	expect_pause(1);
	say_order(1, IMSG_DEVOP_PAUSED, nr + 1);
	say_order(0, IMSG_DEVOP_PAUSED, nr);
	run();
	assert_int_equal(t.npaused, 1);
	say_order(0, IMSG_DEVOP_PAUSED, nr + 1);
	UNTIL(t.npaused == 2);
	assert_string_equal(t.paused, "");
	silent(&t.vmm);
}

static void
shutdown_all(void **state)
{
	plug();
	devs_shutdown(t.ds);
	hear(&t.dev[0], IMSG_DEVOP_SHUTDOWN);
	hear(&t.dev[1], IMSG_DEVOP_SHUTDOWN);
	say_ready(0, IMSG_DEVOP_SHUTDOWN_DONE, 0, 0, NULL);
	end_close(&t.dev[0]);
	run();
	assert_int_equal(t.nended, 0);
	say_ready(1, IMSG_DEVOP_SHUTDOWN_DONE, 0, 0, "flush: No space left");
	end_close(&t.dev[1]);
	UNTIL(t.nended > 0);
	run();
	assert_int_equal(t.nended, 1);
	silent(&t.vmm);
}

static void
late_shutdown(void **state)
{
	plug();
	t.ds->shutdown_ms = SOON_MS;
	devs_shutdown(t.ds);
	UNTIL(t.nended > 0);
	end_close(&t.dev[0]);
	run();
	assert_int_equal(t.nended, 1);
}

/* The end of the machine does not wait for a pause. */
static void
shutdown_in_pause(void **state)
{
	plug();
	devs_pause(t.ds);
	expect_pause(0);
	devs_shutdown(t.ds);
	hear(&t.dev[0], IMSG_DEVOP_SHUTDOWN);
	say_ready(0, IMSG_DEVOP_SHUTDOWN_DONE, 0, 0, NULL);
	say_ready(1, IMSG_DEVOP_SHUTDOWN_DONE, 0, 0, NULL);
	UNTIL(t.nended > 0);
	assert_int_equal(t.nended, 1);
}

/* --- death and successors ------------------------------------------------------- */

static void
dies_active(void **state)
{
	const struct got *g;

	run_guest();
	end_close(&t.dev[0]);
	run();
	replace(0);
	g = hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	assert_int_equal(g->a.resume, 1);
	assert_int_equal(g->a.queues[0].size, 16);
	assert_int_equal(g->a.queues[0].desc, 0x1000);
	silent(&t.dev[0]);
	/* The other one was not in use. */
	replace(1);
	silent(&t.dev[1]);
	silent(&t.vmm);
	assert_int_equal(transports[0].breaks + transports[0].resets, 0);
	assert_int_equal(t.nready, 1);
}

/* Its successor is here before its end was noticed. */
static void
dies_unnoticed(void **state)
{
	run_guest();
	replace(0);
	assert_int_equal(hear(&t.dev[0], IMSG_DEVOP_ACTIVATE)->a.resume, 1);
	silent(&t.vmm);
}

static void
dies_resetting(void **state)
{
	run_guest();
	((uint8_t *)t.ds->devs[0].page)[DEV_PAGE_RECORDS] = 16;
	drv_reset(0);
	hear(&t.dev[0], IMSG_DEVOP_RESET);
	end_close(&t.dev[0]);
	run();
	assert_int_equal(transports[0].resets, 0);
	replace(0);
	UNTIL(transports[0].resets > 0);
	assert_int_equal(((uint8_t *)t.ds->devs[0].page)[DEV_PAGE_RECORDS], 0);
	silent(&t.dev[0]);
	drv_activate(0);
	assert_int_equal(hear(&t.dev[0], IMSG_DEVOP_ACTIVATE)->a.resume, 0);
	assert_int_equal(transports[0].resets, 1);
}

/* The guest resets while nobody is there. */
static void
reset_while_dead(void **state)
{
	run_guest();
	end_close(&t.dev[0]);
	run();
	drv_reset(0);
	run();
	/* It may not be reaped yet. */
	assert_int_equal(transports[0].resets, 0);
	attach(0, DEVF_REPLACED);
	UNTIL(transports[0].resets > 0);
	drv_activate(0);
	run();
	ready(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	silent(&t.dev[0]);
	assert_int_equal(transports[0].resets, 1);
}

/* While the successor is there and not ready. */
static void
reset_in_hello(void **state)
{
	run_guest();
	end_close(&t.dev[0]);
	attach(0, DEVF_REPLACED);
	drv_reset(0);
	UNTIL(transports[0].resets > 0);
	ready(0);
	silent(&t.dev[0]);
	drv_activate(0);
	assert_int_equal(hear(&t.dev[0], IMSG_DEVOP_ACTIVATE)->a.generation, 2);
	assert_int_equal(transports[0].resets, 1);
	silent(&t.vmm);
}

/* And it is still expected to be ready in time. */
static void
reset_in_hello_late(void **state)
{
	run_guest();
	end_close(&t.dev[0]);
	t.ds->ready_ms = SOON_MS;
	attach(0, DEVF_REPLACED);
	drv_reset(0);
	expect_failed(0, "is not ready in time");
	UNTIL(transports[0].resets > 0);
	run();
	assert_int_equal(transports[0].resets, 1);
	assert_int_equal(t.nready, 1);
}

/* A write for one that is not there is for the next. */
static void
write_while_dead(void **state)
{
	const struct got *g;

	run_guest();
	end_close(&t.dev[0]);
	run();
	drv_write(0, 32, 1);
	run();
	drv_write(0, 32, 0);
	run();
	replace(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	g = hear(&t.dev[0], IMSG_DEVOP_CONFIG_WRITE);
	assert_int_equal(g->o.off, 32);
	assert_int_equal(g->o.val, 0);
	silent(&t.dev[0]);
}

/* One that the first may not have read, and the last of each place. */
static void
write_unread(void **state)
{
	const struct got *g;
	unsigned int i;

	run_guest();
	drv_write(0, 32, 1);
	hear(&t.dev[0], IMSG_DEVOP_CONFIG_WRITE);
	drv_write(0, 32, 0);
	hear(&t.dev[0], IMSG_DEVOP_CONFIG_WRITE);
	/* Each successor is told, the one of a successor too. */
	for (i = 0; i < 2; i++) {
		end_close(&t.dev[0]);
		run();
		replace(0);
		hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
		g = hear(&t.dev[0], IMSG_DEVOP_CONFIG_WRITE);
		assert_int_equal(g->o.off, 32);
		assert_int_equal(g->o.size, 1);
		assert_int_equal(g->o.val, 0);
		silent(&t.dev[0]);
	}
	/* A reset is the end of it. */
	drv_reset(0);
	say_order(0, IMSG_DEVOP_RESET_DONE,
	    hear(&t.dev[0], IMSG_DEVOP_RESET)->o.generation);
	UNTIL(transports[0].resets > 0);
	drv_activate(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	end_close(&t.dev[0]);
	run();
	replace(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	silent(&t.dev[0]);
}

/* The driver is not up yet: it counts from when it is. */
static void
write_before_activate(void **state)
{
	const struct got *g;

	plug();
	drv_write(0, 32, 0);
	run();
	silent(&t.dev[0]);
	drv_activate(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	g = hear(&t.dev[0], IMSG_DEVOP_CONFIG_WRITE);
	assert_int_equal(g->o.off, 32);
	silent(&t.dev[0]);
}

static void
dies_pausing(void **state)
{
	uint64_t nr;

	run_guest();
	devs_pause(t.ds);
	nr = expect_pause(0);
	say_order(1, IMSG_DEVOP_PAUSED, nr);
	run();
	assert_int_equal(t.npaused, 0);
	/* It is gone: nothing moves. */
	end_close(&t.dev[0]);
	UNTIL(t.npaused > 0);
	assert_string_equal(t.paused, "");
	/* The next one is held before it has queues. */
	replace(0);
	assert_int_equal(expect_pause(0), nr);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	say_order(0, IMSG_DEVOP_PAUSED, nr);
	run();
	assert_int_equal(t.npaused, 1);
	devs_resume(t.ds);
	hear(&t.dev[0], IMSG_DEVOP_RESUME);
	silent(&t.vmm);
}

/* Replaced in the middle of a pause, which waits for the new one. */
static void
replaced_pausing(void **state)
{
	uint64_t nr;

	run_guest();
	devs_pause(t.ds);
	nr = expect_pause(0);
	expect_pause(1);
	end_close(&t.dev[0]);
	run();
	replace(0);
	assert_int_equal(expect_pause(0), nr);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	say_order(1, IMSG_DEVOP_PAUSED, nr);
	run();
	assert_int_equal(t.npaused, 0);
	say_order(0, IMSG_DEVOP_PAUSED, nr);
	UNTIL(t.npaused > 0);
	run();
	assert_int_equal(t.npaused, 1);
}

static void
dies_ending(void **state)
{
	run_guest();
	devs_shutdown(t.ds);
	hear(&t.dev[0], IMSG_DEVOP_SHUTDOWN);
	end_close(&t.dev[0]);
	run();
	assert_int_equal(t.nended, 0);
	end_close(&t.dev[1]);
	UNTIL(t.nended > 0);
	run();
	assert_int_equal(t.nended, 1);
}

/* What the one before had begun is still done. */
static void
replaced_ending(void **state)
{
	run_guest();
	devs_shutdown(t.ds);
	hear(&t.dev[0], IMSG_DEVOP_SHUTDOWN);
	end_close(&t.dev[0]);
	run();
	replace(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	hear(&t.dev[0], IMSG_DEVOP_SHUTDOWN);
	say_ready(1, IMSG_DEVOP_SHUTDOWN_DONE, 0, 0, NULL);
	run();
	assert_int_equal(t.nended, 0);
	say_ready(0, IMSG_DEVOP_SHUTDOWN_DONE, 0, 0, NULL);
	UNTIL(t.nended > 0);
	run();
	assert_int_equal(t.nended, 1);
}

/* --- in numbers ---------------------------------------------------------------- */

/* Whatever stands in the page and the configuration: it is bounded. */
static void
counted(void **state)
{
	uint64_t *page = t.ds->devs[1].page->stats;
	struct dev_list l;
	struct ibuf *b;
	unsigned int i;

	devs_stats(NULL, &l);
	assert_int_equal(l.n, 0);
	for (i = 0; i < DEVS_COUNTERS; i++)
		page[i] = 1000 + i;
	t.ds->devs[1].config_len = 60;
	t.ds->devs[1].config[1] = 8;
	devs_stats(t.ds, &l);
	assert_int_equal(l.n, NDEVS);
	assert_int_equal(l.devs[0].size, 0);
	assert_int_equal(l.devs[0].counts[DEVS_READS], 0);
	assert_int_equal(l.devs[1].idx, 1);
	assert_int_equal(l.devs[1].size, 1 << 20);
	assert_int_equal(l.devs[1].counted, 1);
	for (i = 0; i < DEVS_COUNTERS; i++)
		assert_int_equal(l.devs[1].counts[i], 1000 + i);
	memset(page, 0xff, sizeof(*page) * DEVS_MAX);
	memset(t.ds->devs[1].config, 0xff, 8);
	devs_stats(t.ds, &l);
	assert_true(l.devs[1].size == DEV_COUNT_MAX);
	for (i = 0; i < DEVS_COUNTERS; i++)
		assert_true(l.devs[1].counts[i] == DEV_COUNT_MAX);
	assert_non_null(b = ibuf_dynamic(0, MSG_MAXSIZE));
	assert_int_equal(dev_list_put(b, &l), 0);
	assert_int_equal(dev_list_get(b, &l), 0);
	ibuf_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(hello),
		T(cannot_start),
		T(dies_in_hello),
		T(late_ready),
		T(activate_and_reset),
		T(activate_and_reset_at_once),
		T(write_after_activate),
		T(writes),
		T(from_another_thread),
		T(late_reset),
		T(pause_all),
		T(late_pause),
		T(shutdown_all),
		T(late_shutdown),
		T(shutdown_in_pause),
		T(dies_active),
		T(dies_unnoticed),
		T(dies_resetting),
		T(reset_while_dead),
		T(reset_in_hello),
		T(reset_in_hello_late),
		T(write_while_dead),
		T(write_unread),
		T(write_before_activate),
		T(dies_pausing),
		T(replaced_pausing),
		T(dies_ending),
		T(replaced_ending),
		T(counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
