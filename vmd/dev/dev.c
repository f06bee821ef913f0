/*
 * A device process: one virtio device of one guest.
 *
 * vmm says what the device is and hands it an image or a tap; the vm process
 * says where guest memory and the queues are.  Then the process locks itself
 * up, opens what it was given, and works on the queues: kicked by eventfds
 * of the guest, interrupting by others, with the vm process out of the way.
 *
 * Its loop is the io: kicks, both channels and the device's own I/O are
 * operations of one ring.  Both processes above are more trusted than this
 * one, so that nonsense from them is fatal; what the guest wrote never is.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <bsd/unistd.h>

#include "lib/proto/msg.h"
#include "lib/proto/vminfo.h"
#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "vmd/dev/chan.h"
#include "vmd/dev/dev_int.h"

/* --- log ----------------------------------------------------------------- */

void
dev_send_line(struct dev *d, uint32_t type, int prio, const char *line)
{
	struct ibuf *b = log_line_new(prio, line);

	if (b == NULL)
		return;
	if (type == IMSG_CTL_READY && wire_put_u32(b, sandbox_own()) == -1)
		ibuf_free(b);
	else
		chan_send(&d->vmm, type, b);
}

static void
log_up(void *arg, int prio, const char *line)
{
	dev_send_line(arg, IMSG_CTL_LOG, prio, line);
}

void
dev_count(struct dev *d, enum dev_stat s, uint64_t n)
{
	d->page->stats[s] += n;
}

/* --- words to the vm process ---------------------------------------------- */

static void
say(struct dev *d, uint32_t type)
{
	if (chan_send(&d->vm, type, NULL) == -1)
		fatal("vm");
}

static void
say_order(struct dev *d, uint32_t type, const struct dev_order *o)
{
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_order_put(b, o) == -1 || chan_send(&d->vm, type, b) == -1)
		fatal("vm");
}

void
dev_say_ready(struct dev *d, uint32_t type, const struct dev_ready *r)
{
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_ready_put(b, r) == -1 || chan_send(&d->vm, type, b) == -1)
		fatal("vm");
}

void
dev_config_changed(struct dev *d)
{
	say(d, IMSG_DEVOP_CONFIG);
}

void
dev_broken(struct dev *d, unsigned int q)
{
	if (d->broken)
		return;
	d->broken = 1;
	log_warnx("the guest broke queue %u: it has to reset the device", q);
	say(d, IMSG_DEVOP_BROKEN);
}

/* --- orders ---------------------------------------------------------------- */

static void __attribute__((noreturn)) end(struct dev *d)
{
	struct dev_ready r = { 0 };
	char why[DEV_WHYLEN];

	dev_publish(d);
	if (d->ops->close(d) == -1) {
		snprintf(why, sizeof(why), "flush: %s", strerror(errno));
		log_warnx("%s", why);
		r.error = why;
	}
	/* The vm process may be gone already. */
	log_set_sink(log_up, d);
	if (d->ending == 1)
		dev_say_ready(d, IMSG_DEVOP_SHUTDOWN_DONE, &r);
	_exit(0);
}

/* Nothing is in flight: do what waited for that. */
static void
settle(struct dev *d)
{
	unsigned int i;

	if (d->busy > 0)
		return;
	if (d->resetting) {
		d->resetting = 0;
		d->broken = 0;
		for (i = 0; i < d->nqueues; i++) {
			d->queues[i].on = 0;
			d->queues[i].dirty = 0;
			vq_inflight_clear(d->queues[i].record, 0);
		}
		say_order(d, IMSG_DEVOP_RESET_DONE, &d->reset);
	}
	if (d->pausing) {
		dev_publish(d);
		d->pausing = 0;
		d->paused = 1;
		say_order(d, IMSG_DEVOP_PAUSED, &d->pause);
	}
	if (d->ending)
		end(d);
}

static void
get_order(struct ibuf *b, struct dev_order *o)
{
	if (dev_order_get(b, o) == -1 || wire_end(b) == -1)
		fatalx("bad order");
}

static void
config_write(struct dev *d, struct ibuf *b)
{
	struct dev_order o;

	get_order(b, &o);
	if (d->ops->config_write != NULL)
		d->ops->config_write(d, o.off, o.size, o.val);
}

static void
vm_order(struct dev *d, uint32_t type, struct ibuf *b)
{
	switch (type) {
	case IMSG_DEVOP_ACTIVATE:
		dev_activate(d, b);
		break;
	case IMSG_DEVOP_RESET:
		get_order(b, &d->reset);
		d->active = 0;
		d->resetting = 1;
		break;
	case IMSG_DEVOP_PAUSE:
		get_order(b, &d->pause);
		d->pausing = 1;
		break;
	case IMSG_DEVOP_RESUME:
		d->paused = d->pausing = 0;
		dev_work_all(d);
		break;
	case IMSG_DEVOP_CONFIG_WRITE:
		config_write(d, b);
		break;
	case IMSG_DEVOP_SHUTDOWN:
		d->ending = 1;
		break;
	default:
		fatalx("%s from vm", msg_name(type));
	}
}

static void
vmm_order(struct dev *d, uint32_t type, struct ibuf *b)
{
	struct vmop_id v;

	if (type != IMSG_CTL_VERBOSE || vmop_id_get(b, &v) == -1)
		fatalx("%s from vmm", msg_name(type));
	log_set_verbose((int)v.arg);
	vmop_id_fini(&v);
}

typedef void (*order_fn)(struct dev *d, uint32_t type, struct ibuf *b);

/* Act on every message that was read. */
static void
act(struct dev *d, struct imsgbuf *ib, order_fn fn)
{
	struct ibuf body;
	struct imsg m;
	ssize_t n;
	int *fds;

	while ((n = imsg_get(ib, &m)) > 0) {
		if (chan_body(&m, &body) == -1)
			fatalx("short message");
		if (imsg_get_fds(&m, &fds) > 0)
			fatalx("descriptors that nobody wants");
		fn(d, imsg_get_type(&m), &body);
		if (ibuf_size(&body) > 0)
			fatalx("message too long");
		imsg_free(&m);
	}
	if (n == -1)
		fatal("channel");
}

/* Read once; 0 at the end of the channel. */
static int
orders(struct dev *d, struct imsgbuf *ib, order_fn fn)
{
	if (imsgbuf_read(ib) != 1)
		return 0;
	act(d, ib, fn);
	return 1;
}

void
dev_vm_spoke(struct io_op *op, int res)
{
	struct dev *d = (struct dev *)((char *)op -
	    offsetof(struct dev, vm_polled));

	if (res >= 0 && orders(d, &d->vm, vm_order)) {
		io_poll(d->io, op, 1);
		return;
	}
	/* It is gone, and the guest with it: keep what was written. */
	d->ending = 2;
	d->active = 0;
}

void
dev_vmm_spoke(struct io_op *op, int res)
{
	struct dev *d = (struct dev *)((char *)op -
	    offsetof(struct dev, vmm_polled));

	if (res >= 0 && orders(d, &d->vmm, vmm_order))
		io_poll(d->io, op, 0);
	else
		_exit(1); /* nobody is left to care */
}

/* --- life ------------------------------------------------------------------ */

static void
init(struct dev *d)
{
	spin_begin(&d->spin);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	closefrom(DEV_CHANNEL_VM + 1);
	if (fcntl(DEV_CHANNEL_VMM, F_SETFD, FD_CLOEXEC) == -1 ||
	    fcntl(DEV_CHANNEL_VM, F_SETFD, FD_CLOEXEC) == -1)
		_exit(1); /* started by hand */
	chan_init(&d->vmm, DEV_CHANNEL_VMM);
	chan_init(&d->vm, DEV_CHANNEL_VM);
	log_init(dev_kind_name(d->ops->kind), LOG_TO_STDERR, 0);
	log_set_sink(log_up, d);
	if (sandbox_traps(DEV_CHANNEL_VMM, NULL) == -1)
		fatal("SIGSYS");
	hostile_init();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fatal("PR_SET_PDEATHSIG");
}

int
dev_main(const struct dev_ops *ops)
{
	static struct dev dev;
	struct dev *d = &dev;
	int n, idle = 0;

	d->ops = ops;
	init(d);
	dev_get_start(d);
	dev_lock_up();
	dev_get_hello(d);
	dev_make_io(d);
	if (dev_open(d) == -1)
		_exit(0);
	/* What came along with the first messages. */
	act(d, &d->vmm, vmm_order);
	act(d, &d->vm, vm_order);
	for (;;) {
		if ((n = io_run(d->io, idle)) == -1)
			fatal("io");
		if (idle)
			spin_woke(&d->spin);
		if (!d->resetting)
			dev_publish(d);
		settle(d);
		idle = dev_rest(d, n);
	}
}
