/* See disk_rig.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regress/unit/disk_rig.h"

#define TMPFS_MAGIC 0x01021994

static char home[1024], dir[64];
static pid_t janitor;
static int alive = -1;
static uint64_t seed_now = 1;

/* A command of a test that was killed may still make files. */
static void
tidy(void)
{
	char cmd[128];
	int i;

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	for (i = 0; i < 100; i++) {
		if (system(cmd) == 0 && access(dir, F_OK) == -1)
			_exit(0);
		poll(NULL, 0, 100);
	}
	_exit(1);
}

/* Waits for the end of the test, however it comes, and tidies up. */
static int
start_janitor(void)
{
	int p[2];
	char c;

	if (pipe2(p, O_CLOEXEC) == -1)
		return -1;
	if ((janitor = fork()) == -1)
		return -1;
	if (janitor == 0) {
		setsid(); /* so that who kills the test does not kill it */
		close(p[1]);
		while (read(p[0], &c, 1) > 0)
			;
		tidy();
	}
	close(p[0]);
	alive = p[1];
	return 0;
}

int
rig_enter(void **state)
{
	struct statfs fs;
	const char *base = "/tmp";

	if (statfs("/dev/shm", &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
	    (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize > 1ULL << 30)
		base = "/dev/shm";
	snprintf(dir, sizeof(dir), "%s/disk_test.XXXXXX", base);
	if (getcwd(home, sizeof(home)) == NULL || mkdtemp(dir) == NULL ||
	    chdir(dir) == -1)
		return -1;
	return start_janitor();
}

int
rig_leave(void **state)
{
	int status;

	if (chdir(home) == -1)
		return -1;
	close(alive);
	assert_int_equal(waitpid(janitor, &status, 0), janitor);
	assert_int_equal(status, 0);
	return 0;
}

int
rig_shapes(const char *group, void (*fn)(void **state), const void *shapes,
    size_t size, size_t n, const char *only)
{
	struct CMUnitTest *tests = calloc(n, sizeof(*tests)), *t = tests;
	const char *shape = shapes, *name;
	int rc;

	if (tests == NULL)
		return 1;
	for (; n-- > 0; shape += size) {
		memcpy(&name, shape, sizeof(name));
		if (only != NULL && strcmp(only, name) != 0)
			continue;
		t->name = name;
		t->test_func = fn;
		t++->initial_state = (void *)(uintptr_t)shape;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	rc = _cmocka_run_group_tests(group, tests, (size_t)(t - tests),
	    rig_enter, rig_leave);
	free(tests);
	return rc;
}

static int
run(const char *fmt, va_list ap)
{
	char cmd[2048];

	if (vsnprintf(cmd, sizeof(cmd), fmt, ap) >= (int)sizeof(cmd))
		return -1;
	return system(cmd);
}

void
rig_sh(const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = run(fmt, ap);
	va_end(ap);
	if (status != 0)
		print_message("failed: %s\n", fmt);
	assert_int_equal(status, 0);
}

int
rig_status(const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = run(fmt, ap);
	va_end(ap);
	assert_true(status != -1 && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
is_raw(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".raw") == 0;
}

int
rig_open(struct rig *g, const char *const *names, unsigned int flags, int sync)
{
	struct disk_layer l[RIG_LAYERS];
	int error;

	memset(g, 0, sizeof(*g));
	for (; names[g->nfds] != NULL; g->nfds++) {
		assert_true(g->nfds < RIG_LAYERS);
		g->fds[g->nfds] = open(names[g->nfds],
		    O_CLOEXEC |
			(g->nfds == 0 && !(flags & DISK_RDONLY) ? O_RDWR :
								  O_RDONLY));
		assert_int_not_equal(g->fds[g->nfds], -1);
		l[g->nfds].file = (int)g->nfds;
		l[g->nfds].fd = g->fds[g->nfds];
		l[g->nfds].qcow2 = !is_raw(names[g->nfds]);
	}
	assert_non_null(g->io = io_new(64, g->fds, g->nfds, sync));
	g->d = disk_open(g->io, l, g->nfds, flags, g->why, sizeof(g->why));
	error = errno;
	if (g->d != NULL)
		return 0;
	assert_true(g->why[0] != '\0');
	rig_close(g);
	return error;
}

int
rig_close(struct rig *g)
{
	int rc = disk_close(g->d), error = errno;
	size_t i;

	io_free(g->io);
	for (i = 0; i < g->nfds; i++)
		close(g->fds[i]);
	return rc == -1 ? error : 0;
}

static void
req_done(struct disk_req *r, int error)
{
	struct rig_req *q = (struct rig_req *)r;

	assert_int_equal(q->done, 0);
	q->done = 1;
	q->error = error;
}

void
rig_submit(struct rig *g, struct rig_req *q)
{
	q->done = 0;
	q->r.done = req_done;
	disk_submit(g->d, &q->r);
}

int
rig_wait(struct rig *g, struct rig_req *q)
{
	int n;

	while (!q->done) {
		n = io_run(g->io, 1);
		assert_int_not_equal(n, -1);
		/* Nothing under way, and not done: it would wait for ever. */
		assert_true(q->done || n > 0);
	}
	return q->error;
}

int
rig_rw(struct rig *g, enum disk_op op, void *buf, size_t len, uint64_t off)
{
	struct iovec iov = { buf, len };
	struct rig_req q = {
		.r = { .op = op, .off = off, .iov = &iov, .niov = 1 }
	};

	rig_submit(g, &q);
	return rig_wait(g, &q);
}

int
rig_range(struct rig *g, enum disk_op op, uint64_t off, uint64_t len, int unmap)
{
	struct rig_req q = {
		.r = { .op = op, .off = off, .len = len, .unmap = unmap }
	};

	rig_submit(g, &q);
	return rig_wait(g, &q);
}

void
rig_seed(uint64_t seed)
{
	seed_now = seed * 2 + 1;
}

/* splitmix64 */
uint64_t
rig_random(void)
{
	uint64_t z = seed_now += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}
