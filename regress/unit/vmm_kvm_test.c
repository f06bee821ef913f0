/* libvmm against /dev/kvm: real-mode guests of a few instructions. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/vmm/vmm.h"

#define DEADLINE 20 /* seconds for anything */
#define MEMORY	 0x100000ULL
#define ENTRY	 0x1000

/* clang-format off */
__asm__(
"	.pushsection .rodata\n"
"	.code16\n"
/* Ports: one out, a string of 5, one in and out again, then the end. */
"g_io:	mov	$0x41, %al\n"
"	out	%al, $0x10\n"
"	mov	$0x2000, %si\n"
"	mov	$5, %cx\n"
"	mov	$0x11, %dx\n"
"	cld\n"
"	rep outsb\n"
"	inw	$0x12, %ax\n"
"	outw	%ax, $0x13\n"
"	out	%al, $0xff\n"
"1:	hlt\n"
"	jmp	1b\n"
"g_io_end:\n"
/* Counts for ever. */
"g_spin: incl	0x3000\n"
"	jmp	g_spin\n"
"g_spin_end:\n"
/* No IDT and an exception. */
"g_triple:\n"
"	lidtl	0x2000\n"
"	ud2\n"
"g_triple_end:\n"
/* Sleeps for ever. */
"g_hlt:	cli\n"
"	hlt\n"
"	jmp	g_hlt\n"
"g_hlt_end:\n"
/* A pseudo-random walk over 32 KiB that takes a while. */
"g_walk:\n"
"	mov	$20000, %ecx\n"
"	mov	$12345, %eax\n"
"1:	imul	$1103515245, %eax, %eax\n"
"	add	$12345, %eax\n"
"	mov	%eax, %ebx\n"
"	shr	$16, %ebx\n"
"	and	$0x7fff, %ebx\n"
"	add	%eax, 0x3000(%bx)\n"
"	xor	0x4000(%bx), %eax\n"
"	test	$0xff, %cx\n"
"	jnz	2f\n"
"	outl	%eax, $0x14\n"
"2:	dec	%ecx\n"
"	jnz	1b\n"
"	outl	%eax, $0x15\n"
"	out	%al, $0xff\n"
"3:	hlt\n"
"	jmp	3b\n"
"g_walk_end:\n"
/* Memory that is not there: through a segment at 0xa0000. */
"g_mmio: mov	$0xa000, %ax\n"
"	mov	%ax, %ds\n"
"	mov	0x10, %eax\n"
"	mov	%ax, 0x20\n"
"	out	%al, $0xff\n"
"1:	hlt\n"
"	jmp	1b\n"
"g_mmio_end:\n"
"	.code64\n"
"	.popsection\n"
);
/* clang-format on */

extern const uint8_t g_io[], g_io_end[], g_spin[], g_spin_end[], g_triple[],
    g_triple_end[], g_hlt[], g_hlt_end[], g_walk[], g_walk_end[], g_mmio[],
    g_mmio_end[];

struct guest {
	int kvm;
	struct gmem mem;
	struct vmm *vmm;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int ended;
	unsigned int calls; /* of ended */
	enum vmm_end how;
	char text[256];
	char log[4096]; /* of accesses */
	size_t len;
	uint32_t ticks;	 /* writes to port 0x14 */
	uint32_t result; /* written to port 0x15 */
	int done;	 /* port 0xff was written */
};

static void __attribute__((format(printf, 2, 3)))
note(struct guest *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g->len += (size_t)vsnprintf(g->log + g->len, sizeof(g->log) - g->len,
	    fmt, ap);
	va_end(ap);
	assert_true(g->len < sizeof(g->log));
}

static uint32_t
io_read(void *arg, uint16_t port, unsigned int size)
{
	note(arg, "in%u %x;", size, port);
	return 0x1234abcd;
}

static void
io_write(void *arg, uint16_t port, unsigned int size, uint32_t val)
{
	struct guest *g = arg;

	pthread_mutex_lock(&g->lock);
	if (port == 0x14)
		g->ticks++;
	else if (port == 0x15)
		g->result = val;
	else if (port == 0xff)
		g->done = 1;
	else
		note(g, "out%u %x %x;", size, port, val);
	pthread_cond_signal(&g->cond);
	pthread_mutex_unlock(&g->lock);
}

static uint64_t
mmio_read(void *arg, uint64_t gpa, unsigned int size)
{
	note(arg, "load%u %llx;", size, (unsigned long long)gpa);
	return 0xfedcba98;
}

static void
mmio_write(void *arg, uint64_t gpa, unsigned int size, uint64_t val)
{
	note(arg, "store%u %llx %llx;", size, (unsigned long long)gpa,
	    (unsigned long long)val);
}

static void
ended(void *arg, enum vmm_end how, const char *text)
{
	struct guest *g = arg;

	pthread_mutex_lock(&g->lock);
	g->ended = 1;
	g->calls++;
	g->how = how;
	snprintf(g->text, sizeof(g->text), "%s", text);
	pthread_cond_signal(&g->cond);
	pthread_mutex_unlock(&g->lock);
}

/* Wait until `*what' is not 0. */
static void
await(struct guest *g, const int *what)
{
	struct timespec ts;
	int e = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += DEADLINE;
	pthread_mutex_lock(&g->lock);
	while (!*what && e == 0)
		e = pthread_cond_timedwait(&g->cond, &g->lock, &ts);
	pthread_mutex_unlock(&g->lock);
	assert_int_equal(e, 0);
}

static void
guest_vmm(struct guest *g, unsigned int ncpus)
{
	struct vmm_conf c = { .kvm = g->kvm,
		.ncpus = ncpus,
		.mem = &g->mem,
		.ops = { io_read, io_write, mmio_read, mmio_write, ended, g } };
	struct vmm_regs r;
	char why[256] = "";

	g->vmm = vmm_create(&c, why, sizeof(why));
	if (g->vmm == NULL)
		fail_msg("%s", why);
	assert_int_equal(vmm_readregs(g->vmm, 0, &r), 0);
	r.cs.sel = 0;
	r.cs.base = 0;
	r.rip = ENTRY;
	assert_int_equal(vmm_writeregs(g->vmm, 0, &r), 0);
}

static struct guest *
guest_new(unsigned int ncpus, const uint8_t *code, const uint8_t *end)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct guest *g;

	if (kvm == -1)
		skip();
	g = calloc(1, sizeof(*g));
	assert_non_null(g);
	g->kvm = kvm;
	g->mem.fd = -1;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->cond, NULL);
	/* A hole at 0xa0000. */
	assert_int_equal(gmem_add(&g->mem, 0, 0xa0000, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&g->mem, 0xc0000, 0x40000, GMEM_RAM), 0);
	assert_int_equal(gmem_create(&g->mem), 0);
	memcpy(g->mem.base + ENTRY, code, (size_t)(end - code));
	memcpy(g->mem.base + 0x2000, "\0\0\0\0\0hello", 10);
	guest_vmm(g, ncpus);
	return g;
}

static void
guest_free(struct guest *g)
{
	vmm_free(g->vmm);
	gmem_fini(&g->mem);
	close(g->kvm);
	free(g);
}

static uint32_t
counter(const struct guest *g)
{
	return __atomic_load_n((uint32_t *)(void *)(g->mem.base + 0x3000),
	    __ATOMIC_SEQ_CST);
}

/* Until the guest counted on. */
static void
await_count(const struct guest *g, uint32_t from)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < DEADLINE * 1000 && counter(g) == from; i++)
		nanosleep(&pause, NULL);
	assert_true(counter(g) != from);
}

static void
ports(void **state)
{
	struct guest *g = guest_new(1, g_io, g_io_end);

	memcpy(g->mem.base + 0x2000, "hello", 5);
	assert_int_equal(vmm_start(g->vmm), 0);
	assert_int_equal(vmm_start(g->vmm), -1);
	assert_int_equal(errno, EBUSY);
	await(g, &g->done);
	assert_string_equal(g->log,
	    "out1 10 41;out1 11 68;out1 11 65;"
	    "out1 11 6c;out1 11 6c;out1 11 6f;in2 12;out2 13 abcd;");
	vmm_stop(g->vmm);
	await(g, &g->ended);
	assert_int_equal(g->how, VMM_END_STOPPED);
	guest_free(g);
}

static void
mmio(void **state)
{
	struct guest *g = guest_new(1, g_mmio, g_mmio_end);

	assert_int_equal(vmm_start(g->vmm), 0);
	await(g, &g->done);
	assert_string_equal(g->log, "load4 a0010;store2 a0020 ba98;");
	guest_free(g);
}

static void
triple(void **state)
{
	struct guest *g = guest_new(1, g_triple, g_triple_end);

	assert_int_equal(vmm_start(g->vmm), 0);
	await(g, &g->ended);
	assert_int_equal(g->how, VMM_END_TRIPLE);
	/* The end is told once. */
	vmm_stop(g->vmm);
	vmm_pause(g->vmm);
	assert_int_equal(g->calls, 1);
	guest_free(g);
}

static void
holds(void **state)
{
	struct guest *g = guest_new(2, g_spin, g_spin_end);
	struct vmm_regs r;
	uint32_t n;

	assert_int_equal(vmm_start(g->vmm), 0);
	await_count(g, 0);
	assert_int_equal(vmm_readregs(g->vmm, 0, &r), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(vmm_pause(g->vmm), 0);
	assert_int_equal(vmm_pause(g->vmm), 0);
	n = counter(g);
	assert_int_equal(vmm_readregs(g->vmm, 0, &r), 0);
	assert_int_equal(vmm_readregs(g->vmm, 2, &r), -1);
	assert_int_equal(vmm_resume(g->vmm), 0);
	assert_int_equal(vmm_readregs(g->vmm, 0, &r), 0);
	assert_int_equal(counter(g), n);
	assert_int_equal(vmm_resume(g->vmm), 0);
	await_count(g, n);
	assert_int_equal(vmm_resume(g->vmm), -1);
	assert_int_equal(errno, EINVAL);
	guest_free(g);
}

/* Held, asleep, never started: a stop ends all of them. */
static void
stops(void **state)
{
	struct guest *g = guest_new(1, g_hlt, g_hlt_end);

	assert_int_equal(vmm_start(g->vmm), 0);
	vmm_stop(g->vmm);
	await(g, &g->ended);
	guest_free(g);

	g = guest_new(4, g_spin, g_spin_end);
	assert_int_equal(vmm_start(g->vmm), 0);
	assert_int_equal(vmm_pause(g->vmm), 0);
	vmm_stop(g->vmm);
	await(g, &g->ended);
	assert_int_equal(g->how, VMM_END_STOPPED);
	assert_int_equal(g->calls, 1);
	guest_free(g);

	g = guest_new(2, g_spin, g_spin_end);
	guest_free(g);
}

/* A vcpu put back to its reset state starts where a processor does. */
static void
resets(void **state)
{
	struct guest *g = guest_new(2, g_spin, g_spin_end);
	struct vmm_regs r;

	assert_int_equal(vmm_start(g->vmm), 0);
	await_count(g, 0);
	assert_int_equal(vmm_resetcpu(g->vmm, 0), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(vmm_pause(g->vmm), 0);
	assert_int_equal(vmm_resetcpu(g->vmm, 0), 0);
	assert_int_equal(vmm_readregs(g->vmm, 0, &r), 0);
	assert_true(r.rip == 0xfff0 && r.cs.base == 0xffff0000 &&
	    r.cs.sel == 0xf000 && r.cr0 == 0x60000010 && r.rflags == 2);
	assert_int_equal(vmm_resetcpu(g->vmm, 1), 0);
	guest_free(g);
}

static void
msis(void **state)
{
	struct guest *g = guest_new(1, g_hlt, g_hlt_end);
	unsigned int a, b, c, i, gsi;
	int fd;

	assert_int_equal(vmm_msi_new(g->vmm, &a), 0);
	assert_int_equal(vmm_msi_new(g->vmm, &b), 0);
	assert_true(a >= 24 && b >= 24 && a != b);
	assert_int_equal(vmm_msi_set(g->vmm, a, 0xfee00000, 0x41), 0);
	assert_int_equal(vmm_msi_set(g->vmm, 23, 0xfee00000, 0x41), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(vmm_msi_set(g->vmm, b + 1, 0xfee00000, 0), -1);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fd != -1);
	assert_int_equal(vmm_irqfd(g->vmm, fd, a, -1, 1), 0);
	assert_int_equal(vmm_irqfd(g->vmm, fd, a, -1, 0), 0);
	assert_int_equal(vmm_ioeventfd(g->vmm, fd, 0x500, 2, 3,
			     VMM_IOEVENT_PIO | VMM_IOEVENT_MATCH, 1),
	    0);
	assert_int_equal(vmm_ioeventfd(g->vmm, fd, 0x500, 2, 3,
			     VMM_IOEVENT_PIO | VMM_IOEVENT_MATCH, 0),
	    0);
	close(fd);
	vmm_msi_free(g->vmm, a);
	assert_int_equal(vmm_msi_new(g->vmm, &c), 0);
	assert_int_equal(c, a);
	for (i = 0; i < 600; i++) {
		assert_int_equal(vmm_msi_new(g->vmm, &gsi), 0);
		if (i % 100 == 0)
			assert_int_equal(vmm_msi_set(g->vmm, gsi, 0xfee00000,
					     0x50),
			    0);
	}
	assert_int_equal(vmm_intr(g->vmm, 4, 1), 0);
	assert_int_equal(vmm_intr(g->vmm, 24, 1), -1);
	guest_free(g);
}

/* --- state ------------------------------------------------------------ */

static uint32_t
walk_whole(void)
{
	struct guest *g = guest_new(1, g_walk, g_walk_end);
	uint32_t result;

	assert_int_equal(vmm_start(g->vmm), 0);
	await(g, &g->done);
	result = g->result;
	guest_free(g);
	return result;
}

/* Wait for one more sign of life, then carry the guest into a new VM. */
static void
move(struct guest *g)
{
	void *buf;
	size_t len;
	int seen = 0;

	while (!seen && !g->done) {
		pthread_mutex_lock(&g->lock);
		seen = g->ticks > 0;
		g->ticks = 0;
		if (!seen && !g->done)
			pthread_cond_wait(&g->cond, &g->lock);
		pthread_mutex_unlock(&g->lock);
	}
	assert_int_equal(vmm_pause(g->vmm), 0);
	assert_int_equal(vmm_state_save(g->vmm, &buf, &len), 0);
	vmm_free(g->vmm);
	guest_vmm(g, 1);
	assert_int_equal(vmm_state_restore(g->vmm, buf, len), 0);
	free(buf);
	assert_int_equal(vmm_start(g->vmm), 0);
}

static void
moves(void **state)
{
	uint32_t want = walk_whole();
	struct guest *g = guest_new(1, g_walk, g_walk_end);
	int n = 0;

	assert_int_equal(vmm_start(g->vmm), 0);
	while (!g->done && n < 20) {
		move(g);
		n++;
	}
	await(g, &g->done);
	assert_int_equal(g->result, want);
	assert_true(n > 3);
	guest_free(g);
}

/* The same bytes come out of a VM that they were put into. */
static void
same_again(void **state)
{
	struct guest *g = guest_new(2, g_spin, g_spin_end);
	void *a, *b;
	size_t alen, blen;

	assert_int_equal(vmm_state_save(g->vmm, &a, &alen), 0);
	assert_int_equal(vmm_state_restore(g->vmm, a, alen), 0);
	assert_int_equal(vmm_state_save(g->vmm, &b, &blen), 0);
	assert_int_equal(alen, blen);
	free(a);
	free(b);
	assert_int_equal(vmm_start(g->vmm), 0);
	assert_int_equal(vmm_state_save(g->vmm, &a, &alen), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(vmm_state_restore(g->vmm, "", 0), -1);
	assert_int_equal(errno, EBUSY);
	guest_free(g);
}

/* The reader takes nothing that the writer does not write. */
static void
bad_states(void **state)
{
	struct guest *g = guest_new(1, g_spin, g_spin_end), *two;
	uint8_t *copy;
	void *buf;
	size_t len, i;

	assert_int_equal(vmm_state_save(g->vmm, &buf, &len), 0);
	copy = malloc(len + 1);
	assert_non_null(copy);
	for (i = 0; i < len; i += i < 64 ? 1 : 97) {
		assert_int_equal(vmm_state_restore(g->vmm, buf, i), -1);
		assert_int_equal(errno, EBADMSG);
	}
	memcpy(copy, buf, len);
	copy[len] = 0;
	assert_int_equal(vmm_state_restore(g->vmm, copy, len + 1), -1);
	assert_int_equal(errno, EBADMSG);
	/* Kind, length and vcpu of the first item, the magic, the count. */
	for (i = 0; i < 32; i++) {
		memcpy(copy, buf, len);
		copy[i] ^= 0x81;
		assert_int_equal(vmm_state_restore(g->vmm, copy, len), -1);
		assert_int_equal(errno, EBADMSG);
	}
	two = guest_new(2, g_spin, g_spin_end);
	assert_int_equal(vmm_state_restore(two->vmm, buf, len), -1);
	assert_int_equal(errno, EBADMSG);
	guest_free(two);
	free(copy);
	free(buf);
	guest_free(g);
}

/* Any byte may be anything: an answer, and the VM can still be freed. */
static void
damaged_states(void **state)
{
	struct guest *g = guest_new(1, g_spin, g_spin_end);
	uint8_t *copy;
	void *buf;
	size_t len, at;
	unsigned int i, seed = 1;

	assert_int_equal(vmm_state_save(g->vmm, &buf, &len), 0);
	copy = malloc(len);
	assert_non_null(copy);
	for (i = 0; i < 300; i++) {
		memcpy(copy, buf, len);
		seed = seed * 1103515245 + 12345;
		at = (seed >> 8) % len;
		copy[at] ^= (uint8_t)(1 + (seed >> 24) % 255);
		if (vmm_state_restore(g->vmm, copy, len) == -1)
			assert_true(errno != 0);
	}
	free(copy);
	free(buf);
	guest_free(g);
}

static void
host(void **state)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char why[256], *caps;

	assert_int_equal(vmm_host_check(null, why, sizeof(why)), -1);
	assert_true(strlen(why) > 0);
	assert_null(vmm_host_caps(null));
	close(null);
	if (kvm == -1)
		skip();
	assert_int_equal(vmm_host_check(kvm, why, sizeof(why)), 0);
	caps = vmm_host_caps(kvm);
	assert_non_null(caps);
	assert_non_null(strstr(caps, "API=12\n"));
	assert_non_null(strstr(caps, "IRQCHIP=1\n"));
	free(caps);
	close(kvm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host),
		cmocka_unit_test(ports),
		cmocka_unit_test(mmio),
		cmocka_unit_test(triple),
		cmocka_unit_test(holds),
		cmocka_unit_test(stops),
		cmocka_unit_test(resets),
		cmocka_unit_test(msis),
		cmocka_unit_test(moves),
		cmocka_unit_test(same_again),
		cmocka_unit_test(bad_states),
		cmocka_unit_test(damaged_states),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
