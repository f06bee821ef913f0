/*
 * Register traffic for a virtio device: accesses to both its windows and to
 * configuration space, and what its backend does meanwhile.  Three bytes say
 * what and where, then come the bytes of the value.  Nothing may be asked of
 * the kernel that it would refuse, and what is connected follows the status.
 */
#include "regress/unit/virtio_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	const uint8_t *p;
	size_t left;
};

static uint64_t
take(struct input *in, size_t n)
{
	uint64_t v = 0;

	if (n > in->left)
		n = in->left;
	memcpy(&v, in->p, n);
	in->p += n;
	in->left -= n;
	return v;
}

static void
event(unsigned int what)
{
	uint64_t one = 1;

	switch (what % 10) {
	case 0:
		virtio_reset_done(w.v);
		break;
	case 1:
		virtio_config_changed(w.v);
		break;
	case 2:
		virtio_broken(w.v);
		break;
	case 3:
		virtio_call(w.v, what / 10 % (NQUEUES + 1));
		break;
	case 4:
		virtio_irq_look(&w.v->sources[what / 10 % (NQUEUES + 1)]);
		break;
	case 5:
		if (write(w.conf.resample, &one, sizeof(one)) == -1)
			abort();
		virtio_irq_resampled(w.v);
		break;
	case 6:
		w.reset_now = !w.reset_now;
		break;
	case 7:
		w.refuse = !w.refuse;
		break;
	case 8:
		w.no_ioevents = !w.no_ioevents;
		break;
	default:
		if (what / 10 == 0)
			virtio_fail(w.v);
		break;
	}
}

/* Areas of BAR 0 by their first bytes, so that most accesses hit. */
static uint64_t
place(unsigned int what, unsigned int where)
{
	if (what % 2 == 1)
		return where & 0x3fff;
	return (uint64_t)(where >> 6 & 3) << 12 | (where & 0x3f);
}

static void
access_window(struct input *in, unsigned int what, unsigned int where)
{
	unsigned int size = 1U << (what >> 1 & 3), n = what >> 3 & 1;
	uint64_t gpa = bar(n) +
	    (n == 0		  ? place(what, where) :
		    what % 2 == 1 ? where & 0xfff :
				    where & 0x3f);

	if ((what & 0x10) != 0)
		mmio_bus_read(w.mmio, gpa, size);
	else
		mmio_bus_write(w.mmio, gpa, size, take(in, size));
}

static void
step(struct input *in)
{
	unsigned int what = (unsigned int)take(in, 1);
	unsigned int where = (unsigned int)take(in, 2);
	unsigned int size = 1U << (where >> 8 & 3) % 3, reg = where & 0xff;

	switch (what >> 5) {
	case 0:
		reg &= ~(size - 1);
		conf_set(reg, size, (uint32_t)take(in, size));
		break;
	case 1:
		conf_get(reg & ~(size - 1), size);
		break;
	case 2:
		event(where);
		break;
	case 3:
		drive();
		break;
	default:
		access_window(in, what, where);
		break;
	}
}

static void
check(void)
{
	int running = (w.v->status & VIRTIO_S_DRIVER_OK) != 0 &&
	    !w.v->resetting;

	if (w.bad != 0 || (w.nirqs > 0 && !running) ||
	    (w.nkicks > 0 && (!running || !w.v->active)) ||
	    (w.v->resetting && !w.v->active) ||
	    (w.v->features & ~(FEATURES | VIRTIO_F_VERSION_1)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };

	world_init();
	while (in.left >= 3) {
		step(&in);
		check();
	}
	world_fini();
	return 0;
}
