/*
 * Runs the probe guest (probe_guest.c) and says which kind of KVM this is;
 * see probe.h.  Main thread of a vm process that does nothing else.
 *
 * An instruction that KVM cannot emulate ends its guest, so the next guest
 * begins with the test after it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/util/gmem.h"
#include "lib/vmm/vmm.h"
#include "vmd/vm/probe.h"
#include "vmd/vm/probe_guest.h"

#define MAXTESTS 32
#define DEADLINE 1 /* seconds for one guest */
#define MEMORY	 0x200000ULL

/* Where things are in the probe's memory. */
#define PML4 0x1000ULL
#define PDPT 0x2000ULL
#define PD   0x3000ULL
#define GDT  0x4000ULL
#define IDT  0x5000ULL
#define CODE 0x10000ULL

enum outcome {
	UNTRIED,
	WORKS,
	BAD,
	ABSENT,
	FAILED
};

struct probe {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct vmm *vmm;
	enum outcome out[MAXTESTS];
	unsigned int current;
	int done; /* all tests were reached */
	int ended;
	char text[256]; /* why it ended */
};

static void
probe_out(void *arg, uint16_t port, unsigned int size, uint32_t val)
{
	struct probe *p = arg;

	switch (port) {
	case PROBE_BEGIN:
		p->current = val % MAXTESTS;
		break;
	case PROBE_OK:
		p->out[p->current] = WORKS;
		break;
	case PROBE_BAD:
		p->out[p->current] = BAD;
		break;
	case PROBE_ABSENT:
		p->out[p->current] = ABSENT;
		break;
	case PROBE_DONE:
		p->done = 1;
		vmm_stop(p->vmm);
		break;
	default:
		break;
	}
}

static uint32_t
probe_in(void *arg, uint16_t port, unsigned int size)
{
	return UINT32_MAX;
}

static uint64_t
probe_load(void *arg, uint64_t gpa, unsigned int size)
{
	return UINT64_MAX;
}

static void
probe_store(void *arg, uint64_t gpa, unsigned int size, uint64_t val)
{
}

static void
probe_ended(void *arg, enum vmm_end how, const char *text)
{
	struct probe *p = arg;

	pthread_mutex_lock(&p->lock);
	if (how == VMM_END_EMULATION || how == VMM_END_TRIPLE)
		p->out[p->current] = FAILED;
	snprintf(p->text, sizeof(p->text), "%s", text);
	p->ended = 1;
	pthread_cond_signal(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

static void
put64(uint8_t *base, uint64_t at, uint64_t v)
{
	memcpy(base + at, &v, sizeof(v));
}

static void
gate(uint8_t *base, unsigned int vector, uint64_t handler)
{
	uint64_t low;

	low = (handler & 0xffff) | 0x8ULL << 16 | 0x8eULL << 40 |
	    (handler >> 16 & 0xffff) << 48;
	put64(base, IDT + 16ULL * vector, low);
	put64(base, IDT + 16ULL * vector + 8, handler >> 32);
}

static void
fill_memory(uint8_t *base)
{
	unsigned int i;

	put64(base, PML4, PDPT | 3);
	put64(base, PDPT, PD | 3);
	put64(base, PD, 0x83);
	put64(base, GDT + 8, 0x00af9b000000ffffULL);
	put64(base, GDT + 16, 0x00cf93000000ffffULL);
	for (i = 0; i < 32; i++)
		gate(base, i, CODE + probe_fault);
	gate(base, 3, CODE + probe_trap);
	gate(base, 0x80, CODE + probe_trap);
	memcpy(base + CODE, probe_code, (size_t)(probe_code_end - probe_code));
}

static int
set_regs(struct vmm *v, unsigned int test)
{
	const struct vmm_seg code = { .sel = 8,
		.type = 11,
		.s = 1,
		.present = 1,
		.l = 1,
		.g = 1,
		.limit = UINT32_MAX };
	const struct vmm_seg data = { .sel = 16,
		.type = 3,
		.s = 1,
		.present = 1,
		.db = 1,
		.g = 1,
		.limit = UINT32_MAX };
	const struct vmm_seg tss = { .type = 11, .present = 1, .limit = 0x67 };
	struct vmm_regs r = { .rip = CODE + probe_tests[test],
		.rflags = 2,
		.rsp = 0x9000,
		.cr0 = 0x80010033,
		.cr3 = PML4,
		.cr4 = 0x620,
		.efer = 0x500,
		.gdt_base = GDT,
		.gdt_limit = 23,
		.idt_base = IDT,
		.idt_limit = 0xfff };

	r.cs = code;
	r.ds = r.es = r.fs = r.gs = r.ss = data;
	r.tr = tss;
	r.ldt.type = 2;
	r.ldt.unusable = 1;
	return vmm_writeregs(v, 0, &r);
}

/* Wait for the end.  -1 if it does not come. */
static int
await(struct probe *p)
{
	struct timespec ts;
	int e = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += DEADLINE;
	pthread_mutex_lock(&p->lock);
	while (!p->ended && e == 0)
		e = pthread_cond_timedwait(&p->cond, &p->lock, &ts);
	pthread_mutex_unlock(&p->lock);
	if (p->ended)
		return 0;
	snprintf(p->text, sizeof(p->text), "%s hangs",
	    probe_names[p->current % probe_nnames]);
	return -1;
}

/* One guest from test number `first' on.  0, or -1 with p->text. */
static int
run_from(struct probe *p, int kvm, unsigned int first)
{
	const struct vmm_ops ops = { .io_read = probe_in,
		.io_write = probe_out,
		.mmio_read = probe_load,
		.mmio_write = probe_store,
		.ended = probe_ended,
		.arg = p };
	struct gmem mem = { .fd = -1 };
	struct vmm_conf c = { .kvm = kvm, .ncpus = 1, .mem = &mem, .ops = ops };
	int rc = -1;

	p->ended = 0;
	p->current = first;
	p->vmm = NULL;
	if (gmem_add(&mem, 0, MEMORY, GMEM_RAM) == -1 ||
	    gmem_create(&mem) == -1) {
		snprintf(p->text, sizeof(p->text), "memory: %s",
		    strerror(errno));
		goto out;
	}
	fill_memory(mem.base);
	p->vmm = vmm_create(&c, p->text, sizeof(p->text));
	if (p->vmm == NULL)
		goto out;
	if (set_regs(p->vmm, first) == -1 || vmm_start(p->vmm) == -1) {
		snprintf(p->text, sizeof(p->text), "start: %s",
		    strerror(errno));
		goto out;
	}
	rc = await(p);
out:
	vmm_free(p->vmm);
	gmem_fini(&mem);
	return rc;
}

static enum vmerr
sum_up(const struct probe *p, char text[PROBE_TEXTLEN])
{
	unsigned int i;
	size_t n;
	int failed = 0;

	snprintf(text, PROBE_TEXTLEN, "kernel code is emulated, without");
	for (i = 0; i < probe_ntests; i++) {
		if (p->out[i] != FAILED && p->out[i] != BAD)
			continue;
		failed = 1;
		n = strlen(text);
		snprintf(text + n, PROBE_TEXTLEN - n, " %s%s", probe_names[i],
		    p->out[i] == BAD ? " (wrong)" : "");
	}
	if (failed)
		return VMERR_UNSUPPORTED;
	snprintf(text, PROBE_TEXTLEN, "hardware virtualisation works");
	return VMERR_OK;
}

enum vmerr
probe_run(int kvm, char text[PROBE_TEXTLEN])
{
	struct probe p = { .lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER };
	unsigned int next = 0;

	if (probe_ntests != probe_nnames || probe_ntests > MAXTESTS) {
		snprintf(text, PROBE_TEXTLEN, "probe: tests without names");
		return VMERR_GUEST;
	}
	while (!p.done && next < probe_ntests) {
		if (run_from(&p, kvm, next) == -1 ||
		    (!p.done && p.out[p.current] != FAILED) ||
		    p.current < next) {
			snprintf(text, PROBE_TEXTLEN, "probe: %s", p.text);
			return VMERR_GUEST;
		}
		next = p.current + 1;
	}
	return sum_up(&p, text);
}
