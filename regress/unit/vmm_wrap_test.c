/*
 * libvmm against /dev/kvm, with a look at what it asks of it and with parts
 * of it missing: capabilities, MSRs, an application processor's start.
 */

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
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/vmm/vmm_int.h"

#define DEADLINE 20 /* seconds */
#define ENTRY	 0x1000
#define TABLE	 0x2000
#define FAULTED	 0xdeadbeefU

/* --- KVM with something missing --------------------------------------- */

static int missing = -1; /* a capability */
static int filters;	 /* KVM_X86_SET_MSR_FILTER */
static uint64_t reasons; /* of KVM_CAP_X86_USER_SPACE_MSR */

int __real_ioctl(int fd, unsigned long req, void *arg);
int __wrap_ioctl(int fd, unsigned long req, ...);

int
__wrap_ioctl(int fd, unsigned long req, ...)
{
	struct kvm_enable_cap *c;
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (req == KVM_CHECK_EXTENSION && (int)(uintptr_t)arg == missing)
		return 0;
	if (req == KVM_X86_SET_MSR_FILTER)
		filters++;
	c = arg;
	if (req == KVM_ENABLE_CAP && c->cap == KVM_CAP_X86_USER_SPACE_MSR)
		reasons = c->args[0];
	return __real_ioctl(fd, req, arg);
}

/* Why the last MSR access came to us; 0: it did not. */
static uint32_t reason, reason_index;

void __real_vmm_msr_read(struct kvm_run *run);
void __wrap_vmm_msr_read(struct kvm_run *run);
void __real_vmm_msr_write(struct kvm_run *run);
void __wrap_vmm_msr_write(struct kvm_run *run);

void
__wrap_vmm_msr_read(struct kvm_run *run)
{
	reason = run->msr.reason;
	reason_index = run->msr.index;
	__real_vmm_msr_read(run);
}

void
__wrap_vmm_msr_write(struct kvm_run *run)
{
	reason = run->msr.reason;
	reason_index = run->msr.index;
	__real_vmm_msr_write(run);
}

/* --- a guest that reads and writes MSRs ------------------------------- */

/* clang-format off */
__asm__(
"	.pushsection .rodata\n"
"	.code16\n"
"g_msr:	mov	$0x8000, %sp\n"
"	movw	$(0x1000 + g_fault - g_msr), 0x34\n"
"	movw	$0, 0x36\n"
"	mov	$0x2000, %si\n"
"1:	mov	(%si), %ecx\n"
"	mov	4(%si), %eax\n"
"	xor	%edx, %edx\n"
"	cmpl	$1, 8(%si)\n"
"	je	2f\n"
"	ja	4f\n"
"	rdmsr\n"
"	jmp	3f\n"
"2:	wrmsr\n"
"3:	outl	%eax, $0x16\n"
"	add	$12, %si\n"
"	jmp	1b\n"
"4:	out	%al, $0xff\n"
"5:	hlt\n"
"	jmp	5b\n"
/* A general protection fault: over it. */
"g_fault: mov	%sp, %bp\n"
"	addw	$2, (%bp)\n"
"	mov	$0xdeadbeef, %eax\n"
"	iret\n"
"g_msr_end:\n"
"	.code64\n"
"	.popsection\n"
);

static const struct access {
	uint32_t index;
	uint32_t value;
	uint32_t how;	/* 0 read, 1 write, 2 end; what the guest sees */
	uint32_t reason;
	uint32_t result; /* 0: any but `other' */
	uint32_t other;
} accesses[] = {
	/* KVM's own: it never comes to us. */
	{ 0x277, 0, 0, 0, 0, FAULTED },
	{ 0x1a0, 0, 0, 0, 0, FAULTED },
	{ 0xc0000080, 0, 0, 0, 0, FAULTED },
	{ 0x174, 0x33, 1, 0, 0x33, 0 },
	{ 0x174, 0, 0, 0, 0x33, 0 },
	/* Denied: a write is dropped, a read faults. */
	{ 0x1fc, 0x5a5a, 1, KVM_MSR_EXIT_REASON_FILTER, 0x5a5a, 0 },
	{ 0x1fc, 0, 0, 0, 0, 0x5a5a },
	{ 0x199, 0x100, 1, KVM_MSR_EXIT_REASON_FILTER, 0x100, 0 },
	{ 0x610, 7, 1, KVM_MSR_EXIT_REASON_FILTER, 7, 0 },
	{ 0x150, 7, 1, KVM_MSR_EXIT_REASON_FILTER, 7, 0 },
	{ 0x150, 0, 0, KVM_MSR_EXIT_REASON_FILTER, FAULTED, 0 },
	{ 0x69f, 0, 0, KVM_MSR_EXIT_REASON_FILTER, FAULTED, 0 },
	{ 0x161f, 0, 0, KVM_MSR_EXIT_REASON_FILTER, FAULTED, 0 },
	{ 0xc0010064, 0, 0, KVM_MSR_EXIT_REASON_FILTER, FAULTED, 0 },
	/* Unknown: the same. */
	{ 0x1fff, 0, 0, KVM_MSR_EXIT_REASON_UNKNOWN, FAULTED, 0 },
	{ 0x1fff, 7, 1, KVM_MSR_EXIT_REASON_UNKNOWN, 7, 0 },
	{ 0, 0, 2, 0, 0, 0 },
};
/* clang-format on */

extern const uint8_t g_msr[], g_msr_end[];

struct guest {
	int kvm;
	struct gmem mem;
	struct vmm *vmm;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	size_t next; /* of accesses[] */
	size_t bad;
	int done;
};

/* In the vcpu's thread, after each access. */
static void
check(struct guest *g, uint32_t result)
{
	const struct access *a = &accesses[g->next++];

	if (reason != a->reason || (reason != 0 && reason_index != a->index) ||
	    (a->result != 0 ? result != a->result : result == a->other)) {
		print_error("msr 0x%x %s: reason %u, result 0x%x\n", a->index,
		    a->how ? "write" : "read", reason, result);
		g->bad++;
	}
	reason = 0;
}

static void
io_write(void *arg, uint16_t port, unsigned int size, uint32_t val)
{
	struct guest *g = arg;

	if (port == 0x16)
		check(g, val);
	if (port != 0xff)
		return;
	pthread_mutex_lock(&g->lock);
	g->done = 1;
	pthread_cond_signal(&g->cond);
	pthread_mutex_unlock(&g->lock);
}

static uint32_t
io_read(void *arg, uint16_t port, unsigned int size)
{
	return 0;
}

static uint64_t
mmio_read(void *arg, uint64_t gpa, unsigned int size)
{
	return 0;
}

static void
mmio_write(void *arg, uint64_t gpa, unsigned int size, uint64_t val)
{
}

static void
ended(void *arg, enum vmm_end how, const char *text)
{
	if (how != VMM_END_STOPPED)
		print_error("%s\n", text);
}

static void
make(struct guest *g, unsigned int ncpus)
{
	struct vmm_conf c = { .ncpus = ncpus,
		.mem = &g->mem,
		.ops = { io_read, io_write, mmio_read, mmio_write, ended, g } };
	char why[256] = "";

	c.kvm = g->kvm;
	if ((g->vmm = vmm_create(&c, why, sizeof(why))) == NULL)
		fail_msg("%s", why);
}

static void
guest_init(struct guest *g, unsigned int ncpus)
{
	memset(g, 0, sizeof(*g));
	if ((g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) == -1)
		skip();
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->cond, NULL);
	g->mem.fd = -1;
	assert_int_equal(gmem_add(&g->mem, 0, 0x100000, GMEM_RAM), 0);
	assert_int_equal(gmem_create(&g->mem), 0);
	make(g, ncpus);
}

static void
guest_fini(struct guest *g)
{
	vmm_free(g->vmm);
	gmem_fini(&g->mem);
	close(g->kvm);
}

static void
run(struct guest *g)
{
	struct timespec ts;
	struct vmm_regs r;
	int e = 0;

	assert_int_equal(vmm_readregs(g->vmm, 0, &r), 0);
	r.cs.sel = 0;
	r.cs.base = 0;
	r.rip = ENTRY;
	assert_int_equal(vmm_writeregs(g->vmm, 0, &r), 0);
	assert_int_equal(vmm_start(g->vmm), 0);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += DEADLINE;
	pthread_mutex_lock(&g->lock);
	while (!g->done && e == 0)
		e = pthread_cond_timedwait(&g->cond, &g->lock, &ts);
	pthread_mutex_unlock(&g->lock);
	assert_int_equal(e, 0);
}

static void
msrs(void **state)
{
	size_t i, n = sizeof(accesses) / sizeof(accesses[0]);
	struct guest g;

	guest_init(&g, 1);
	if (filters == 0) {
		guest_fini(&g);
		skip();
	}
	memcpy(g.mem.base + ENTRY, g_msr, (size_t)(g_msr_end - g_msr));
	for (i = 0; i < n; i++)
		memcpy(g.mem.base + TABLE + 12 * i, &accesses[i], 12);
	reason = 0;
	run(&g);
	assert_int_equal(g.next, n - 1);
	assert_int_equal(g.bad, 0);
	guest_fini(&g);
}

/* Without the filter all is as before. */
static void
no_filter(void **state)
{
	struct guest g;

	filters = 0;
	missing = KVM_CAP_X86_MSR_FILTER;
	guest_init(&g, 1);
	missing = -1;
	assert_int_equal(filters, 0);
	assert_int_equal(reasons & KVM_MSR_EXIT_REASON_FILTER, 0);
	guest_fini(&g);
}

static int
allowed(uint32_t index, int access)
{
	uint32_t base = index & ~(VMM_MSR_SPAN - 1);
	uint8_t map[VMM_MSR_SPAN / 8];

	vmm_msr_map(map, base, access);
	return map[(index - base) / 8] >> (index - base) % 8 & 1;
}

/* Both ends of what must stay, and of what must not. */
static void
table(void **state)
{
	static const uint32_t both[] = { 0, 0x10, 0x17, 0x1b, 0x3a, 0x3b, 0x48,
		0x49, 0x4d, 0x50, 0x79, 0x8b, 0x9b, 0xce, 0xe1, 0xfe, 0x10a,
		0x122, 0x140, 0x174, 0x176, 0x179, 0x17a, 0x198, 0x19d, 0x1a0,
		0x1c4, 0x1d9, 0x1db, 0x1de, 0x200, 0x20f, 0x250, 0x277, 0x2ff,
		0x38f, 0x3f1, 0x400, 0x47f, 0x600, 0x660, 0x6a0, 0x6a8, 0x6e0,
		0x800, 0x8ff, 0xd90, 0xda0, 0x1fff, 0xc0010000, 0xc0010015,
		0xc001001f, 0xc0010055, 0xc0010114, 0xc0010117, 0xc0010200,
		0xc001020b, 0xc0011022, 0xc0011029, 0xc0011fff };
	static const uint32_t neither[] = { 0x4e, 0x4f, 0xe2, 0x150, 0x194,
		0x1a2, 0x1b2, 0x1c8, 0x391, 0x3c7, 0x560, 0x58f, 0x680, 0x69f,
		0x6c0, 0x6df, 0x700, 0x770, 0xc00, 0xd8f, 0xdc0, 0xeff, 0x1200,
		0x14ce, 0x1500, 0x161f, 0xc0010061, 0xc0010071, 0xc0010230,
		0xc00102f0, 0xc0010300, 0xc0011030 };
	static const uint32_t reads[] = { 0x199, 0x19c, 0x1fc, 0x601, 0x606,
		0x65f };
	size_t i;

	for (i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		if (!allowed(both[i], KVM_MSR_FILTER_READ) ||
		    !allowed(both[i], KVM_MSR_FILTER_WRITE))
			fail_msg("0x%x is denied", both[i]);
	for (i = 0; i < sizeof(neither) / sizeof(neither[0]); i++)
		if (allowed(neither[i], KVM_MSR_FILTER_READ) ||
		    allowed(neither[i], KVM_MSR_FILTER_WRITE))
			fail_msg("0x%x is allowed", neither[i]);
	for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		if (!allowed(reads[i], KVM_MSR_FILTER_READ) ||
		    allowed(reads[i], KVM_MSR_FILTER_WRITE))
			fail_msg("0x%x is not to be read only", reads[i]);
}

/* --- state ------------------------------------------------------------ */

static void
message(struct guest *g, uint32_t data)
{
	struct kvm_msi m = { .address_lo = 0xfee01000, .data = data };

	assert_int_equal(ioctl(g->vmm->fd, KVM_SIGNAL_MSI, &m), 1);
}

/*
 * An application processor that was started, but did not run yet: it goes
 * on where the other one said, after it was carried into another VM, too.
 */
static void
sipi(void **state)
{
	struct vmm_regs r;
	struct guest g;
	size_t len;
	void *buf;

	guest_init(&g, 2);
	/* Only now can messages find it. */
	assert_int_equal(vmm_resetcpu(g.vmm, 1), 0);
	message(&g, 0x4500); /* INIT */
	message(&g, 0x4612); /* start at 0x12000 */
	assert_int_equal(vmm_state_save(g.vmm, &buf, &len), 0);
	vmm_free(g.vmm);
	make(&g, 2);
	assert_int_equal(vmm_state_restore(g.vmm, buf, len), 0);
	free(buf);
	assert_int_equal(vmm_readregs(g.vmm, 1, &r), 0);
	assert_int_equal(r.cs.sel, 0x1200);
	assert_int_equal(r.cs.base, 0x12000);
	assert_int_equal(r.rip, 0);
	guest_fini(&g);
}

/* --- what a host may lack --------------------------------------------- */

static void
lacks(void **state)
{
	static const struct {
		int cap;
		const char *why;
	} t[] = {
		{ KVM_CAP_IRQCHIP,
		    "this KVM has no KVM_CAP_IRQCHIP: interrupt controllers" },
		{ KVM_CAP_PIT2, "this KVM has no KVM_CAP_PIT2: a timer" },
		{ KVM_CAP_IRQ_ROUTING,
		    "this KVM has no KVM_CAP_IRQ_ROUTING: a routing table for "
		    "interrupts" },
		{ KVM_CAP_IMMEDIATE_EXIT,
		    "this KVM has no KVM_CAP_IMMEDIATE_EXIT: a way out of the "
		    "guest that loses no signal" },
		{ KVM_CAP_MP_STATE,
		    "this KVM has no KVM_CAP_MP_STATE: the state of execution "
		    "of a vcpu" },
	};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	char why[256];
	size_t i;

	if (kvm == -1)
		skip();
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		missing = t[i].cap;
		assert_int_equal(vmm_host_check(kvm, why, sizeof(why)), -1);
		assert_int_equal(errno, ENOTSUP);
		assert_string_equal(why, t[i].why);
	}
	missing = -1;
	close(kvm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(msrs),
		cmocka_unit_test(no_filter),
		cmocka_unit_test(sipi),
		cmocka_unit_test(lacks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
