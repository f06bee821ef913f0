/*
 * The entropy device of a guest, in the vm process.  The guest offers
 * buffers; the main thread fills them from the host's generator, no faster
 * than a rate, so that a guest cannot keep it busy.  The vcpu threads come
 * here when the driver starts or resets the device.  Virtio 1.2, 5.4.
 *
 * Locks: the bus lock, which vcpu threads hold, comes before ours.
 */
#include <sys/eventfd.h>
#include <sys/random.h>

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "lib/virtio/vq.h"
#include "vmd/vm/timer.h"
#include "vmd/vm/viornd.h"

#define DEVICE_ID   4
#define CLASS	    0x088000 /* a system peripheral like no other */
#define QUEUE_SIZE  64
#define MAXSEGMENTS 160 /* two tables, and some that straddle ranges */
#define CHAIN_COST  64	/* bytes that even an empty chain counts for */
#define NS	    1000000000ULL

struct viornd {
	struct virtio *v;
	const struct gmem *mem;
	const struct vq_dirty *dirty;
	struct virtio_page page;
	int kick, call, config_call, resample;
	struct event *kick_ev;
	struct timer timer;
	int paused; /* main thread */

	uint64_t rate;	 /* bytes a second; the bucket holds a quarter */
	uint64_t tokens; /* bytes that may be given now */
	uint64_t then;	 /* ns: when that was so */

	pthread_mutex_t lock;
	int active; /* under lock, with all below */
	struct vq q;
	struct iovec iov[MAXSEGMENTS];
};

/* --- rate ---------------------------------------------------------------- */

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static uint64_t
burst(const struct viornd *r)
{
	return r->rate / 4 > VIORND_CHAIN ? r->rate / 4 : VIORND_CHAIN;
}

/* Take `cost' out of the bucket; or the time to wait, in ns. */
static uint64_t
spend(struct viornd *r, uint64_t cost)
{
	uint64_t now = now_ns(), add;

	/* A second fills it. */
	add = now - r->then >= NS ? burst(r) : (now - r->then) * r->rate / NS;
	if (add > 0) {
		r->then = now;
		r->tokens += add;
	}
	if (r->tokens > burst(r))
		r->tokens = burst(r);
	if (r->tokens < cost)
		return (cost - r->tokens) * NS / r->rate + 1;
	r->tokens -= cost;
	return 0;
}

/* --- queue: main thread -------------------------------------------------- */

/* The first `len' bytes of `c', which has them; returns how many it were. */
static uint32_t
fill(const struct vq_chain *c, uint32_t len)
{
	uint32_t done = 0;
	uint16_t i = 0;
	size_t at = 0, want;
	ssize_t n;

	while (done < len) {
		want = c->wr[i].iov_len - at;
		if (want > len - done)
			want = len - done;
		n = getrandom((uint8_t *)c->wr[i].iov_base + at, want, 0);
		if (n == -1)
			break;
		done += (uint32_t)n;
		at += (size_t)n;
		if (at == c->wr[i].iov_len) {
			at = 0;
			i++;
		}
	}
	return done;
}

enum outcome {
	IDLE,
	DONE,
	WAIT,
	BROKEN
};

/* One chain.  Lock held. */
static enum outcome
serve(struct viornd *r)
{
	struct vq_chain c = { .iov = r->iov, .max = MAXSEGMENTS };
	uint32_t len;
	uint64_t wait;

	switch (vq_next(&r->q, &c)) {
	case -1:
		return BROKEN;
	case 0:
		return vq_kick_on(&r->q) ? DONE : IDLE;
	}
	len = c.wrlen < VIORND_CHAIN ? c.wrlen : VIORND_CHAIN;
	if ((wait = spend(r, len > CHAIN_COST ? len : CHAIN_COST)) > 0) {
		vq_untake(&r->q, c.head);
		timer_arm(&r->timer, wait);
		return WAIT;
	}
	len = fill(&c, len);
	vq_wrote(&r->q, c.wr, c.nwr, 0, len);
	vq_push(&r->q, c.head, len);
	if (vq_publish(&r->q))
		virtio_call(r->v, 0);
	return DONE;
}

static void
again(struct viornd *r)
{
	uint64_t one = 1;

	if (write(r->kick, &one, sizeof(one)) == -1 && errno != EAGAIN)
		log_warn("viornd: kick");
}

/* A queue's worth, then let others have the thread. */
static void
run(struct viornd *r)
{
	enum outcome o = DONE;
	int i;

	if (r->paused)
		return;
	for (i = 0; i < QUEUE_SIZE && o == DONE; i++) {
		pthread_mutex_lock(&r->lock);
		o = r->active ? serve(r) : IDLE;
		if (o == BROKEN)
			r->active = 0;
		pthread_mutex_unlock(&r->lock);
	}
	if (o == BROKEN) {
		log_info("viornd: the guest broke its queue");
		virtio_broken(r->v);
	} else if (o == DONE)
		again(r);
}

static void
on_kick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) == -1 && errno != EAGAIN)
		log_warn("viornd: kick");
	run(arg);
}

static void
on_timer(void *arg)
{
	run(arg);
}

void
viornd_pause(struct viornd *r, int paused)
{
	r->paused = paused;
	if (!paused)
		again(r);
}

/* --- driver: vcpu threads ------------------------------------------------ */

/* The queue may be kicked before this returns, or never again. */
static int
rnd_activate(void *arg, uint64_t features, const struct virtio_queue *q,
    unsigned int n)
{
	struct viornd *r = arg;
	const struct vq_conf c = { .mem = r->mem,
		.size = q->size,
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used,
		.features = features,
		.dirty = r->dirty };
	int rc = 0;

	if (!q->enabled)
		return 0;
	pthread_mutex_lock(&r->lock);
	if ((rc = vq_init(&r->q, &c)) == 0)
		r->active = 1;
	pthread_mutex_unlock(&r->lock);
	again(r);
	return rc;
}

/* With the lock nobody is at work on a chain. */
static int
rnd_reset(void *arg)
{
	struct viornd *r = arg;

	pthread_mutex_lock(&r->lock);
	r->active = 0;
	timer_arm(&r->timer, 0);
	pthread_mutex_unlock(&r->lock);
	return 1;
}

/* --- life ---------------------------------------------------------------- */

static int
make_fd(int *fd)
{
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd == -1 ? -1 : 0;
}

static struct virtio *
make_device(struct viornd *r, const struct virtio_host *h)
{
	const struct virtio_conf c = { .name = "viornd",
		.slot = VIORND_SLOT,
		.device = DEVICE_ID,
		.class = CLASS,
		.features = VQ_F_INDIRECT | VQ_F_EVENT_IDX,
		.nqueues = 1,
		.queue_max = QUEUE_SIZE,
		.page = &r->page,
		.kick = { r->kick },
		.call = { r->call },
		.config_call = r->config_call,
		.resample = r->resample,
		.backend = { .activate = rnd_activate,
		    .reset = rnd_reset,
		    .arg = r } };

	return virtio_new(h, &c);
}

static int
init(struct viornd *r, const struct virtio_host *h)
{
	if (timer_init(&r->timer, h->base, on_timer, r) == -1 ||
	    make_fd(&r->kick) == -1 || make_fd(&r->call) == -1 ||
	    make_fd(&r->config_call) == -1 || make_fd(&r->resample) == -1)
		return -1;
	r->kick_ev = event_new(h->base, r->kick, EV_READ | EV_PERSIST, on_kick,
	    r);
	if (r->kick_ev == NULL || event_add(r->kick_ev, NULL) == -1)
		return -1;
	r->v = make_device(r, h);
	return r->v == NULL ? -1 : 0;
}

struct viornd *
viornd_new(const struct virtio_host *h, uint32_t rate)
{
	struct viornd *r;

	if (rate < VIORND_CHAIN) {
		errno = EINVAL;
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->mem = h->mem;
	r->dirty = h->dirty;
	r->rate = rate;
	r->tokens = burst(r);
	r->then = now_ns();
	r->kick = r->call = r->config_call = r->resample = -1;
	r->timer.fd = -1;
	pthread_mutex_init(&r->lock, NULL);
	if (init(r, h) == -1) {
		viornd_free(r);
		return NULL;
	}
	return r;
}

void
viornd_free(struct viornd *r)
{
	int save = errno;

	if (r == NULL)
		return;
	virtio_free(r->v);
	if (r->kick_ev != NULL)
		event_free(r->kick_ev);
	timer_fini(&r->timer);
	fd_close(&r->kick);
	fd_close(&r->call);
	fd_close(&r->config_call);
	fd_close(&r->resample);
	pthread_mutex_destroy(&r->lock);
	free(r);
	errno = save;
}
