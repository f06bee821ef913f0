/*
 * vmmci in the vm process: see vmmci.h and vmmci(4).  A register file, one
 * command that is outstanding, and one timer: what the host asked for is to
 * be answered in three seconds and done in two minutes; a guest that says
 * that it powers down is gone after three seconds, even if all it can do is
 * to halt.
 */
#include <stdlib.h>
#include <time.h>

#include "lib/util/log.h"
#include "vmd/vm/timer.h"
#include "vmd/vm/vmmci.h"

/* Registers of the legacy interface, without MSI-X. */
#define REG_HOST_FEATURES  0
#define REG_GUEST_FEATURES 4
#define REG_QUEUE_SELECT   14
#define REG_STATUS	   18
#define REG_ISR		   19
#define REG_COMMAND	   20
#define REG_SECONDS	   24 /* 64 bits each */
#define REG_MICROSECONDS   32
#define REG_END		   40

#define STATUS_DRIVER_OK   0x04
#define ISR_CONFIG	   0x02
#define FEATURES	   (VMMCI_F_TIMESYNC | VMMCI_F_ACK | VMMCI_F_SYNCRTC)

#define CFG_COMMAND	   0x04
#define CFG_STATUS	   0x06
#define CFG_BAR0	   0x10
#define CFG_INTLINE	   0x3c
#define CFG_INTPIN	   0x3d
#define CMD_IO		   0x0001
#define CMD_INTX_OFF	   0x0400
#define STATUS_INTX	   0x0008

#define MSEC		   1000000ULL
#define NSEC		   1000000000ULL

/* What the timer is for. */
enum wait {
	WAIT_NOTHING,
	WAIT_ANSWER,
	WAIT_END,  /* of what it was told to do */
	WAIT_GUEST /* it said itself that it is about to end */
};

struct vmmci {
	struct bus *b;
	const struct machine *m;
	struct pci_func *pci;
	struct vmmci_ops ops;
	struct timer timer;
	enum wait wait;
	uint64_t deadline; /* ns, while `wait' */
	uint64_t left;	   /* ns to the deadline, while paused */
	int paused;
	enum vmmci_cmd cmd;
	uint32_t features; /* the guest's */
	uint16_t queue;
	uint8_t status, isr;
	int level;
	uint64_t sec, usec; /* when the seconds were read */
};

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

/* --- interrupt and timer ---------------------------------------------- */

static void
update(struct vmmci *v)
{
	uint32_t status = pci_get(v->pci, CFG_STATUS, 2) & ~STATUS_INTX;
	int level = v->isr != 0;

	pci_set(v->pci, CFG_STATUS, 2, status | (level ? STATUS_INTX : 0));
	if ((pci_get(v->pci, CFG_COMMAND, 2) & CMD_INTX_OFF) != 0)
		level = 0;
	if (level == v->level)
		return;
	v->level = level;
	v->m->irq(v->m->arg, pci_irq(VMMCI_SLOT), level);
}

static void
config_written(void *arg, unsigned int off, unsigned int size)
{
	update(arg);
}

static void
wait_for(struct vmmci *v, enum wait what, uint64_t ms)
{
	v->wait = what;
	v->left = ms * MSEC;
	if (v->paused)
		return;
	v->deadline = clock_ns(CLOCK_MONOTONIC) + v->left;
	timer_arm(&v->timer, v->left);
}

static void
fire(void *arg)
{
	struct vmmci *v = arg;
	const char *why = NULL;
	int reboot;

	bus_lock(v->b);
	reboot = v->cmd == VMMCI_REBOOT;
	/* A vcpu may have stopped or moved the timer just now. */
	if (!v->paused && clock_ns(CLOCK_MONOTONIC) >= v->deadline) {
		if (v->wait == WAIT_ANSWER)
			why = reboot ? "no answer to vmmci reboot" :
				       "no answer to vmmci shutdown";
		else if (v->wait == WAIT_END)
			why = reboot ? "vmmci reboot took too long" :
				       "vmmci shutdown took too long";
		else if (v->wait == WAIT_GUEST)
			why = "powered off through vmmci";
		v->wait = WAIT_NOTHING;
	}
	bus_unlock(v->b);
	if (why != NULL)
		v->ops.expired(v->ops.arg, reboot, why);
}

/* --- registers -------------------------------------------------------- */

static void
reset(struct vmmci *v)
{
	if (v->wait != WAIT_NOTHING)
		timer_arm(&v->timer, 0);
	v->wait = WAIT_NOTHING;
	v->cmd = VMMCI_NONE;
	v->features = 0;
	v->queue = 0;
	v->status = 0;
	v->isr = 0;
}

/*
 * The guest wrote the command register: back what it was told, which is its
 * answer; or that it powers down, which it also says at the end of a
 * shutdown that it was told to do.
 */
static void
command(struct vmmci *v, uint32_t val)
{
	int down = v->wait == WAIT_END && v->cmd == VMMCI_SHUTDOWN;

	if (val == VMMCI_SHUTDOWN &&
	    (v->cmd == VMMCI_NONE || v->cmd == VMMCI_SYNCRTC))
		down = v->wait != WAIT_GUEST;
	else if (val != (uint32_t)v->cmd)
		return;
	if (down)
		wait_for(v, WAIT_GUEST, VMMCI_ANSWER_MS);
	else if (v->wait == WAIT_ANSWER)
		wait_for(v, WAIT_END, VMMCI_END_MS);
	else if (val == VMMCI_SYNCRTC)
		v->cmd = VMMCI_NONE;
}

/* Byte `i' of a register. */
static uint8_t
byte(uint64_t reg, unsigned int i)
{
	return (uint8_t)(reg >> 8 * i);
}

/*
 * The time is taken when the low half of the seconds is read; guests read
 * the high half first.
 */
static uint8_t
get_time(struct vmmci *v, unsigned int off)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (off == REG_SECONDS) {
		v->sec = now / NSEC;
		v->usec = now % NSEC / 1000;
	}
	if (off >= REG_MICROSECONDS)
		return byte(v->usec, off - REG_MICROSECONDS);
	if (off >= REG_SECONDS + 4)
		return byte(now / NSEC, off - REG_SECONDS);
	return byte(v->sec, off - REG_SECONDS);
}

static uint8_t
get(struct vmmci *v, unsigned int off)
{
	uint8_t val;

	if (off < REG_GUEST_FEATURES)
		return byte(FEATURES, off - REG_HOST_FEATURES);
	if (off < REG_GUEST_FEATURES + 4)
		return byte(v->features, off - REG_GUEST_FEATURES);
	if (off == REG_QUEUE_SELECT || off == REG_QUEUE_SELECT + 1)
		return byte(v->queue, off - REG_QUEUE_SELECT);
	if (off == REG_STATUS)
		return v->status;
	if (off == REG_ISR) {
		val = v->isr;
		v->isr = 0;
		return val;
	}
	if (off >= REG_COMMAND && off < REG_SECONDS)
		return byte(v->cmd, off - REG_COMMAND);
	if (off >= REG_SECONDS && off < REG_END)
		return get_time(v, off);
	return 0;
}

static uint32_t
vmmci_read(void *dev, uint16_t port, unsigned int size)
{
	struct vmmci *v = dev;
	uint32_t val = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		val |= (uint32_t)get(v, port + i) << 8 * i;
	update(v);
	return val;
}

static void
set(uint32_t *reg, unsigned int i, uint8_t val)
{
	*reg = (*reg & ~(0xffU << 8 * i)) | (uint32_t)val << 8 * i;
}

static void
put(struct vmmci *v, unsigned int off, uint8_t val)
{
	uint32_t queue = v->queue;

	if (off >= REG_GUEST_FEATURES && off < REG_GUEST_FEATURES + 4) {
		set(&v->features, off - REG_GUEST_FEATURES, val);
		v->features &= FEATURES;
	} else if (off == REG_QUEUE_SELECT || off == REG_QUEUE_SELECT + 1) {
		set(&queue, off - REG_QUEUE_SELECT, val);
		v->queue = (uint16_t)queue;
	} else if (off == REG_STATUS && val == 0) {
		reset(v);
	} else if (off == REG_STATUS) {
		v->status = val;
	}
}

/* A command is what is written from its first byte on. */
static void
vmmci_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	struct vmmci *v = dev;
	unsigned int i;

	for (i = 0; i < size; i++) {
		if (port + i == REG_COMMAND)
			command(v, val >> 8 * i);
		put(v, port + i, byte(val, i));
	}
	update(v);
}

static uint64_t
vmmci_where(void *dev)
{
	const struct vmmci *v = dev;

	return pci_bar_addr(v->pci, 0);
}

static const struct device_ops vmmci_io = {
	.name = "vmmci",
	.len = VMMCI_IO_LEN,
	.width = 4,
	.read = vmmci_read,
	.write = vmmci_write,
};

/* --- the host's side -------------------------------------------------- */

/* Where firmware would put it, for guests that start without one. */
static int
function(struct vmmci *v, struct pci *p)
{
	static const struct pci_ids ids = {
		.vendor = 0x0b5d,
		.device = 0x0777,
		.subvendor = 0x0b5d,
		.subdevice = 0xffff,
		.class = 0x078000,
	};

	if ((v->pci = pci_add(p, VMMCI_SLOT, 0, &ids)) == NULL ||
	    pci_bar(v->pci, 0, VMMCI_IO_LEN, PCI_BAR_IO) == -1)
		return -1;
	pci_set(v->pci, CFG_BAR0, 4, VMMCI_IO | 1);
	pci_set(v->pci, CFG_COMMAND, 2, CMD_IO);
	pci_set(v->pci, CFG_INTLINE, 1, pci_irq(VMMCI_SLOT));
	pci_set(v->pci, CFG_INTPIN, 1, 1);
	pci_on_write(v->pci, config_written, v);
	return 0;
}

struct vmmci *
vmmci_new(struct bus *b, const struct machine *m, struct pci *p,
    const struct vmmci_ops *ops)
{
	struct vmmci *v;

	if ((v = calloc(1, sizeof(*v))) == NULL)
		return NULL;
	v->b = b;
	v->m = m;
	v->ops = *ops;
	if (timer_init(&v->timer, m->base, fire, v) == -1 ||
	    function(v, p) == -1 ||
	    bus_add_moving(b, &vmmci_io, v, vmmci_where) == -1) {
		vmmci_free(v);
		return NULL;
	}
	return v;
}

void
vmmci_free(struct vmmci *v)
{
	if (v == NULL)
		return;
	timer_fini(&v->timer);
	free(v);
}

/* Bus lock held. */
static int
listens(const struct vmmci *v, enum vmmci_cmd cmd)
{
	if ((v->status & STATUS_DRIVER_OK) == 0)
		return 0;
	return cmd != VMMCI_SYNCRTC || (v->features & VMMCI_F_SYNCRTC) != 0;
}

/* There is something to tell.  Bus lock held. */
static int
is_news(const struct vmmci *v, enum vmmci_cmd cmd)
{
	if (cmd != VMMCI_SYNCRTC || v->cmd == VMMCI_NONE)
		return cmd != v->cmd;
	/* Who does not answer is told again. */
	return v->cmd == VMMCI_SYNCRTC && (v->features & VMMCI_F_ACK) == 0;
}

int
vmmci_send(struct vmmci *v, enum vmmci_cmd cmd)
{
	int ok;

	bus_lock(v->b);
	ok = listens(v, cmd);
	if (ok && is_news(v, cmd)) {
		v->cmd = cmd;
		v->isr |= ISR_CONFIG;
		if (cmd != VMMCI_SYNCRTC)
			wait_for(v, WAIT_ANSWER, VMMCI_ANSWER_MS);
		update(v);
	}
	bus_unlock(v->b);
	return ok;
}

void
vmmci_pause(struct vmmci *v)
{
	uint64_t now;

	bus_lock(v->b);
	if (!v->paused && v->wait != WAIT_NOTHING) {
		now = clock_ns(CLOCK_MONOTONIC);
		v->left = now < v->deadline ? v->deadline - now : 1;
		timer_arm(&v->timer, 0);
	}
	v->paused = 1;
	bus_unlock(v->b);
}

void
vmmci_unpause(struct vmmci *v)
{
	bus_lock(v->b);
	if (v->paused && v->wait != WAIT_NOTHING) {
		v->deadline = clock_ns(CLOCK_MONOTONIC) + v->left;
		timer_arm(&v->timer, v->left);
	}
	v->paused = 0;
	bus_unlock(v->b);
	if (vmmci_send(v, VMMCI_SYNCRTC))
		log_debug("vmmci: set your clock");
}
