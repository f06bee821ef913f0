/*
 * A process that writes to an image is killed, again and again, and the
 * next one goes on with what is there: all that was done, no sector that
 * was never written, and no fault but lost clusters.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regress/unit/disk_rig.h"

#define SECTORS 16384
#define SLOTS	16
#define LEN_MAX 64 /* sectors */
#define BEAT	16 /* requests between two bytes to the parent */

/* What the writer says, in memory that outlives it. */
struct sector {
	uint32_t begun;
	uint32_t done;
};

struct slot {
	struct rig_req q;
	struct iovec iov;
	uint64_t first, n;
	uint32_t version;
	int used;
	uint8_t buf[LEN_MAX * 512];
};

static struct sector *said;
static struct slot slots[SLOTS];

static void
fill(uint8_t *buf, uint64_t sector, uint32_t version)
{
	uint64_t v = sector << 32 | version;
	size_t i;

	for (i = 0; i < 512; i += 8)
		memcpy(buf + i, &v, 8);
}

static void
slot_done(struct disk_req *r, int error)
{
	struct slot *s = (struct slot *)r;
	uint64_t i;

	if (error != 0)
		_exit(1);
	s->used = 0;
	for (i = s->first; i < s->first + s->n; i++)
		said[i].done = s->version;
}

static int
busy(uint64_t first, uint64_t n)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (slots[i].used && first < slots[i].first + slots[i].n &&
		    slots[i].first < first + n)
			return 1;
	return 0;
}

static void
slot_begin(struct rig *g, struct slot *s, uint32_t version)
{
	uint64_t i;

	do {
		s->n = 1 + rig_random() % LEN_MAX;
		s->first = rig_random() % (SECTORS - s->n);
	} while (busy(s->first, s->n));
	s->version = version;
	for (i = 0; i < s->n; i++) {
		fill(s->buf + i * 512, s->first + i, version);
		said[s->first + i].begun = version;
	}
	memset(&s->q.r, 0, sizeof(s->q.r));
	s->iov = (struct iovec){ s->buf, s->n * 512 };
	s->q.r.op = DISK_WRITE;
	s->q.r.off = s->first * 512;
	s->q.r.iov = &s->iov;
	s->q.r.niov = 1;
	s->q.r.done = slot_done;
	s->used = 1;
	disk_submit(g->d, &s->q.r);
}

static void
writer(const char *const *chain, int sync, uint32_t version, int beat)
{
	struct rig g;
	struct slot *s;

	if (rig_open(&g, chain, 0, sync) != 0)
		_exit(1);
	for (;; version++) {
		s = &slots[rig_random() % SLOTS];
		while (s->used)
			if (io_run(g.io, 1) == -1)
				_exit(1);
		slot_begin(&g, s, version);
		if (version % BEAT == 0 && write(beat, "", 1) != 1)
			_exit(1);
	}
}

/* Let one write for a while. */
static uint32_t
write_and_kill(const char *const *chain, int sync, uint32_t version)
{
	int p[2], status, left = 1 + (int)(rig_random() % 24);
	char c;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(p[0]);
		rig_seed(version);
		writer(chain, sync, version, p[1]);
	}
	close(p[1]);
	while (left-- > 0) {
		assert_int_equal(read(p[0], &c, 1), 1);
		version += BEAT;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(p[0], &c, 1) == 1)
		version += BEAT;
	close(p[0]);
	return version + BEAT;
}

static void
examine(const char *const *chain, const uint8_t *first)
{
	static uint8_t buf[SECTORS * 512];
	uint8_t want[512];
	struct rig g;
	uint64_t i, v;

	assert_int_equal(rig_open(&g, chain, 0, 0), 0);
	assert_int_equal(rig_rw(&g, DISK_READ, buf, sizeof(buf), 0), 0);
	for (i = 0; i < SECTORS; i++) {
		memcpy(&v, buf + i * 512, 8);
		if (said[i].done == 0 &&
		    memcmp(buf + i * 512, first + i * 512, 512) == 0)
			continue;
		fill(want, i, (uint32_t)v);
		assert_memory_equal(buf + i * 512, want, 512);
		assert_in_range((uint32_t)v, said[i].done, said[i].begun);
		/* It is so from now on. */
		said[i].done = said[i].begun = (uint32_t)v;
	}
	assert_int_equal(rig_close(&g), 0);
}

static void
kill_often(const char *const *chain, int sync)
{
	int n = getenv("CHECK_LONG") != NULL ? 200 : 25, status;
	uint8_t *first = malloc(SECTORS * 512);
	uint32_t version = 1;
	struct rig g;

	assert_non_null(first);
	said = mmap(NULL, SECTORS * sizeof(*said), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(said, MAP_FAILED);
	assert_int_equal(rig_open(&g, chain, 0, 0), 0);
	assert_int_equal(rig_rw(&g, DISK_READ, first, SECTORS * 512, 0), 0);
	assert_int_equal(rig_close(&g), 0);
	rig_seed(42);
	while (n-- > 0) {
		version = write_and_kill(chain, sync, version);
		examine(chain, first);
	}
	status = rig_status("qemu-img check -q -f qcow2 top >/dev/null 2>&1");
	if (status != 0 && status != 3)
		rig_status("qemu-img check -f qcow2 top");
	assert_true(status == 0 || status == 3);
	munmap(said, SECTORS * sizeof(*said));
	free(first);
	rig_sh("rm -f *");
}

static void
test_alone(void **state)
{
	static const char *const chain[] = { "top", NULL };

	rig_sh("qemu-img create -q -f qcow2 -o cluster_size=4k top 8m");
	kill_often(chain, 0);
}

static void
test_backing(void **state)
{
	static const char *const chain[] = { "top", "data.raw", NULL };

	rig_sh("head -c 5000000 /dev/urandom > data.raw");
	rig_sh("qemu-img create -q -f qcow2 -b data.raw -F raw top 8m");
	kill_often(chain, 0);
}

static void
test_fallback(void **state)
{
	static const char *const chain[] = { "top", "data.raw", NULL };

	rig_sh("head -c 5000000 /dev/urandom > data.raw");
	rig_sh("qemu-img create -q -f qcow2 -b data.raw -F raw "
	       "-o cluster_size=512 top 8m");
	kill_often(chain, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_backing),
		cmocka_unit_test(test_fallback),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("disk_kill", tests, rig_enter,
	    rig_leave);
}
