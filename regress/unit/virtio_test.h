#ifndef VIRTIO_TEST_H
#define VIRTIO_TEST_H

/*
 * What the tests and the fuzz target of the transport share: a machine with one device of three
 * queues, a host that notes what is connected, and a backend that notes what
 * it is told.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmd/vm/device.h"
#include "vmd/vm/mmio.h"
#include "vmd/vm/pci.h"
#include "vmd/vm/virtio_int.h"

#define NELEM(a)  (sizeof(a) / sizeof((a)[0]))

#define SLOT	  4
#define NQUEUES	  3
#define QUEUE_MAX 16
#define CONFIG	  12
#define FEATURES  (1ULL << 5 | 1ULL << 28 | 1ULL << 29)
#define MAXMSI	  8
#define FIRST_MSI 24

/* What is connected, as the kernel would have it. */
struct connection {
	int fd;
	uint64_t at; /* gpa or gsi */
	int resample;
};

struct world {
	struct bus *bus;
	struct machine m;
	struct pci *pci;
	struct mmio *mmio;
	struct gmem mem;
	uint8_t ram[8192];
	struct virtio_page page;
	struct virtio *v;
	struct virtio_conf conf;
	int reset_now;	 /* what backend.reset() says */
	int refuse;	 /* what activate() says */
	int no_ioevents; /* the host refuses */
	unsigned int activations, resets, writes, notifies;
	uint64_t features;
	struct virtio_queue queues[NQUEUES];
	unsigned int write_off, write_size;
	uint32_t write_val;
	struct connection kicks[32], irqs[32];
	size_t nkicks, nirqs;
	unsigned int bad; /* the host was asked for nonsense */
	struct {
		int used;
		uint64_t addr;
		uint32_t data;
	} msi[MAXMSI];
};

static struct world w;

/* --- host ----------------------------------------------------------------- */

static inline int
list_change(struct connection *l, size_t *n, const struct connection *c,
    int assign)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (l[i].fd == c->fd && l[i].at == c->at)
			break;
	if (assign != (i == *n) || *n == 32) {
		w.bad++;
		return -1;
	}
	if (assign)
		l[(*n)++] = *c;
	else
		l[i] = l[--*n];
	return 0;
}

static int
fake_ioeventfd(void *arg, int fd, uint64_t gpa, unsigned int len, int assign)
{
	const struct connection c = { fd, gpa, -1 };

	if (w.no_ioevents && assign) {
		errno = EEXIST;
		return -1;
	}
	w.bad += len != 2;
	return list_change(w.kicks, &w.nkicks, &c, assign);
}

static int
fake_irqfd(void *arg, int fd, unsigned int gsi, int resample, int assign)
{
	const struct connection c = { fd, gsi, resample };

	return list_change(w.irqs, &w.nirqs, &c, assign);
}

static int
fake_msi_new(void *arg, unsigned int *gsi)
{
	unsigned int i;

	for (i = 0; i < MAXMSI && w.msi[i].used; i++)
		;
	if (i == MAXMSI)
		return -1;
	w.msi[i].used = 1;
	*gsi = FIRST_MSI + i;
	return 0;
}

static int
fake_msi_set(void *arg, unsigned int gsi, uint64_t addr, uint32_t data)
{
	gsi -= FIRST_MSI;
	w.bad += gsi >= MAXMSI || !w.msi[gsi].used;
	w.msi[gsi].addr = addr;
	w.msi[gsi].data = data;
	return 0;
}

static void
fake_msi_free(void *arg, unsigned int gsi)
{
	gsi -= FIRST_MSI;
	w.bad += gsi >= MAXMSI || !w.msi[gsi].used;
	w.msi[gsi].used = 0;
}

static const struct virtio_host_ops fake_host = {
	.ioeventfd = fake_ioeventfd,
	.irqfd = fake_irqfd,
	.msi_new = fake_msi_new,
	.msi_set = fake_msi_set,
	.msi_free = fake_msi_free,
};

/* --- backend -------------------------------------------------------------- */

static int
fake_activate(void *arg, uint64_t features, const struct virtio_queue *q,
    unsigned int n)
{
	w.activations++;
	w.features = features;
	w.bad += n != NQUEUES;
	memcpy(w.queues, q, sizeof(w.queues));
	return w.refuse ? -1 : 0;
}

static int
fake_reset(void *arg)
{
	w.resets++;
	return w.reset_now;
}

static void
fake_config_write(void *arg, unsigned int off, unsigned int size, uint32_t val)
{
	w.writes++;
	w.bad += off + size > CONFIG;
	w.write_off = off;
	w.write_size = size;
	w.write_val = val;
}

static void
fake_notify(void *arg, unsigned int q)
{
	w.notifies++;
	w.bad += q != 2;
}

/* --- world ---------------------------------------------------------------- */

static inline int
make_fd(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* The eventfds outlive a world: there are many worlds. */
static inline void
world_fds(struct virtio_conf *c)
{
	static int fds[2 * NQUEUES + 2];
	uint64_t n;
	size_t i;

	for (i = 0; i < NELEM(fds); i++) {
		if (fds[i] == 0)
			fds[i] = make_fd();
		while (read(fds[i], &n, sizeof(n)) > 0)
			;
	}
	for (i = 0; i < NQUEUES; i++) {
		c->kick[i] = i == 2 ? -1 : fds[i];
		c->call[i] = fds[NQUEUES + i];
	}
	c->config_call = fds[2 * NQUEUES];
	c->resample = fds[2 * NQUEUES + 1];
}

static inline void
world_init(void)
{
	const struct virtio_backend b = { fake_activate, fake_reset,
		fake_config_write, fake_notify, &w };
	struct virtio_host h = { .ops = &fake_host, .mem = &w.mem };

	memset(&w, 0, sizeof(w));
	w.bus = bus_new();
	w.pci = pci_new(w.bus, &w.m);
	w.mmio = mmio_new(w.bus);
	w.mem.base = w.ram;
	w.mem.size = sizeof(w.ram);
	w.mem.ranges[0].size = sizeof(w.ram);
	w.mem.nranges = 1;
	w.reset_now = 1;
	h.bus = w.bus;
	h.pci = w.pci;
	h.mmio = w.mmio;
	w.conf.name = "test0";
	w.conf.slot = SLOT;
	w.conf.device = 2;
	w.conf.class = 0x010000;
	w.conf.features = FEATURES;
	w.conf.nqueues = NQUEUES;
	w.conf.queue_max = QUEUE_MAX;
	w.conf.page = &w.page;
	w.conf.config_len = CONFIG;
	w.conf.backend = b;
	world_fds(&w.conf);
	w.v = virtio_new(&h, &w.conf);
	if (w.v == NULL)
		abort();
}

static inline void
world_fini(void)
{
	virtio_free(w.v);
	if (w.nkicks != 0 || w.nirqs != 0 || w.bad != 0)
		abort();
	pci_free(w.pci);
	mmio_free(w.mmio);
	bus_free(w.bus);
}

/* --- the guest ------------------------------------------------------------- */

static inline uint32_t
conf_get(unsigned int reg, unsigned int size)
{
	bus_write(w.bus, 0xcf8, 4, 1U << 31 | SLOT << 11 | (reg & 0xfc));
	return bus_read(w.bus, (uint16_t)(0xcfc + (reg & 3)), size);
}

static inline void
conf_set(unsigned int reg, unsigned int size, uint32_t val)
{
	bus_write(w.bus, 0xcf8, 4, 1U << 31 | SLOT << 11 | (reg & 0xfc));
	bus_write(w.bus, (uint16_t)(0xcfc + (reg & 3)), size, val);
}

static inline uint64_t
bar(unsigned int n)
{
	return conf_get(0x10 + 4 * n, 4) & ~15U;
}

static inline uint64_t
get(uint64_t off, unsigned int size)
{
	return mmio_bus_read(w.mmio, bar(0) + off, size);
}

static inline void
set(uint64_t off, unsigned int size, uint64_t val)
{
	mmio_bus_write(w.mmio, bar(0) + off, size, val);
}

#define STATUS	   20
#define SELECT	   22
#define SIZE	   24
#define VECTOR	   26
#define ENABLE	   28
#define GET_STATUS get(STATUS, 1)

static inline void
agree(uint64_t features)
{
	set(STATUS, 1, 1);
	set(STATUS, 1, 3);
	set(8, 4, 0);
	set(12, 4, (uint32_t)features);
	set(8, 4, 1);
	set(12, 4, features >> 32);
	set(STATUS, 1, 11);
}

static inline void
queue(unsigned int q)
{
	set(SELECT, 2, q);
	set(32, 8, 0x400 * q);
	set(40, 8, 0x400 * q + 0x100);
	set(48, 8, 0x400 * q + 0x200);
	set(ENABLE, 2, 1);
}

/* All the way to DRIVER_OK. */
static inline void
drive(void)
{
	unsigned int q;

	agree(VIRTIO_F_VERSION_1);
	for (q = 0; q < NQUEUES; q++)
		queue(q);
	set(STATUS, 1, 15);
}

#endif
