/*
 * Interrupt lines, eventfds and message-signalled interrupts.  Any thread of
 * the vm process.
 *
 * KVM_SET_GSI_ROUTING replaces the whole table, so it is kept here and always
 * written whole: the pins of a PC (the timer on IOAPIC pin 2, nothing on pin
 * 0, as the MADT says) and one entry for each MSI in use.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vmm/vmm_int.h"

#define MAX_PINROUTES (2 * VMM_PINS)
#define MSI_GROW      16

static void
pin_put(struct kvm_irq_routing *t, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	struct kvm_irq_routing_entry *e = &t->entries[t->nr++];

	e->gsi = gsi;
	e->type = KVM_IRQ_ROUTING_IRQCHIP;
	e->u.irqchip.irqchip = chip;
	e->u.irqchip.pin = pin;
}

static void
pins_put(struct kvm_irq_routing *t)
{
	uint32_t gsi;

	for (gsi = 0; gsi < VMM_PINS; gsi++) {
		if (gsi < 8)
			pin_put(t, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
		else if (gsi < 16)
			pin_put(t, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8);
		if (gsi == 0)
			pin_put(t, gsi, KVM_IRQCHIP_IOAPIC, 2);
		else if (gsi != 2)
			pin_put(t, gsi, KVM_IRQCHIP_IOAPIC, gsi);
	}
}

/* Called with irq_lock held. */
static int
routes_write(struct vmm *v)
{
	struct kvm_irq_routing *t;
	struct kvm_irq_routing_entry *e;
	size_t i;
	int rc;

	t = calloc(1,
	    sizeof(*t) + (MAX_PINROUTES + v->nmsis) * sizeof(t->entries[0]));
	if (t == NULL)
		return -1;
	pins_put(t);
	for (i = 0; i < v->nmsis; i++) {
		if (!v->msis[i].set)
			continue;
		e = &t->entries[t->nr++];
		e->gsi = VMM_PINS + (uint32_t)i;
		e->type = KVM_IRQ_ROUTING_MSI;
		e->u.msi.address_lo = (uint32_t)v->msis[i].addr;
		e->u.msi.address_hi = (uint32_t)(v->msis[i].addr >> 32);
		e->u.msi.data = v->msis[i].data;
	}
	rc = ioctl(v->fd, KVM_SET_GSI_ROUTING, t);
	free(t);
	return rc;
}

int
vmm_irq_init(struct vmm *v)
{
	int n, rc;

	n = ioctl(v->fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING);
	if (n > MAX_PINROUTES)
		v->max_msis = (size_t)n - MAX_PINROUTES;
	pthread_mutex_lock(&v->irq_lock);
	rc = routes_write(v);
	pthread_mutex_unlock(&v->irq_lock);
	return rc;
}

void
vmm_irq_fini(struct vmm *v)
{
	free(v->msis);
	v->msis = NULL;
	v->nmsis = 0;
}

int
vmm_intr(struct vmm *v, unsigned int gsi, int level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level != 0 };

	if (gsi >= VMM_PINS) {
		errno = EINVAL;
		return -1;
	}
	return ioctl(v->fd, KVM_IRQ_LINE, &l);
}

int
vmm_irqfd(struct vmm *v, int fd, unsigned int gsi, int resample, int assign)
{
	struct kvm_irqfd i = { .fd = (uint32_t)fd, .gsi = gsi };

	if (!assign)
		i.flags |= KVM_IRQFD_FLAG_DEASSIGN;
	if (assign && resample >= 0) {
		i.flags |= KVM_IRQFD_FLAG_RESAMPLE;
		i.resamplefd = (uint32_t)resample;
	}
	return ioctl(v->fd, KVM_IRQFD, &i);
}

int
vmm_ioeventfd(struct vmm *v, int fd, uint64_t addr, unsigned int len,
    uint64_t match, unsigned int flags, int assign)
{
	struct kvm_ioeventfd e = { .datamatch = match,
		.addr = addr,
		.len = len,
		.fd = fd };

	if (flags & VMM_IOEVENT_PIO)
		e.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (flags & VMM_IOEVENT_MATCH)
		e.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (!assign)
		e.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return ioctl(v->fd, KVM_IOEVENTFD, &e);
}

/* Called with irq_lock held. */
static int
msis_grow(struct vmm *v)
{
	struct vmm_msi *p;

	if (v->nmsis + MSI_GROW > v->max_msis) {
		errno = ENOSPC;
		return -1;
	}
	p = reallocarray(v->msis, v->nmsis + MSI_GROW, sizeof(*p));
	if (p == NULL)
		return -1;
	memset(p + v->nmsis, 0, MSI_GROW * sizeof(*p));
	v->msis = p;
	v->nmsis += MSI_GROW;
	return 0;
}

int
vmm_msi_new(struct vmm *v, unsigned int *gsi)
{
	size_t i;
	int rc = -1;

	pthread_mutex_lock(&v->irq_lock);
	for (i = 0; i < v->nmsis && v->msis[i].used; i++)
		;
	if (i < v->nmsis || msis_grow(v) == 0) {
		v->msis[i].used = 1;
		*gsi = VMM_PINS + (unsigned int)i;
		rc = 0;
	}
	pthread_mutex_unlock(&v->irq_lock);
	return rc;
}

/* The entry of `gsi', or NULL with EINVAL.  irq_lock held. */
static struct vmm_msi *
msi_find(struct vmm *v, unsigned int gsi)
{
	if (gsi < VMM_PINS || gsi - VMM_PINS >= v->nmsis ||
	    !v->msis[gsi - VMM_PINS].used) {
		errno = EINVAL;
		return NULL;
	}
	return &v->msis[gsi - VMM_PINS];
}

int
vmm_msi_set(struct vmm *v, unsigned int gsi, uint64_t addr, uint32_t data)
{
	struct vmm_msi *m, old;
	int rc = -1;

	pthread_mutex_lock(&v->irq_lock);
	if ((m = msi_find(v, gsi)) == NULL)
		goto out;
	rc = 0;
	if (m->set && m->addr == addr && m->data == data)
		goto out;
	old = *m;
	m->set = 1;
	m->addr = addr;
	m->data = data;
	if ((rc = routes_write(v)) == -1)
		*m = old;
out:
	pthread_mutex_unlock(&v->irq_lock);
	return rc;
}

void
vmm_msi_free(struct vmm *v, unsigned int gsi)
{
	struct vmm_msi *m;
	int was_set;

	pthread_mutex_lock(&v->irq_lock);
	if ((m = msi_find(v, gsi)) != NULL) {
		was_set = m->set;
		memset(m, 0, sizeof(*m));
		if (was_set)
			routes_write(v);
	}
	pthread_mutex_unlock(&v->irq_lock);
}
