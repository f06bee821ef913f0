/*
 * The MSRs in a saved state: what KVM lists, the MTRRs, which it may not
 * list, and at the very end the TSC and the deadline that depends on it.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vmm/state.h"
#include "lib/vmm/vmm_int.h"

#define MSR_TSC		 0x10
#define MSR_TSC_DEADLINE 0x6e0

#define MSRS_SIZE                                                              \
	(sizeof(struct kvm_msrs) + VMM_MAXMSRS * sizeof(struct kvm_msr_entry))
#define LIST_SIZE (sizeof(struct kvm_msr_list) + VMM_MAXMSRS * sizeof(uint32_t))

static const uint32_t mtrrs[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
	0x26b, 0x26c, 0x26d, 0x26e, 0x26f, 0x2ff };

static void
put(struct kvm_msrs *m, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < m->nmsrs; i++)
		if (m->entries[i].index == index)
			return;
	if (m->nmsrs < VMM_MAXMSRS)
		m->entries[m->nmsrs++].index = index;
}

static int
list(struct vmm *v, struct kvm_msrs *m)
{
	struct kvm_msr_list *l;
	uint32_t i;

	if ((l = calloc(1, LIST_SIZE)) == NULL)
		return -1;
	l->nmsrs = VMM_MAXMSRS;
	if (ioctl(v->kvm, KVM_GET_MSR_INDEX_LIST, l) == -1) {
		free(l);
		return -1;
	}
	for (i = 0; i < l->nmsrs; i++)
		if (l->indices[i] != MSR_TSC &&
		    l->indices[i] != MSR_TSC_DEADLINE)
			put(m, l->indices[i]);
	free(l);
	for (i = 0; i < 16; i++)
		put(m, 0x200 + i);
	for (i = 0; i < sizeof(mtrrs) / sizeof(mtrrs[0]); i++)
		put(m, mtrrs[i]);
	put(m, MSR_TSC);
	put(m, MSR_TSC_DEADLINE);
	return 0;
}

/* Read all of `m', dropping those that this vcpu does not have. */
static int
read_all(int fd, struct kvm_msrs *m)
{
	struct kvm_msrs *t;
	uint32_t i = 0, n = m->nmsrs, out = 0;
	int got;

	if ((t = calloc(1, MSRS_SIZE)) == NULL)
		return -1;
	while (i < n) {
		t->nmsrs = n - i;
		memcpy(t->entries, m->entries + i,
		    (n - i) * sizeof(t->entries[0]));
		if ((got = ioctl(fd, KVM_GET_MSRS, t)) == -1) {
			free(t);
			return -1;
		}
		/* It stops at the first that fails. */
		memmove(m->entries + out, t->entries,
		    (size_t)got * sizeof(t->entries[0]));
		out += (uint32_t)got;
		i += (uint32_t)got + 1;
	}
	m->nmsrs = out;
	free(t);
	return 0;
}

int
state_msrs_save(struct state_buf *s, struct vmm_vcpu *c)
{
	struct kvm_msrs *m;
	size_t len;
	void *p;
	int rc = -1;

	if ((m = calloc(1, MSRS_SIZE)) == NULL)
		return -1;
	if (list(c->vmm, m) == -1 || read_all(c->fd, m) == -1)
		goto out;
	len = m->nmsrs * sizeof(m->entries[0]);
	if ((p = state_put(s, ST_MSRS, c->idx, len)) == NULL)
		goto out;
	memcpy(p, m->entries, len);
	rc = 0;
out:
	free(m);
	return rc;
}

/* One that cannot be written is fine if it has that value already. */
static int
same_already(int fd, const struct kvm_msr_entry *e)
{
	union msr_one one = { .h.nmsrs = 1 };

	one.h.entries[0].index = e->index;
	return ioctl(fd, KVM_GET_MSRS, &one) == 1 &&
	    one.h.entries[0].data == e->data;
}

static int
write_all(int fd, const struct kvm_msr_entry *e, uint32_t n)
{
	struct kvm_msrs *t;
	uint32_t i = 0;
	int set;

	if ((t = calloc(1, MSRS_SIZE)) == NULL)
		return -1;
	while (i < n) {
		t->nmsrs = n - i;
		memcpy(t->entries, e + i, (n - i) * sizeof(t->entries[0]));
		if ((set = ioctl(fd, KVM_SET_MSRS, t)) == -1)
			break;
		i += (uint32_t)set;
		if (i == n)
			break;
		if (!same_already(fd, &t->entries[set])) {
			errno = EBADMSG;
			break;
		}
		i++;
	}
	free(t);
	return i == n ? 0 : -1;
}

int
state_msrs_restore(struct state_buf *s, struct vmm_vcpu *c)
{
	struct kvm_msr_entry *e;
	const void *p;
	size_t len;
	int rc;

	if ((p = state_get(s, ST_MSRS, c->idx, &len)) == NULL)
		return -1;
	if (len % sizeof(*e) != 0 || len / sizeof(*e) > VMM_MAXMSRS) {
		errno = EBADMSG;
		return -1;
	}
	if ((e = malloc(len == 0 ? 1 : len)) == NULL)
		return -1;
	memcpy(e, p, len);
	rc = write_all(c->fd, e, (uint32_t)(len / sizeof(*e)));
	free(e);
	return rc;
}
