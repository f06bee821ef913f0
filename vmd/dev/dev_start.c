/*
 * How a device process starts: what it is, from vmm; where its queues are,
 * from the vm process; then its sandbox, before the first byte of a guest or
 * an image.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <unistd.h>
#include <bsd/unistd.h>

#include "lib/proto/msg.h"
#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "lib/util/slim.h"
#include "vmd/dev/chan.h"
#include "vmd/dev/dev_int.h"

/* From vmm: what we are. */
void
dev_get_start(struct dev *d)
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
void
dev_get_hello(struct dev *d)
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
void
dev_make_io(struct dev *d)
{
	int fds[3 + DEV_MAXQUEUES + VM_MAX_LAYERS];
	unsigned int i, depth;
	size_t n = 0, j;

	fds[n++] = DEV_CHANNEL_VMM;
	fds[n++] = DEV_CHANNEL_VM;
	for (i = 0; i < d->nqueues; i++) {
		d->queues[i].polled.done = dev_kicked;
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
	d->vmm_polled.done = dev_vmm_spoke;
	d->vm_polled.done = dev_vm_spoke;
	io_poll(d->io, &d->vmm_polled, 0);
	io_poll(d->io, &d->vm_polled, 1);
	for (i = 0; i < d->nqueues; i++)
		io_watch(d->io, &d->queues[i].polled, d->queues[i].file);
	if (d->ops->tick == NULL)
		return;
	d->ticked.done = ticked;
	io_watch(d->io, &d->ticked, (int)n - 1);
}

void
dev_lock_up(void)
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

int
dev_open(struct dev *d)
{
	struct dev_ready r = { 0 };
	char why[DEV_WHYLEN] = "";

	narrow(d->ops->filter_open);
	if (d->ops->open(d, &r, why) == -1) {
		r.error = why;
		dev_say_ready(d, IMSG_DEVOP_READY, &r);
		return -1;
	}
	spin_ready(&d->spin, d->ops->spin_us);
	slim();
	narrow(io_is_ring(d->io) ? d->ops->filter : d->ops->filter_sync);
	dev_send_line(d, IMSG_CTL_READY, LOG_DEBUG, "ready");
	/* Later the guest has its share in it. */
	if (!(d->hello.flags & DEVF_REPLACED))
		virtio_page_write(&d->page->virtio, 0, r.config, r.config_len);
	dev_say_ready(d, IMSG_DEVOP_READY, &r);
	return 0;
}
