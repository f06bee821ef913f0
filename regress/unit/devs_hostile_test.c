/*
 * Devices that do not keep to the rules, against the vm process: what is
 * said too early, unasked, in the wrong form or without end costs the device
 * its life, and neither the vm process nor another device notices.
 */

#include "regress/unit/devs_test.h"

/* What a device may say once it is ready, and does before. */
static void
before_ready(void **state)
{
	static const uint32_t types[] = { IMSG_DEVOP_RESET_DONE,
		IMSG_DEVOP_PAUSED, IMSG_DEVOP_CONFIG, IMSG_DEVOP_BROKEN,
		IMSG_DEVOP_SHUTDOWN_DONE };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		attach(0, 0);
		if (types[i] == IMSG_DEVOP_SHUTDOWN_DONE)
			say_ready(0, types[i], 0, 0, NULL);
		else if (types[i] == IMSG_DEVOP_CONFIG ||
		    types[i] == IMSG_DEVOP_BROKEN)
			say(0, types[i]);
		else
			say_order(0, types[i], 0);
		expect_cut(0, "malformed message");
		/* What becomes of the guest is vmm's to say. */
		run();
		assert_int_equal(t.nready, 0);
	}
}

/* The same of a successor, in the middle of all that can be under way. */
static void
before_ready_again(void **state)
{
	uint64_t nr;

	run_guest();
	devs_pause(t.ds);
	nr = hear(&t.dev[0], IMSG_DEVOP_PAUSE)->o.generation;
	say_order(1, IMSG_DEVOP_PAUSED, nr);
	attach(0, DEVF_REPLACED);
	say_order(0, IMSG_DEVOP_PAUSED, nr);
	expect_cut(0, "malformed message");
	UNTIL(t.npaused > 0);
	drv_reset(0);
	attach(0, DEVF_REPLACED);
	UNTIL(transports[0].resets > 0);
	say_order(0, IMSG_DEVOP_RESET_DONE, 1);
	expect_cut(0, "malformed message");
	assert_int_equal(transports[0].resets, 1);
	assert_int_equal(t.npaused, 1);
}

static void
unasked(void **state)
{
	run_guest();
	/* Nobody has reset it; nor paused; nor ended. */
	say_order(0, IMSG_DEVOP_RESET_DONE, 1);
	expect_cut(0, "malformed message");
	replace(0);
	say_order(0, IMSG_DEVOP_PAUSED, 0);
	expect_cut(0, "malformed message");
	replace(0);
	/* Of a pause to come. */
	say_order(0, IMSG_DEVOP_PAUSED, 1);
	expect_cut(0, "malformed message");
	replace(0);
	say_ready(0, IMSG_DEVOP_SHUTDOWN_DONE, 0, 0, "what?");
	expect_cut(0, "malformed message");
	replace(0);
	run();
	ready(0);
	expect_cut(0, "malformed message");
	run();
	assert_int_equal(t.nready, 1);
	assert_int_equal(t.npaused + t.nended, 0);
	assert_int_equal(transports[0].resets + transports[0].breaks, 0);
}

/* One reset is answered once, and only that one. */
static void
wrong_generation(void **state)
{
	/* Of the one before, of the next, of none. */
	static const int wrong[] = { 1, -1, 1000 };
	size_t i;

	run_guest();
	drv_reset(0);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		hear(&t.dev[0], IMSG_DEVOP_RESET);
		say_order(0, IMSG_DEVOP_RESET_DONE, i + 1 + (uint64_t)wrong[i]);
		expect_cut(0, "malformed message");
		assert_int_equal(transports[0].resets, i);
		replace(0);
		UNTIL(transports[0].resets == i + 1);
		drv_activate(0);
		hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
		drv_reset(0);
	}
	hear(&t.dev[0], IMSG_DEVOP_RESET);
	say_order(0, IMSG_DEVOP_RESET_DONE, i + 1);
	say_order(0, IMSG_DEVOP_RESET_DONE, i + 1);
	expect_cut(0, "malformed message");
	assert_int_equal(transports[0].resets, i + 1);
}

/* The ring is broken: not told of a driver that is gone by now. */
static void
broken(void **state)
{
	run_guest();
	say(0, IMSG_DEVOP_BROKEN);
	UNTIL(transports[0].breaks == 1);
	drv_reset(0);
	hear(&t.dev[0], IMSG_DEVOP_RESET);
	say(0, IMSG_DEVOP_BROKEN);
	say_order(0, IMSG_DEVOP_RESET_DONE, 1);
	say(0, IMSG_DEVOP_BROKEN);
	UNTIL(transports[0].resets == 1);
	silent(&t.dev[0]);
	assert_int_equal(transports[0].breaks, 1);
	/* Nor of one that never was. */
	say(1, IMSG_DEVOP_BROKEN);
	silent(&t.vmm);
	assert_int_equal(transports[1].breaks, 0);
}

static void
config(void **state)
{
	run_guest();
	say(0, IMSG_DEVOP_CONFIG);
	UNTIL(transports[0].changes == 1);
	assert_int_equal(transports[1].changes, 0);
}

/* --- successors that are not what the first one was ------------------------- */

static void
other_successor(void **state)
{
	static const struct {
		uint64_t features;
		uint32_t len;
		const char *error;
	} bad[] = {
		{ FEATURES | 1, 60, NULL },
		{ 0, 60, NULL },
		{ FEATURES, 59, NULL },
		{ FEATURES, DEV_MAXCONFIG, NULL },
		{ FEATURES, 60, "the image is gone" },
	};
	size_t i;

	run_guest();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		attach(0, DEVF_REPLACED);
		say_ready(0, IMSG_DEVOP_READY, bad[i].features, bad[i].len,
		    bad[i].error);
		expect_cut(0, "malformed message");
		/* It never had the queues. */
		assert_int_equal(t.dev[0].n, t.dev[0].seen);
	}
	replace(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	assert_int_equal(t.ds->devs[0].features, FEATURES);
	assert_int_equal(t.nready, 1);
}

static void
late_successor(void **state)
{
	run_guest();
	t.ds->ready_ms = SOON_MS;
	attach(0, DEVF_REPLACED);
	expect_failed(0, "is not ready in time");
	t.ds->ready_ms = DEADLINE * 1000;
	/* vmm kills it and sends another. */
	replace(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	assert_int_equal(t.nready, 1);
	silent(&t.vmm);
}

/* --- form ---------------------------------------------------------------------- */

/* All that is not a device's to say. */
static void
not_allowed(void **state)
{
	static const uint32_t yes[] = { IMSG_DEVOP_READY, IMSG_DEVOP_RESET_DONE,
		IMSG_DEVOP_PAUSED, IMSG_DEVOP_CONFIG, IMSG_DEVOP_BROKEN,
		IMSG_DEVOP_SHUTDOWN_DONE };
	uint32_t type;
	size_t i;

	run_guest();
	for (type = 0; type <= IMSG_TYPE_MAX; type++) {
		for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
			if (yes[i] == type)
				break;
		if (i < sizeof(yes) / sizeof(yes[0]))
			continue;
		replace(0);
		say(0, type);
		expect_cut(0,
		    type == 0 || type == IMSG_TYPE_MAX ? "unknown message" :
							 "message not allowed");
		t.vmm.n = t.vmm.seen = 0;
	}
}

static void
say_bytes(unsigned int i, uint32_t type, size_t n)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	assert_int_equal(ibuf_add_zero(b, n), 0);
	end_say(&t.dev[i], type, b, NULL, 0);
}

static void
wrong_size(void **state)
{
	static const struct {
		uint32_t type;
		size_t size; /* that would be right */
	} msgs[] = {
		{ IMSG_DEVOP_READY, 16 },
		{ IMSG_DEVOP_RESET_DONE, 20 },
		{ IMSG_DEVOP_PAUSED, 20 },
		{ IMSG_DEVOP_CONFIG, 0 },
		{ IMSG_DEVOP_BROKEN, 0 },
		{ IMSG_DEVOP_SHUTDOWN_DONE, 16 },
	};
	size_t i, n;

	run_guest();
	for (i = 0; i < sizeof(msgs) / sizeof(msgs[0]); i++)
		for (n = 0; n < msgs[i].size + 10; n += 3) {
			if (n == msgs[i].size)
				continue;
			attach(0, DEVF_REPLACED);
			if (msgs[i].type != IMSG_DEVOP_READY)
				ready(0);
			say_bytes(0, msgs[i].type, n);
			expect_cut(0, "malformed message");
			t.vmm.n = t.vmm.seen = 0;
		}
}

static void
descriptor(void **state)
{
	int fd = dup(t.mem.fd);

	run_guest();
	end_say(&t.dev[0], IMSG_DEVOP_CONFIG, NULL, &fd, 1);
	expect_cut(0, "too many descriptors");
	assert_int_equal(transports[0].changes, 0);
}

static void
noise(void **state)
{
	unsigned char junk[512];
	int c;

	run_guest();
	for (c = 0; c < 256; c += 15) {
		memset(junk, c, sizeof(junk));
		assert_int_equal(write(t.dev[0].fd, junk, sizeof(junk)),
		    sizeof(junk));
		expect_cut(0, "");
		t.vmm.n = t.vmm.seen = 0;
		replace(0);
		hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
	}
	silent(&t.dev[1]);
}

/* --- without end ------------------------------------------------------------------ */

#define NFLOOD 50000

static void *
flood(void *arg)
{
	struct imsg_hdr h = { .type = *(uint32_t *)arg,
		.len = IMSG_HEADER_SIZE + MSG_HDR_LEN };
	char buf[IMSG_HEADER_SIZE + MSG_HDR_LEN] = { 0 };
	int i, fd = t.dev[0].fd;

	memcpy(buf, &h, sizeof(h));
	for (i = 0; i < NFLOOD; i++)
		if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			break;
	return NULL;
}

/* The other device and the guest get on; all of it is taken. */
static void
floods(void **state)
{
	static uint32_t types[] = { IMSG_DEVOP_CONFIG, IMSG_DEVOP_BROKEN };
	struct virtio *v = &transports[0];
	pthread_t thread;
	unsigned int i;
	uint64_t nr;

	run_guest();
	/* Its own thread is to block, not us. */
	assert_int_equal(fcntl(t.dev[0].fd, F_SETFL, 0), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread, NULL, flood,
				     &types[i]),
		    0);
		UNTIL((i == 0 ? v->changes : v->breaks) > 0);
		devs_pause(t.ds);
		nr = hear(&t.dev[1], IMSG_DEVOP_PAUSE)->o.generation;
		say_order(1, IMSG_DEVOP_PAUSED, nr);
		hear(&t.dev[0], IMSG_DEVOP_PAUSE);
		UNTIL((i == 0 ? v->changes : v->breaks) == NFLOOD);
		assert_int_equal(pthread_join(thread, NULL), 0);
		say_order(0, IMSG_DEVOP_PAUSED, nr);
		UNTIL(t.npaused == i + 1);
		devs_resume(t.ds);
		hear(&t.dev[0], IMSG_DEVOP_RESUME);
		hear(&t.dev[1], IMSG_DEVOP_RESUME);
	}
	silent(&t.vmm);
}

/* It closes its channel again and again, and lives. */
static void
closes(void **state)
{
	unsigned int i;

	run_guest();
	for (i = 0; i < 100; i++) {
		end_close(&t.dev[0]);
		if (i % 2)
			run();
		attach(0, DEVF_REPLACED);
		if (i % 3)
			ready(0);
	}
	silent(&t.vmm);
	assert_int_equal(t.nready, 1);
	assert_int_equal(t.ds->paused, 0);
}

/* --- vmm, which is above ----------------------------------------------------------- */

static void
unknown_device(void **state)
{
	/* The loop is not left: its own end is the closed() of this peer. */
	attach_as(0, 0, DEV_VIOBLK, NDEVS);
	UNTIL(t.up_ended > 0);
	assert_string_equal(t.up_why, "malformed message");
	assert_int_equal(t.nready, 0);
}

static void
unknown_kind(void **state)
{
	attach_as(0, 0, DEV_VIOSCSI, 0);
	UNTIL(t.up_ended > 0);
	assert_string_equal(t.up_why, "malformed message");
}

static void
no_channel(void **state)
{
	const struct dev_id id = { .kind = DEV_VIOBLK };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	assert_int_equal(dev_id_put(b, &id), 0);
	end_say(&t.vmm, IMSG_VMDOP_DEVICE, b, NULL, 0);
	UNTIL(t.up_ended > 0);
	assert_string_equal(t.up_why, "malformed message");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(before_ready),
		T(before_ready_again),
		T(unasked),
		T(wrong_generation),
		T(broken),
		T(config),
		T(other_successor),
		T(late_successor),
		T(not_allowed),
		T(wrong_size),
		T(descriptor),
		T(noise),
		T(floods),
		T(closes),
		T(unknown_device),
		T(unknown_kind),
		T(no_channel),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
