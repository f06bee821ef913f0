/*
 * Everything of a guest but its memory, as bytes: written from a held VM,
 * read into a new one.  Main thread of the vm process.
 *
 * The format is a header and then items in one fixed order, which is also
 * the order of restoring: interrupt chips, timer, clock, then for each vcpu
 * what vcpu_restore() reads.  An item is u32 kind, u32 length, u64 vcpu and
 * its bytes, KVM's structures as they are; the reader takes nothing else.
 * Routing and eventfds are not here: devices make them again.
 *
 * What is asked first when saving is the vcpus' state of execution: the
 * answer takes an INIT or SIPI that is waiting, and with it other registers.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vmm/state.h"
#include "lib/vmm/vmm_int.h"

#define STATE_MAGIC 0x31304d4d5644564dULL /* "MVDVMM01" */
#define NCHIPS	    3

struct state_head {
	uint64_t magic;
	uint32_t ncpus;
	uint32_t zero;
};

/* Items with a pair of ioctls and a fixed size. */
struct fixed {
	uint32_t kind;
	uint32_t len;
	unsigned long get, set;
};

/* clang-format off */
static const struct fixed sregs_item =
	{ ST_SREGS2, sizeof(struct kvm_sregs2), KVM_GET_SREGS2, KVM_SET_SREGS2 };
static const struct fixed regs_item =
	{ ST_REGS, sizeof(struct kvm_regs), KVM_GET_REGS, KVM_SET_REGS };
static const struct fixed xcrs_item =
	{ ST_XCRS, sizeof(struct kvm_xcrs), KVM_GET_XCRS, KVM_SET_XCRS };
static const struct fixed debug_item =
	{ ST_DEBUG, sizeof(struct kvm_debugregs), KVM_GET_DEBUGREGS,
	    KVM_SET_DEBUGREGS };
static const struct fixed lapic_item =
	{ ST_LAPIC, sizeof(struct kvm_lapic_state), KVM_GET_LAPIC,
	    KVM_SET_LAPIC };
static const struct fixed events_item =
	{ ST_EVENTS, sizeof(struct kvm_vcpu_events), KVM_GET_VCPU_EVENTS,
	    KVM_SET_VCPU_EVENTS };
static const struct fixed mp_item = /* mp_get() reads it */
	{ ST_MP, sizeof(struct kvm_mp_state), KVM_GET_MP_STATE,
	    KVM_SET_MP_STATE };
/* clang-format on */

/* --- the buffer ------------------------------------------------------- */

void *
state_put(struct state_buf *s, uint32_t kind, uint64_t cpu, size_t len)
{
	struct state_item it = { kind, (uint32_t)len, cpu };
	uint8_t *p;

	if (s->len + sizeof(it) + len > s->size) {
		s->size = s->len + sizeof(it) + len + 32768;
		if ((p = realloc(s->buf, s->size)) == NULL)
			return NULL;
		s->buf = p;
	}
	memcpy(s->buf + s->len, &it, sizeof(it));
	p = s->buf + s->len + sizeof(it);
	memset(p, 0, len);
	s->len += sizeof(it) + len;
	return p;
}

const void *
state_get(struct state_buf *s, uint32_t kind, uint64_t cpu, size_t *len)
{
	struct state_item it;
	const void *p;

	if (s->size - s->len < sizeof(it))
		goto bad;
	memcpy(&it, s->buf + s->len, sizeof(it));
	if (it.kind != kind || it.cpu != cpu ||
	    it.len > s->size - s->len - sizeof(it))
		goto bad;
	p = s->buf + s->len + sizeof(it);
	s->len += sizeof(it) + it.len;
	*len = it.len;
	return p;
bad:
	errno = EBADMSG;
	return NULL;
}

static int
fixed_save(struct state_buf *s, int fd, uint64_t cpu, const struct fixed *f)
{
	void *p;

	if ((p = state_put(s, f->kind, cpu, f->len)) == NULL)
		return -1;
	return ioctl(fd, f->get, p);
}

/* A copy of the next item, which must be `len' bytes long. */
static int
item_copy(struct state_buf *s, uint32_t kind, uint64_t cpu, void *to,
    size_t len)
{
	const void *p;
	size_t n;

	if ((p = state_get(s, kind, cpu, &n)) == NULL)
		return -1;
	if (n != len) {
		errno = EBADMSG;
		return -1;
	}
	memcpy(to, p, len);
	return 0;
}

static int
fixed_restore(struct state_buf *s, int fd, uint64_t cpu, const struct fixed *f)
{
	union {
		struct kvm_sregs2 sregs;
		struct kvm_regs regs;
		struct kvm_xcrs xcrs;
		struct kvm_debugregs debug;
		struct kvm_lapic_state lapic;
		struct kvm_vcpu_events events;
		struct kvm_mp_state mp;
	} u;

	if (item_copy(s, f->kind, cpu, &u, f->len) == -1)
		return -1;
	return ioctl(fd, f->set, &u) == -1 ? -1 : 0;
}

/* --- XSAVE: its size is the host's ------------------------------------ */

static size_t
xsave_size(struct vmm *v)
{
	int n = ioctl(v->fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	return n > (int)sizeof(struct kvm_xsave) ? (size_t)n :
						   sizeof(struct kvm_xsave);
}

static int
xsave_save(struct state_buf *s, struct vmm_vcpu *c)
{
	size_t len = xsave_size(c->vmm);
	void *p;

	if ((p = state_put(s, ST_XSAVE, c->idx, len)) == NULL)
		return -1;
	return ioctl(c->fd,
	    len > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, p);
}

static int
xsave_restore(struct state_buf *s, struct vmm_vcpu *c)
{
	size_t len = xsave_size(c->vmm);
	void *p;
	int rc = -1;

	if ((p = malloc(len)) == NULL)
		return -1;
	if (item_copy(s, ST_XSAVE, c->idx, p, len) == 0)
		rc = ioctl(c->fd, KVM_SET_XSAVE, p);
	free(p);
	return rc;
}

/* --- one vcpu --------------------------------------------------------- */

static int
cpuid_save(struct state_buf *s, struct vmm_vcpu *c)
{
	size_t len = c->cpuid->nent * sizeof(c->cpuid->entries[0]);
	void *p;

	if ((p = state_put(s, ST_CPUID, c->idx, len)) == NULL)
		return -1;
	memcpy(p, c->cpuid->entries, len);
	return 0;
}

/* The processor promised to the guest must be the one it gets. */
static int
cpuid_restore(struct state_buf *s, struct vmm_vcpu *c)
{
	const struct kvm_cpuid_entry2 *p;
	struct kvm_cpuid2 *t;
	size_t len;
	int rc;

	if ((p = state_get(s, ST_CPUID, c->idx, &len)) == NULL)
		return -1;
	if (len % sizeof(*p) != 0 || len / sizeof(*p) > VMM_MAXCPUID) {
		errno = EBADMSG;
		return -1;
	}
	if (len == c->cpuid->nent * sizeof(*p) &&
	    memcmp(p, c->cpuid->entries, len) == 0)
		return 0;
	t = calloc(1, sizeof(*t) + VMM_MAXCPUID * sizeof(*p));
	if (t == NULL)
		return -1;
	t->nent = (uint32_t)(len / sizeof(*p));
	memcpy(t->entries, p, len);
	if ((rc = ioctl(c->fd, KVM_SET_CPUID2, t)) == -1) {
		free(t);
		return rc;
	}
	free(c->cpuid);
	c->cpuid = t;
	return 0;
}

static int
mp_save(struct state_buf *s, struct vmm_vcpu *c, const struct kvm_mp_state *mp)
{
	void *p;

	if ((p = state_put(s, ST_MP, c->idx, sizeof(*mp))) == NULL)
		return -1;
	memcpy(p, mp, sizeof(*mp));
	return 0;
}

static int
vcpu_save(struct state_buf *s, struct vmm_vcpu *c,
    const struct kvm_mp_state *mp)
{
	return cpuid_save(s, c) == -1 ||
		fixed_save(s, c->fd, c->idx, &sregs_item) == -1 ||
		fixed_save(s, c->fd, c->idx, &regs_item) == -1 ||
		xsave_save(s, c) == -1 ||
		fixed_save(s, c->fd, c->idx, &xcrs_item) == -1 ||
		fixed_save(s, c->fd, c->idx, &debug_item) == -1 ||
		fixed_save(s, c->fd, c->idx, &lapic_item) == -1 ||
		state_msrs_save(s, c) == -1 ||
		fixed_save(s, c->fd, c->idx, &events_item) == -1 ||
		mp_save(s, c, mp) == -1 ?
	    -1 :
	    0;
}

static int
vcpu_restore(struct state_buf *s, struct vmm_vcpu *c)
{
	return cpuid_restore(s, c) == -1 ||
		fixed_restore(s, c->fd, c->idx, &sregs_item) == -1 ||
		fixed_restore(s, c->fd, c->idx, &regs_item) == -1 ||
		xsave_restore(s, c) == -1 ||
		fixed_restore(s, c->fd, c->idx, &xcrs_item) == -1 ||
		fixed_restore(s, c->fd, c->idx, &debug_item) == -1 ||
		fixed_restore(s, c->fd, c->idx, &lapic_item) == -1 ||
		state_msrs_restore(s, c) == -1 ||
		fixed_restore(s, c->fd, c->idx, &events_item) == -1 ||
		fixed_restore(s, c->fd, c->idx, &mp_item) == -1 ?
	    -1 :
	    0;
}

/* --- the VM ----------------------------------------------------------- */

static int
vm_save(struct state_buf *s, struct vmm *v)
{
	struct kvm_irqchip *chip;
	void *p;
	uint32_t i;
	uint64_t khz;
	int n;

	for (i = 0; i < NCHIPS; i++) {
		if ((chip = state_put(s, ST_CHIP, i, sizeof(*chip))) == NULL)
			return -1;
		chip->chip_id = i;
		if (ioctl(v->fd, KVM_GET_IRQCHIP, chip) == -1)
			return -1;
	}
	if ((p = state_put(s, ST_PIT, 0, sizeof(struct kvm_pit_state2))) ==
		NULL ||
	    ioctl(v->fd, KVM_GET_PIT2, p) == -1)
		return -1;
	if ((p = state_put(s, ST_CLOCK, 0, sizeof(struct kvm_clock_data))) ==
		NULL ||
	    ioctl(v->fd, KVM_GET_CLOCK, p) == -1)
		return -1;
	if ((n = ioctl(v->cpus[0].fd, KVM_GET_TSC_KHZ, 0)) == -1)
		return -1;
	khz = (uint64_t)n;
	if ((p = state_put(s, ST_TSC_KHZ, 0, sizeof(khz))) == NULL)
		return -1;
	memcpy(p, &khz, sizeof(khz));
	return 0;
}

static int
chips_restore(struct state_buf *s, struct vmm *v)
{
	struct kvm_irqchip chip;
	struct kvm_pit_state2 pit;
	uint32_t i;

	for (i = 0; i < NCHIPS; i++) {
		if (item_copy(s, ST_CHIP, i, &chip, sizeof(chip)) == -1)
			return -1;
		if (chip.chip_id != i) {
			errno = EBADMSG;
			return -1;
		}
		if (ioctl(v->fd, KVM_SET_IRQCHIP, &chip) == -1)
			return -1;
	}
	if (item_copy(s, ST_PIT, 0, &pit, sizeof(pit)) == -1)
		return -1;
	return ioctl(v->fd, KVM_SET_PIT2, &pit);
}

/* Rates that differ by more than 250 ppm need a host that can scale. */
static int
khz_restore(struct vmm *v, uint64_t khz)
{
	uint64_t diff, mine;
	unsigned int i;
	int n;

	if (khz == 0 || khz > INT32_MAX) {
		errno = EBADMSG;
		return -1;
	}
	for (i = 0; i < v->ncpus; i++) {
		if ((n = ioctl(v->cpus[i].fd, KVM_GET_TSC_KHZ, 0)) == -1)
			return -1;
		mine = (uint64_t)n;
		diff = mine > khz ? mine - khz : khz - mine;
		if (diff == 0)
			continue;
		if (ioctl(v->cpus[i].fd, KVM_SET_TSC_KHZ, khz) == -1 &&
		    diff > khz / 4000) {
			errno = ENOTSUP;
			return -1;
		}
	}
	return 0;
}

static int
vm_restore(struct state_buf *s, struct vmm *v)
{
	struct kvm_clock_data clk;
	uint64_t khz;

	if (chips_restore(s, v) == -1 ||
	    item_copy(s, ST_CLOCK, 0, &clk, sizeof(clk)) == -1)
		return -1;
	/* The guest's clock goes on where it stopped. */
	clk.flags = 0;
	if (ioctl(v->fd, KVM_SET_CLOCK, &clk) == -1)
		return -1;
	if (item_copy(s, ST_TSC_KHZ, 0, &khz, sizeof(khz)) == -1)
		return -1;
	return khz_restore(v, khz);
}

static int
mp_get(struct vmm *v, struct kvm_mp_state mp[VMM_MAXCPUS])
{
	unsigned int i;

	for (i = 0; i < v->ncpus; i++)
		if (ioctl(v->cpus[i].fd, mp_item.get, &mp[i]) == -1)
			return -1;
	return 0;
}

int
vmm_state_save(struct vmm *v, void **buf, size_t *len)
{
	struct state_head h = { STATE_MAGIC, v->ncpus, 0 };
	struct kvm_mp_state mp[VMM_MAXCPUS];
	struct state_buf s = { 0 };
	unsigned int i;
	void *p;
	int rc;

	if (vmm_lock_held(v) == -1)
		return -1;
	rc = mp_get(v, mp) == -1 ||
		(p = state_put(&s, ST_HEAD, 0, sizeof(h))) == NULL ?
	    -1 :
	    0;
	if (rc == 0) {
		memcpy(p, &h, sizeof(h));
		rc = vm_save(&s, v);
	}
	for (i = 0; i < v->ncpus && rc == 0; i++)
		rc = vcpu_save(&s, &v->cpus[i], &mp[i]);
	vmm_unlock(v);
	if (rc == -1) {
		free(s.buf);
		return -1;
	}
	*buf = s.buf;
	*len = s.len;
	return 0;
}

static int
restore_all(struct vmm *v, struct state_buf *s)
{
	struct state_head h;
	unsigned int i;

	if (item_copy(s, ST_HEAD, 0, &h, sizeof(h)) == -1)
		return -1;
	if (h.magic != STATE_MAGIC || h.zero != 0 || h.ncpus != v->ncpus) {
		errno = EBADMSG;
		return -1;
	}
	if (vm_restore(s, v) == -1)
		return -1;
	for (i = 0; i < v->ncpus; i++)
		if (vcpu_restore(s, &v->cpus[i]) == -1)
			return -1;
	if (s->len != s->size) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

int
vmm_state_restore(struct vmm *v, const void *buf, size_t len)
{
	struct state_buf s = { .size = len };
	int rc;

	if (vmm_lock_held(v) == -1)
		return -1;
	/* A copy: what was checked stays as it was. */
	rc = (s.buf = malloc(len == 0 ? 1 : len)) == NULL ? -1 : 0;
	if (rc == 0) {
		memcpy(s.buf, buf, len);
		rc = restore_all(v, &s);
	}
	vmm_unlock(v);
	/* KVM's word for a value no processor could have. */
	if (rc == -1 && errno == EINVAL)
		errno = EBADMSG;
	free(s.buf);
	return rc;
}
