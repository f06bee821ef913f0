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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <unistd.h>
#include <bsd/stdlib.h>
#include <bsd/unistd.h>

#include "lib/proto/msg.h"
#include "lib/proto/vminfo.h"
#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "lib/util/slim.h"
#include "vmd/dev/chan.h"
#include "vmd/dev/dev.h"

/* --- log ----------------------------------------------------------------- */

static void
send_line(struct dev *d, uint32_t type, int prio, const char *line)
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
	send_line(arg, IMSG_CTL_LOG, prio, line);
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

static void
say_ready(struct dev *d, uint32_t type, const struct dev_ready *r)
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

/* The guest broke a ring; it has to reset us. */
static void
broken(struct dev *d, unsigned int q)
{
	if (d->broken)
		return;
	d->broken = 1;
	log_warnx("the guest broke queue %u: it has to reset the device", q);
	say(d, IMSG_DEVOP_BROKEN);
}

/* --- queues ---------------------------------------------------------------- */

void
dev_begin(struct dev *d)
{
	d->busy++;
}

void
dev_end(struct dev *d, struct dev_vq *q, uint16_t head, uint32_t len)
{
	d->busy--;
	/* After a reset nobody wants to know. */
	if (d->resetting)
		return;
	if (vq_push(&q->vq, head, len) == -1)
		broken(d, q->n);
	else
		q->dirty = 1;
}

/* Show the guest what was done. */
static void
publish(struct dev *d)
{
	uint64_t one = 1;
	unsigned int i;

	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];

		if (!q->dirty)
			continue;
		q->dirty = 0;
		if (!vq_publish(&q->vq))
			continue;
		virtio_isr_set(&d->page->virtio, VIRTIO_ISR_QUEUE);
		/* Full: it has been told often enough. */
		if (write(q->call, &one, sizeof(one)) == -1 && errno != EAGAIN)
			fatal("call");
	}
}

static int
may_work(const struct dev *d)
{
	return d->active && !d->paused && !d->pausing && !d->broken &&
	    !d->ending;
}

/* As long as it is awake the guest need not kick. */
void
dev_work(struct dev *d, struct dev_vq *q)
{
	if (!q->on || !may_work(d))
		return;
	if (!q->awake)
		vq_kick_off(&q->vq);
	q->awake = 1;
	if (d->ops->queue(d, q) == -1)
		broken(d, q->n);
}

static int
waits(struct dev *d, struct dev_vq *q)
{
	return d->ops->waits == NULL ? vq_waits(&q->vq) : d->ops->waits(d, q);
}

static int
last_look(struct dev *d, struct dev_vq *q)
{
	return d->ops->rest == NULL ? vq_kick_on(&q->vq) : d->ops->rest(d, q);
}

/* Has the guest or the kernel something for us? */
static int
found(void *arg)
{
	struct dev *d = arg;
	unsigned int i;

	for (i = 0; i < d->nqueues; i++)
		if (d->queues[i].awake && waits(d, &d->queues[i]))
			return 1;
	return io_ready(d->io) != 0;
}

/* Does it pay to look for a while before we let the guest kick again? */
static int
look(struct dev *d)
{
	unsigned int i;

	for (i = 0; i < d->nqueues; i++)
		if (d->queues[i].awake)
			break;
	if (i == d->nqueues || !may_work(d) || io_ready(d->io) == -1)
		return 0;
	return spin_wait(&d->spin, found, d);
}

/*
 * After `n' operations have ended: look for more, or, if nothing moves, let
 * the guest kick again.  1 if there is nothing to do but wait.
 */
static int
rest(struct dev *d, int n)
{
	unsigned int i;
	int idle = 1;

	if (n == 0)
		n = look(d);
	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];

		if (!q->awake)
			continue;
		if (!q->on || !may_work(d)) {
			q->awake = 0;
			continue;
		}
		if (n == 0 && !last_look(d, q)) {
			q->awake = 0;
			continue;
		}
		vq_kick_off(&q->vq);
		dev_work(d, q);
		idle = 0;
	}
	return idle;
}

static void
work_all(struct dev *d)
{
	unsigned int i;

	for (i = 0; i < d->nqueues; i++)
		dev_work(d, &d->queues[i]);
}

static void
kicked(struct io_op *op, int res)
{
	struct dev_vq *q = (struct dev_vq *)((char *)op -
	    offsetof(struct dev_vq, polled));
	uint64_t n;

	if (res < 0)
		fatalx("kick: %s", strerror(-res));
	/* The ring tells of each kick; nobody looks at their number. */
	if (!io_is_ring(q->dev->io) && read(q->kick, &n, sizeof(n)) == -1 &&
	    errno != EAGAIN)
		fatal("kick");
	dev_work(q->dev, q);
}

/* The chains that the one before us had taken, then the others. */
static int
start_queues(struct dev *d, const struct dev_activate *a)
{
	struct vq_conf c = { .mem = &d->mem, .features = a->features };
	unsigned int i;

	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];

		q->on = i < a->nqueues && a->queues[i].size != 0;
		q->awake = 0;
		/* Perhaps it died with an interrupt on its lips. */
		q->dirty = q->on && a->resume;
		if (!q->on)
			continue;
		if (a->queues[i].size > d->hello.queue_max)
			fatalx("queue %u: size", i);
		c.size = a->queues[i].size;
		c.desc = a->queues[i].desc;
		c.avail = a->queues[i].avail;
		c.used = a->queues[i].used;
		c.inflight = q->record;
		if (!a->resume)
			vq_inflight_clear(q->record, c.size);
		if (vq_init(&q->vq, &c) == -1) {
			log_warn("queue %u", i);
			q->on = q->dirty = 0;
			return -1;
		}
	}
	return 0;
}

static void
activate(struct dev *d, struct ibuf *body)
{
	struct dev_activate a;

	if (dev_activate_get(body, &a) == -1 || wire_end(body) == -1 ||
	    a.nqueues > d->nqueues)
		fatalx("bad ACTIVATE");
	if (d->active || d->resetting)
		fatalx("ACTIVATE while active");
	d->features = a.features;
	d->generation = a.generation;
	d->resumed = a.resume != 0;
	if (start_queues(d, &a) == -1 ||
	    (d->ops->activate != NULL && d->ops->activate(d) == -1)) {
		broken(d, 0);
		return;
	}
	d->active = 1;
	work_all(d);
}

/* --- orders ---------------------------------------------------------------- */

static void __attribute__((noreturn)) end(struct dev *d)
{
	struct dev_ready r = { 0 };
	char why[DEV_WHYLEN];

	publish(d);
	if (d->ops->close(d) == -1) {
		snprintf(why, sizeof(why), "flush: %s", strerror(errno));
		log_warnx("%s", why);
		r.error = why;
	}
	/* The vm process may be gone already. */
	log_set_sink(log_up, d);
	if (d->ending == 1)
		say_ready(d, IMSG_DEVOP_SHUTDOWN_DONE, &r);
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
		publish(d);
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
		activate(d, b);
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
		work_all(d);
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

static void
vm_spoke(struct io_op *op, int res)
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

static void
vmm_spoke(struct io_op *op, int res)
{
	struct dev *d = (struct dev *)((char *)op -
	    offsetof(struct dev, vmm_polled));

	if (res >= 0 && orders(d, &d->vmm, vmm_order))
		io_poll(d->io, op, 0);
	else
		_exit(1); /* nobody is left to care */
}

/* --- start ----------------------------------------------------------------- */

/* From vmm: what we are. */
static void
get_start(struct dev *d)
{
	struct ibuf body;
	struct imsg m;
	size_t n;
	int *fds;

	if (chan_recv(&d->vmm, &m, &body) == -1)
		fatal("vmm");
	n = imsg_get_fds(&m, &fds);
	if (imsg_get_type(&m) != IMSG_DEVOP_START ||
	    dev_start_get(&body, &d->start) == -1 ||
	    wire_get_fdlist(&body, &d->fds, fds, n) == -1 ||
	    wire_end(&body) == -1 || d->start.kind != d->ops->kind)
		fatalx("bad START");
	imsg_free(&m);
	if (d->ops->kind == DEV_VIOSCSI)
		setproctitle("-vmd: vm/%s/vioscsi", d->start.name);
	else
		setproctitle("-vmd: vm/%s/%s%u", d->start.name,
		    dev_kind_name(d->ops->kind), d->start.idx);
}

static void
map_page(struct dev *d, int fd)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	size_t size, record = DEV_PAGE_RECORD(d->hello.queue_max);
	struct stat st;
	unsigned int i;
	void *p;

	size = DEV_PAGE_SIZE(d->hello.nqueues, d->hello.queue_max);
	if (fstat(fd, &st) == -1 || (size_t)st.st_size != size ||
	    d->hello.page_size != size ||
	    (fcntl(fd, F_GET_SEALS) & seals) != seals)
		fatalx("shared page");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fatal("shared page");
	close(fd);
	d->page = p;
	for (i = 0; i < d->nqueues; i++)
		d->queues[i].record = (void *)((char *)p + DEV_PAGE_RECORDS +
		    i * record);
}

/* From vm: memory and queues. */
static void
get_hello(struct dev *d)
{
	struct ibuf body;
	struct imsg m;
	unsigned int i;
	size_t n;
	int *fds;

	if (chan_recv(&d->vm, &m, &body) == -1)
		fatal("vm");
	n = imsg_get_fds(&m, &fds);
	if (imsg_get_type(&m) != IMSG_DEVOP_HELLO ||
	    dev_hello_get(&body, &d->hello) == -1 || wire_end(&body) == -1 ||
	    d->hello.nqueues == 0 || n != DEV_HELLO_FDS(d->hello.nqueues))
		fatalx("bad HELLO");
	d->nqueues = d->hello.nqueues;
	d->mem = d->hello.mem;
	if (gmem_attach(&d->mem, &fds[0]) == -1)
		fatal("guest memory");
	/* Mapped: the descriptor is of no more use. */
	fd_close(&d->mem.fd);
	map_page(d, fds[1]);
	fds[1] = -1;
	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];

		q->dev = d;
		q->n = i;
		q->kick = fds[2 + 2 * i];
		q->call = fds[3 + 2 * i];
		fds[2 + 2 * i] = fds[3 + 2 * i] = -1;
	}
	imsg_free(&m);
}

static void
ticked(struct io_op *op, int res)
{
	struct dev *d = (struct dev *)((char *)op -
	    offsetof(struct dev, ticked));
	uint64_t n;

	if (res < 0)
		fatalx("timer: %s", strerror(-res));
	if (!io_is_ring(d->io) && read(d->timer, &n, sizeof(n)) == -1 &&
	    errno != EAGAIN)
		fatal("timer");
	d->ops->tick(d);
}

static int
make_timer(unsigned int seconds)
{
	const struct itimerspec its = { { seconds, 0 }, { seconds, 0 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd == -1 || timerfd_settime(fd, 0, &its, NULL) == -1)
		fatal("timer");
	return fd;
}

/* All that is waited for or read, by its place in the io. */
static void
make_io(struct dev *d)
{
	int fds[3 + DEV_MAXQUEUES + VM_MAX_LAYERS];
	unsigned int i, depth;
	size_t n = 0, j;

	fds[n++] = DEV_CHANNEL_VMM;
	fds[n++] = DEV_CHANNEL_VM;
	for (i = 0; i < d->nqueues; i++) {
		d->queues[i].polled.done = kicked;
		d->queues[i].file = (int)n;
		fds[n++] = d->queues[i].kick;
	}
	d->file0 = (int)n;
	for (j = 0; j < d->fds.n && j < VM_MAX_LAYERS; j++)
		fds[n++] = d->fds.ents[j].fd;
	if (d->ops->tick != NULL)
		fds[n++] = d->timer = make_timer(d->ops->tick_s);
	depth = 3 + d->nqueues * (1 + d->ops->depth);
	if ((d->io = io_new(depth, fds, n, 0)) == NULL)
		fatal("io");
	hostile_ring(d->io);
	d->vmm_polled.done = vmm_spoke;
	d->vm_polled.done = vm_spoke;
	io_poll(d->io, &d->vmm_polled, 0);
	io_poll(d->io, &d->vm_polled, 1);
	for (i = 0; i < d->nqueues; i++)
		io_watch(d->io, &d->queues[i].polled, d->queues[i].file);
	if (d->ops->tick == NULL)
		return;
	d->ticked.done = ticked;
	io_watch(d->io, &d->ticked, (int)n - 1);
}

static void
lock_up(void)
{
	const char *what = "sandbox";
	int rc;

	if (sandbox_lock(&what) == -1)
		fatal("%s", what);
	if ((rc = sandbox_landlock(0)) == -1)
		fatal("landlock");
	if (rc == 1)
		log_info("this kernel has no landlock");
}

static void
narrow(const char *filter)
{
	int rc;

	if ((rc = sandbox_seccomp(filter, -1)) == -1)
		fatal("seccomp");
	if (rc == 1)
		log_info("this kernel has no seccomp");
}

/* Open the device: 0 once it is ready, -1 if it cannot be. */
static int
open_device(struct dev *d)
{
	struct dev_ready r = { 0 };
	char why[DEV_WHYLEN] = "";

	narrow(d->ops->filter_open);
	if (d->ops->open(d, &r, why) == -1) {
		r.error = why;
		say_ready(d, IMSG_DEVOP_READY, &r);
		return -1;
	}
	spin_ready(&d->spin);
	slim();
	narrow(io_is_ring(d->io) ? d->ops->filter : d->ops->filter_sync);
	send_line(d, IMSG_CTL_READY, LOG_DEBUG, "ready");
	/* Later the guest has its share in it. */
	if (!(d->hello.flags & DEVF_REPLACED))
		virtio_page_write(&d->page->virtio, 0, r.config, r.config_len);
	say_ready(d, IMSG_DEVOP_READY, &r);
	return 0;
}

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
	get_start(d);
	lock_up();
	get_hello(d);
	make_io(d);
	if (open_device(d) == -1)
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
			publish(d);
		settle(d);
		idle = rest(d, n);
	}
}
