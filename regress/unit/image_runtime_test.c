/*
 * The offline tools and the run-time code agree: images that the one makes
 * are written by the other, and then the offline check finds no fault and
 * the offline reader the same bytes.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/disk/check.h"
#include "lib/disk/convert.h"
#include "lib/disk/file.h"
#include "regress/unit/disk_rig.h"

#define K	1024ULL
#define M	(1024 * K)
#define SIZE	(24 * M)
#define LEN_MAX (160 * K)

static uint8_t model[SIZE], buf[SIZE];

static int
open_file(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	return fd;
}

static void
say(void *arg, const char *line)
{
	print_message("# %s\n", line);
}

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	assert_true(done <= total);
}

/* A new image; `from': a copy of that raw file. */
static void
make(const char *name, const char *backing, const char *from)
{
	struct image_spec s = { .qcow2 = 1,
		.size = SIZE,
		.backing = backing,
		.backing_qcow2 = 1 };
	int fd = open_file(name, O_RDWR | O_CREAT | O_TRUNC), src;
	struct image_chain *c;
	struct image_new *n;
	char why[256] = "";
	int rc;

	assert_non_null(n = image_new(fd, &s, why, sizeof(why)));
	if (from == NULL) {
		rc = image_new_finish(n);
	} else {
		src = open_file(from, O_RDONLY);
		assert_non_null(c = image_chain_new());
		assert_int_equal(image_chain_add(c, src, 0, why, sizeof(why)),
		    0);
		rc = image_convert(c, n, SIZE, progress, NULL, why,
		    sizeof(why));
		image_chain_free(c);
		close(src);
	}
	assert_string_equal(why, "");
	assert_int_equal(rc, 0);
	image_new_free(n);
	close(fd);
}

/* Some data, some zeros, into the model and a file. */
static void
make_data(const char *name)
{
	int fd = open_file(name, O_RDWR | O_CREAT | O_TRUNC);
	uint64_t off, i;

	memset(model, 0, SIZE);
	for (off = 0; off < SIZE; off += 100 * K)
		for (i = 0; rig_random() % 2 && i < 70 * K; i += 8)
			model[off + i] = (uint8_t)rig_random();
	assert_int_equal(file_write(fd, model, SIZE, 0), 0);
	close(fd);
}

/* One request, next to the same on the model. */
static void
one(struct rig *g)
{
	uint64_t len = 512 * (1 + rig_random() % (LEN_MAX / 512));
	uint64_t off = (rig_random() % (SIZE - len)) & ~511ULL, i;

	switch (rig_random() % 4) {
	case 0:
		memset(model + off, 0, len);
		assert_int_equal(rig_range(g, DISK_ZERO, off, len, 1), 0);
		break;
	case 1:
		memset(model + off, 0, len);
		assert_int_equal(rig_range(g, DISK_ZERO, off, len, 0), 0);
		break;
	default:
		for (i = 0; i < len; i += 8)
			model[off + i] = (uint8_t)rig_random();
		assert_int_equal(rig_rw(g, DISK_WRITE, model + off, len, off),
		    0);
	}
}

/* The offline check of the top image, and all that can be read. */
static void
look(const char *const *names)
{
	const struct image_check_how how = { .say = say, .progress = progress };
	struct image_chain *c = image_chain_new();
	struct image_check r;
	char why[256] = "";
	int fds[4], n;

	assert_non_null(c);
	for (n = 0; names[n] != NULL; n++) {
		fds[n] = open_file(names[n], O_RDONLY);
		assert_int_equal(image_check(fds[n], &how, &r, why,
				     sizeof(why)),
		    0);
		assert_int_equal(r.corruptions, 0);
		assert_int_equal(r.leaks, 0);
		assert_int_equal(r.dirty, 0);
		assert_int_equal(image_chain_add(c, fds[n], 1, why,
				     sizeof(why)),
		    0);
	}
	assert_int_equal(image_chain_size(c), SIZE);
	assert_int_equal(image_chain_read(c, 0, buf, SIZE, why, sizeof(why)),
	    0);
	assert_memory_equal(buf, model, SIZE);
	image_chain_free(c);
	while (n > 0)
		close(fds[--n]);
}

static void
run(const char *const *names)
{
	struct rig g;
	int i, round;

	for (round = 0; round < 3; round++) {
		if (rig_open(&g, names, 0, round == 2) != 0)
			fail_msg("%s", g.why);
		assert_int_equal(rig_rw(&g, DISK_READ, buf, SIZE, 0), 0);
		assert_memory_equal(buf, model, SIZE);
		for (i = 0; i < 60; i++)
			one(&g);
		assert_int_equal(rig_close(&g), 0);
		look(names);
	}
}

static void
empty(void **state)
{
	static const char *const names[] = { "top", NULL };

	memset(model, 0, SIZE);
	make("top", NULL, NULL);
	look(names);
	run(names);
}

static void
copied(void **state)
{
	static const char *const names[] = { "top", NULL };

	make_data("data.raw");
	make("top", NULL, "data.raw");
	look(names);
	run(names);
}

static void
over_a_base(void **state)
{
	static const char *const names[] = { "top", "base", NULL };

	make_data("data.raw");
	make("base", NULL, "data.raw");
	make("top", "base", NULL);
	look(names);
	run(names);
}

/* What qemu-img makes, with other clusters and refcounts. */
static void
of_qemu(void **state)
{
	static const char *const opts[] = { "cluster_size=512",
		"cluster_size=2M", "refcount_bits=1,cluster_size=4k",
		"compat=0.10", "compression_type=zstd" };
	static const char *const names[] = { "top", NULL };
	size_t i;

	for (i = 0; i < sizeof(opts) / sizeof(opts[0]); i++) {
		make_data("data.raw");
		rig_sh("qemu-img convert %s -O qcow2 -o %s data.raw top",
		    i == 4 ? "-c" : "", opts[i]);
		look(names);
		run(names);
	}
}

static int
setup(void **state)
{
	rig_seed(1);
	return rig_enter(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(copied),
		cmocka_unit_test(over_a_base),
		cmocka_unit_test(of_qemu),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, rig_leave);
}
