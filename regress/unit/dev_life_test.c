/*
 * The block device's process with a vmm and a vm process that keep to the
 * rules: from START to SHUTDOWN, and death at any moment in between, after
 * which a second process finishes what the first began, once.
 */

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "lib/sandbox/sandbox.h"
#include "regress/unit/devproc_test.h"

static void
fill(int sector, int c)
{
	char buf[512];

	memset(buf, c, sizeof(buf));
	assert_int_equal(pwrite(t.image, buf, sizeof(buf), sector * 512L),
	    sizeof(buf));
}

static void
shut_down(void)
{
	say(VM, IMSG_DEVOP_SHUTDOWN, "", 0, NULL, 0);
	expect_ready(IMSG_DEVOP_SHUTDOWN_DONE, NULL);
	ends(0, NULL);
	assert_string_equal(t.lines, "");
	assert_int_equal(t.reports, 1);
}

/* Does it have an io_uring?  -1: we may not look. */
static int
has_ring(void)
{
	char path[64], link[64];
	int fd, cnt = 0;
	ssize_t n;

	for (fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)t.pid, fd);
		if ((n = readlink(path, link, sizeof(link) - 1)) <= 0)
			continue;
		link[n] = '\0';
		if (strstr(link, "io_uring") != NULL)
			return 1;
		cnt++;
	}
	return cnt > 0 ? 0 : -1;
}

static void
read_one(void **state)
{
	struct virtio_blk_config c;

	fill(7, 'x');
	ready();
	if (t.child != NULL)
		assert_int_not_equal(has_ring(), 1);
	else
		printf("# io_uring: %d\n", has_ring());
	virtio_page_read(&t.page->virtio, 0, &c, sizeof(c));
	assert_int_equal(c.capacity, SECTORS);
	assert_int_equal(c.wce, 1);
	offer(0, VIRTIO_BLK_T_IN, 7);
	activate(0);
	served(1);
	assert_int_equal(t.mem.base[STATUS(0)], VIRTIO_BLK_S_OK);
	assert_int_equal(t.mem.base[DATA(0)], 'x');
	assert_int_equal(t.mem.base[DATA(0) + 511], 'x');
	assert_int_equal(virtio_isr_take(&t.page->virtio), VIRTIO_ISR_QUEUE);
	/* By a kick as well. */
	offer(1, VIRTIO_BLK_T_IN, 7);
	kick();
	served(2);
	assert_int_equal(t.mem.base[DATA(1)], 'x');
	assert_int_equal(t.page->stats[DEVS_READS], 2);
	shut_down();
}

/* Who sleeps for one answer after the other is to kick for each. */
static void
one_by_one(void **state)
{
	unsigned int i;

	ready();
	activate(0);
	for (i = 0; i < NREQS; i++) {
		offer(i, VIRTIO_BLK_T_IN, 7);
		kick();
		served(i + 1);
		if (i > 0)
			assert_int_equal(*word(USED), 0);
	}
	shut_down();
}

/* What is offered before the driver is up, or after the reset, stays. */
static void
reset(void **state)
{
	const struct dev_order o = { .generation = 77 };

	ready();
	offer(0, VIRTIO_BLK_T_IN, 0);
	kick();
	round_trip(1);
	say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
	assert_int_equal(used(), 0);
	activate(0);
	served(1);
	say_order(IMSG_DEVOP_RESET, &o);
	expect_order(IMSG_DEVOP_RESET_DONE, 77);
	offer(1, VIRTIO_BLK_T_IN, 0);
	kick();
	round_trip(2);
	say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
	round_trip(3);
	assert_int_equal(used(), 1);
	/* From the start, in a ring that is new. */
	say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
	memset(t.mem.base + AVAIL, 0, 0x2000);
	offer(2, VIRTIO_BLK_T_IN, 0);
	activate(0);
	served(1);
	assert_int_equal(t.mem.base[STATUS(2)], VIRTIO_BLK_S_OK);
	shut_down();
}

static void
pause_and_go_on(void **state)
{
	ready();
	activate(0);
	round_trip(1);
	offer(0, VIRTIO_BLK_T_IN, 0);
	kick();
	/* A second and a third time: it had every chance to look. */
	round_trip(2);
	round_trip(3);
	assert_int_equal(used(), 0);
	assert_int_equal(t.mem.base[STATUS(0)], 0xff);
	say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
	served(1);
	shut_down();
}

/* A successor is held before it is told of the queues. */
static void
paused_before_active(void **state)
{
	ready();
	offer(0, VIRTIO_BLK_T_IN, 0);
	say_order(IMSG_DEVOP_PAUSE, &(struct dev_order){ .generation = 1 });
	activate(0);
	kick();
	expect_order(IMSG_DEVOP_PAUSED, 1);
	round_trip(2);
	assert_int_equal(used(), 0);
	say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
	served(1);
	shut_down();
}

static void
config_write(void **state)
{
	struct dev_order o = {
		.off = offsetof(struct virtio_blk_config, wce),
		.size = 1,
	};
	struct virtio_blk_config c;

	ready();
	activate(0);
	say_order(IMSG_DEVOP_CONFIG_WRITE, &o);
	/* Not there to be written. */
	o = (struct dev_order){ .off = 0, .size = 4, .val = 1 };
	say_order(IMSG_DEVOP_CONFIG_WRITE, &o);
	o = (struct dev_order){ .off = UINT32_MAX, .size = 4, .val = 1 };
	say_order(IMSG_DEVOP_CONFIG_WRITE, &o);
	round_trip(1);
	virtio_page_read(&t.page->virtio, 0, &c, sizeof(c));
	assert_int_equal(c.wce, 0);
	assert_int_equal(c.capacity, SECTORS);
	/* It was paused: the end comes all the same. */
	shut_down();
}

/* The guest breaks its ring: told once, well again after a reset. */
static void
broken_ring(void **state)
{
	const struct dev_order o = { .generation = 1 };
	struct imsg im;

	ready();
	activate(0);
	*word(AVAIL + 2) = QUEUE + 1;
	kick();
	expect(&im, IMSG_DEVOP_BROKEN);
	imsg_free(&im);
	kick();
	kick();
	round_trip(1);
	say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
	say_order(IMSG_DEVOP_RESET, &o);
	expect_order(IMSG_DEVOP_RESET_DONE, 1);
	memset(t.mem.base + AVAIL, 0, 0x2000);
	offer(0, VIRTIO_BLK_T_IN, 0);
	activate(0);
	served(1);
	say(VM, IMSG_DEVOP_SHUTDOWN, "", 0, NULL, 0);
	expect_ready(IMSG_DEVOP_SHUTDOWN_DONE, NULL);
	ends(0, "the guest broke queue 0");
}

/* --- the end of others ------------------------------------------------------ */

static void
offer_writes(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		memset(t.mem.base + DATA(i), 'a' + (int)i % 26, 512);
		offer(i, VIRTIO_BLK_T_OUT, i);
	}
}

/* Each of those that were told done was done. */
static void
check_writes(unsigned int n)
{
	unsigned int i, seen = 0;
	char buf[512];

	for (i = 0; i < n; i++) {
		if (t.mem.base[STATUS(i)] == 0xff)
			continue;
		seen++;
		assert_int_equal(t.mem.base[STATUS(i)], VIRTIO_BLK_S_OK);
		assert_int_equal(pread(t.image, buf, sizeof(buf), i * 512L),
		    sizeof(buf));
		assert_memory_equal(buf, t.mem.base + DATA(i), sizeof(buf));
	}
	assert_true(seen >= used());
}

static void
vm_gone(void **state)
{
	ready();
	offer_writes(NREQS);
	activate(0);
	hang_up(VM);
	ends(0, NULL);
	assert_string_equal(t.lines, "");
	check_writes(NREQS);
}

static void
vmm_gone(void **state)
{
	ready();
	activate(0);
	hang_up(VMM);
	ends(1, NULL);
	another();
	hang_up(VMM);
	ends(1, NULL);
}

/* --- its own ------------------------------------------------------------------ */

/* Every chain is in the used ring, once. */
static void
check_used(unsigned int n)
{
	unsigned int count[QUEUE] = { 0 }, i;
	uint32_t id;

	for (i = 0; i < n; i++) {
		memcpy(&id, t.mem.base + USED + 4 + 8UL * i, sizeof(id));
		assert_true(id < QUEUE && id % 4 == 0);
		count[id / 4]++;
	}
	for (i = 0; i < n; i++)
		assert_int_equal(count[i], 1);
}

/*
 * Killed when `after' of them were done, or some more.  1 if it left
 * something to do.
 */
static int
die_and_finish(unsigned int after)
{
	int left;

	ready();
	activate(0);
	round_trip(1);
	offer_writes(NREQS);
	kick();
	say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
	served((uint16_t)after);
	bury();
	left = used() < NREQS;
	assert_int_equal(launch(), 0);
	ready();
	activate(1);
	served(NREQS);
	round_trip(2);
	assert_int_equal(used(), NREQS);
	check_used(NREQS);
	check_writes(NREQS);
	shut_down();
	return left;
}

static void
death(void **state)
{
	unsigned int i, left = 0;

	for (i = 0; i < NREQS; i++) {
		left += die_and_finish(i);
		another();
	}
	/* How many it is a matter of luck; faults/disk.py has more of that. */
	print_message("# %u of %u left something\n", left, NREQS);
}

/* At the beginning and at the end of each of its system calls. */
static void
death_by_calls(void **state)
{
	unsigned int n, left = 0;

	for (n = 0; n < 16; n++) {
		ready();
		activate(0);
		round_trip(1);
		say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
		if (!hold())
			skip();
		offer_writes(NREQS);
		kick();
		kill_after(n, NREQS);
		left += used() < NREQS;
		assert_int_equal(launch(), 0);
		ready();
		activate(1);
		served(NREQS);
		check_used(NREQS);
		check_writes(NREQS);
		shut_down();
		another();
	}
	/* Before it looked at all, with all taken, with all done. */
	assert_true(left >= 3);
}

/* One after the other, each with something left for the next. */
static void
deaths(void **state)
{
	uint16_t n;

	ready();
	activate(0);
	for (n = 0; n < 3 * NREQS; n++) {
		offer(n % NREQS, VIRTIO_BLK_T_IN, n);
		kick();
		if (n % 8 == 7) {
			bury();
			assert_int_equal(launch(), 0);
			ready();
			activate(1);
		}
		served(n + 1);
		assert_int_equal(t.mem.base[STATUS(n % NREQS)],
		    VIRTIO_BLK_S_OK);
	}
	shut_down();
}

/* --- its sandbox ---------------------------------------------------------------- */

/* Its next system call is another one; 0 if we may not do that. */
static int
change_call(long nr)
{
	struct user_regs_struct r;
	int st;

	if (!hold())
		return 0;
	assert_int_equal(ptrace(PTRACE_SYSCALL, t.pid, 0, 0), 0);
	assert_int_equal(waitpid(t.pid, &st, 0), t.pid);
	assert_true(WIFSTOPPED(st));
	assert_int_equal(ptrace(PTRACE_GETREGS, t.pid, 0, &r), 0);
	r.orig_rax = (unsigned long)nr;
	assert_int_equal(ptrace(PTRACE_SETREGS, t.pid, 0, &r), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, t.pid, 0, 0), 0);
	return 1;
}

static void
denied_call(void **state)
{
	ready();
	activate(0);
	round_trip(1);
	if (!change_call(SYS_socket))
		skip();
	ends(SB_EXIT_DENIED, "denied: system call 41 (socket)");
}

/* --- on a kernel without io_uring ------------------------------------------------ */

static int
no_ring(void *arg)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}

static int
begin_sync(void **state)
{
	t.child = no_ring;
	return begin(state);
}

static int
finish_sync(void **state)
{
	t.child = NULL;
	return finish(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
#define S(f)                                                                   \
	{                                                                      \
#f " without io_uring", f, begin_sync, finish_sync, NULL       \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(read_one),
		T(one_by_one),
		T(reset),
		T(pause_and_go_on),
		T(paused_before_active),
		T(config_write),
		T(broken_ring),
		T(vm_gone),
		T(vmm_gone),
		T(death),
		T(death_by_calls),
		T(deaths),
		T(denied_call),
		S(read_one),
		S(one_by_one),
		S(reset),
		S(pause_and_go_on),
		S(broken_ring),
		S(vm_gone),
		S(vmm_gone),
		S(death),
		S(death_by_calls),
		S(denied_call),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
