/*
 * Any bytes as the queues of a network device and what they point to, and
 * any frame of the host.  The device must stay in guest memory, come to an
 * end each time, and give back each chain at most once.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "regress/unit/vionet_fake.h"

#define QUEUE	(8 * 16 + 32) /* descriptors, then the available ring */
#define CONTROL 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
no_log(void *arg, int prio, const char *line)
{
}

/* Take `n' bytes, zeroes behind the end. */
static void
take(const uint8_t **data, size_t *size, void *to, size_t n)
{
	size_t have = *size < n ? *size : n;

	memset(to, 0, n);
	memcpy(to, *data, have);
	*data += have;
	*size -= have;
}

static void
begin(struct fake *f)
{
	static const struct net_conf conf = { .pairs = 2,
		.flags = NETF_LOCAL | NETF_LOCKED | NETF_INET6,
		.mac = { 0xfe, 0xe1, 0xbb, 1, 2, 3 },
		.host_mac = { 2, 0, 0, 0, 0, 9 },
		.mtu = 1500,
		.lease = 3600,
		.host4 = 0x64400102,
		.guest4 = 0x64400103,
		.host6 = { 0xfd, [15] = 1 } };

	log_set_sink(no_log, NULL);
	if (fake_open(f, &conf) == -1)
		abort();
}

/* What the first byte says of the driver and of the interface. */
static uint64_t
features(struct fake *f, uint8_t what)
{
	struct net *n = f->d.priv;
	uint64_t v = f->ready.features;

	if (!(what & 1))
		v &= ~NET_F(VIRTIO_NET_F_MRG_RXBUF);
	if (!(what & 2))
		v &= ~n->offered;
	if (!(what & 4))
		v &= ~VQ_F_EVENT_IDX;
	n->inspect_rx = (what & 8) != 0;
	n->inspect_tx = (what & 16) != 0;
	return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake f;
	static int begun;
	uint8_t control[CONTROL], *base;
	struct vq_conf c;
	unsigned int i;
	size_t n;

	if (!begun)
		begin(&f);
	begun = 1;
	take(&data, &size, control, sizeof(control));
	base = f.d.mem.base;
	memset(base, 0, 6 * FAKE_STRIDE);
	for (i = 0; i < f.d.nqueues; i++) {
		c = fake_conf(&f, i);
		take(&data, &size, base + c.desc, 8 * 16);
		take(&data, &size, base + c.avail, 32);
	}
	f.nin = f.taken = f.nout = 0;
	f.d.features = 0;
	fake_activate(&f, features(&f, control[0]), 0);
	fake_run(&f);
	/* The rest is the guest's data, and some of it a frame. */
	n = control[1] * 8U < size ? control[1] * 8U : size;
	if (n > 0)
		fake_in(&f, control[2] & 1, data, n);
	memcpy(base + FAKE_DATA, data, size < 0x10000 ? size : 0x10000);
	fake_run(&f);
	if (control[3] & 1) {
		fake_reset(&f);
		fake_activate(&f, f.d.features, 1);
		fake_run(&f);
	}
	fake_reset(&f);
	return 0;
}
