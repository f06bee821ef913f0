#ifndef DEVS_TEST_H
#define DEVS_TEST_H

/*
 * vmd/vm/devs*.c between a vmm, device processes and a transport that a test
 * plays: its own thread is the main thread of a vm process.
 */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>
#include <cmocka.h>

#include "lib/proto/vmspec.h"
#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/vm/devs_int.h"

#define DEADLINE 20  /* s for anything to happen */
#define SOON_MS	 100 /* a deadline of devs, where one is to pass */
#define MAXGOT	 64
#define NDEVS	 2
#define FEATURES 0x100000040ULL
#define MEMORY	 65536

/* A message that came; of its body only what tests ask for. */
struct got {
	uint32_t type;
	size_t nfds;
	struct dev_order o;
	struct dev_activate a;
	struct dev_hello h;
	struct dev_id id;
	char text[128];
};

/* Our end of a channel. */
struct end {
	int fd; /* -1: closed */
	struct imsgbuf ib;
	struct event *ev;
	struct got got[MAXGOT];
	unsigned int n, seen;
	unsigned int total; /* of those beyond MAXGOT, too */
};

/* --- the transport -------------------------------------------------------- */

struct virtio {
	struct virtio_conf conf;
	unsigned int resets, changes, breaks;
};

static struct virtio transports[NDEVS];
static unsigned int ntransports;

struct virtio *
virtio_new(const struct virtio_host *h, const struct virtio_conf *c)
{
	struct virtio *v = &transports[ntransports++];

	assert_true(ntransports <= NDEVS);
	memset(v, 0, sizeof(*v));
	v->conf = *c;
	return v;
}

void
virtio_reset_done(struct virtio *v)
{
	v->resets++;
}

void
virtio_config_changed(struct virtio *v)
{
	v->changes++;
}

void
virtio_broken(struct virtio *v)
{
	v->breaks++;
}

/* --- the machine around it ---------------------------------------------------- */

static struct {
	struct event_base *base;
	struct event *guard;
	int late;
	struct gmem mem;
	struct peer *up;
	const char *up_why; /* its channel ended: why */
	unsigned int up_ended;
	struct end vmm;
	struct end dev[NDEVS];
	struct devs *ds;
	unsigned int nready, npaused, nended;
	char ready[256], paused[256]; /* the errors; "": none */
} t;

static inline void
on_ready(void *arg, const char *error)
{
	t.nready++;
	snprintf(t.ready, sizeof(t.ready), "%s", error == NULL ? "" : error);
}

static inline void
on_paused(void *arg, const char *error)
{
	t.npaused++;
	snprintf(t.paused, sizeof(t.paused), "%s", error == NULL ? "" : error);
}

static inline void
on_ended(void *arg)
{
	t.nended++;
}

static inline void
on_late(int fd, short ev, void *arg)
{
	t.late = 1;
}

/* Run the loop until it is so. */
#define UNTIL(c)                                                               \
	do {                                                                   \
		const struct timeval tv_ = { DEADLINE, 0 };                    \
		event_add(t.guard, &tv_);                                      \
		while (!(c)) {                                                 \
			event_base_loop(t.base, EVLOOP_ONCE);                  \
			if (t.late)                                            \
				fail_msg("never: %s", #c);                     \
		}                                                              \
		event_del(t.guard);                                            \
	} while (0)

/* All that is on its way arrives: everything is in this process. */
static inline void
run(void)
{
	int i;

	for (i = 0; i < 8; i++)
		event_base_loop(t.base, EVLOOP_NONBLOCK);
}

/* --- ends ------------------------------------------------------------------------ */

static inline void
end_close(struct end *e)
{
	if (e->fd == -1)
		return;
	event_free(e->ev);
	imsgbuf_clear(&e->ib);
	fd_close(&e->fd);
}

static inline void
keep(struct end *e, struct imsg *im)
{
	struct got *g = &e->got[e->n];
	struct ibuf b;
	int *fds;

	e->total++;
	if (e->n == MAXGOT)
		return;
	e->n++;
	memset(g, 0, sizeof(*g));
	g->type = imsg_get_type(im);
	g->nfds = imsg_get_fds(im, &fds);
	assert_int_equal(imsg_get_ibuf(im, &b), 0);
	assert_int_equal(ibuf_skip(&b, MSG_HDR_LEN), 0);
	switch (g->type) {
	case IMSG_DEVOP_HELLO:
		assert_int_equal(dev_hello_get(&b, &g->h), 0);
		break;
	case IMSG_DEVOP_ACTIVATE:
		assert_int_equal(dev_activate_get(&b, &g->a), 0);
		break;
	case IMSG_DEVOP_RESET:
	case IMSG_DEVOP_PAUSE:
	case IMSG_DEVOP_CONFIG_WRITE:
		assert_int_equal(dev_order_get(&b, &g->o), 0);
		break;
	case IMSG_VMDOP_DEVICE_FAILED:
		assert_int_equal(dev_id_get(&b, &g->id), 0);
		snprintf(g->text, sizeof(g->text), "%s", g->id.text);
		dev_id_fini(&g->id);
		break;
	}
	assert_int_equal(ibuf_size(&b), 0);
}

static inline void
end_read(int fd, short ev, void *arg)
{
	struct end *e = arg;
	struct imsg im;
	int rc;

	if ((rc = imsgbuf_read(&e->ib)) != 1) {
		end_close(e);
		return;
	}
	while (imsg_get(&e->ib, &im) > 0) {
		keep(e, &im);
		imsg_free(&im);
	}
}

static inline int
end_open(struct end *e)
{
	int sv[2];

	memset(e, 0, sizeof(*e));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1 ||
	    fcntl(sv[0], F_SETFL, O_NONBLOCK) == -1)
		return -1;
	e->fd = sv[0];
	imsgbuf_init(&e->ib, e->fd);
	imsgbuf_allow_fdpass(&e->ib);
	imsgbuf_set_maxsize(&e->ib, MSG_MAXSIZE);
	e->ev = event_new(t.base, e->fd, EV_READ | EV_PERSIST, end_read, e);
	if (e->ev == NULL || event_add(e->ev, NULL) == -1)
		return -1;
	return sv[1];
}

/* `body' is freed, the descriptors are taken. */
static inline void
end_say(struct end *e, uint32_t type, struct ibuf *body, int *fds, size_t nfds)
{
	struct ibuf *b = imsg_create(&e->ib, type, 0, 0, 0);

	assert_non_null(b);
	assert_int_equal(ibuf_add_zero(b, MSG_HDR_LEN), 0);
	if (body != NULL)
		assert_int_equal(ibuf_add_ibuf(b, body), 0);
	ibuf_free(body);
	assert_int_equal(imsg_set_fds(b, fds, nfds), 0);
	imsg_close(&e->ib, b);
	imsgbuf_write(&e->ib); /* it may have hung up */
}

/* The next message of this end, which is of that type. */
static inline const struct got *
hear(struct end *e, uint32_t type)
{
	const struct got *g;

	UNTIL(e->n > e->seen);
	g = &e->got[e->seen++];
	assert_string_equal(msg_name(g->type), msg_name(type));
	return g;
}

/* Nothing more came, and is not under way. */
static inline void
silent(const struct end *e)
{
	run();
	if (e->n > e->seen)
		fail_msg("%s", msg_name(e->got[e->seen].type));
}

/* --- set-up -------------------------------------------------------------------------- */

static inline int
device_msg(struct peer *p, struct msg *m)
{
	return devs_channel(t.ds, m);
}

static const struct msg_handler up_msgs[] = {
	{ IMSG_VMDOP_DEVICE, ROLE_VMM, device_msg },
};

static inline void
up_closed(struct peer *p, const char *why)
{
	t.up_ended++;
	t.up_why = why;
}

static inline int
setup(void **state)
{
	const struct peer_conf pc = { .role = ROLE_VMM,
		.name = "vmm",
		.msgs = up_msgs,
		.nmsgs = 1,
		.closed = up_closed };
	const struct devs_ops ops = { on_ready, on_paused, on_ended, NULL };
	static const struct vm_spec spec = { .cpus = 1, .ndisks = NDEVS };
	unsigned int i;

	memset(&t, 0, sizeof(t));
	ntransports = 0;
	for (i = 0; i < NDEVS; i++)
		t.dev[i].fd = -1;
	if ((t.base = event_base_new()) == NULL ||
	    (t.guard = event_new(t.base, -1, 0, on_late, NULL)) == NULL ||
	    gmem_add(&t.mem, 0, MEMORY, GMEM_RAM) == -1 ||
	    gmem_create(&t.mem) == -1)
		return -1;
	t.up = peer_new(t.base, end_open(&t.vmm), &pc);
	t.ds = devs_new(t.base, &spec, &t.mem, t.up, &ops);
	return t.up == NULL || t.ds == NULL ? -1 : 0;
}

static inline void
vdev_free(struct vdev *v)
{
	unsigned int i;

	peer_free(v->peer);
	event_free(v->deadline);
	for (i = 0; i < v->conf.nqueues; i++) {
		close(v->conf.kick[i]);
		close(v->conf.call[i]);
	}
	close(v->conf.config_call);
	close(v->conf.resample);
	munmap(v->page, v->page_size);
	close(v->page_fd);
}

/* The program never does this: it ends. */
static inline int
teardown(void **state)
{
	unsigned int i;

	for (i = 0; i < NDEVS; i++) {
		vdev_free(&t.ds->devs[i]);
		end_close(&t.dev[i]);
	}
	event_free(t.ds->wake_ev);
	event_free(t.ds->deadline);
	close(t.ds->wake);
	free(t.ds->devs);
	free(t.ds);
	peer_free(t.up);
	end_close(&t.vmm);
	gmem_fini(&t.mem);
	event_free(t.guard);
	event_base_free(t.base);
	return 0;
}

/* --- devices ---------------------------------------------------------------------------- */

static inline void
say(unsigned int i, uint32_t type)
{
	end_say(&t.dev[i], type, NULL, NULL, 0);
}

static inline void
say_order(unsigned int i, uint32_t type, uint64_t generation)
{
	const struct dev_order o = { .generation = generation };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	assert_int_equal(dev_order_put(b, &o), 0);
	end_say(&t.dev[i], type, b, NULL, 0);
}

static inline void
say_ready(unsigned int i, uint32_t type, uint64_t features, uint32_t len,
    const char *error)
{
	struct dev_ready r = { .features = features, .config_len = len };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	char text[128];

	snprintf(text, sizeof(text), "%s", error == NULL ? "" : error);
	r.error = error == NULL ? NULL : text;
	assert_int_equal(dev_ready_put(b, &r), 0);
	end_say(&t.dev[i], type, b, NULL, 0);
}

/* vmm hands the channel of a new process over. */
static inline void
attach_as(unsigned int i, uint32_t flags, uint32_t kind, uint32_t idx)
{
	const struct dev_id id = { .kind = kind, .idx = idx, .flags = flags };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	int fd;

	end_close(&t.dev[i]);
	fd = end_open(&t.dev[i]);
	assert_int_not_equal(fd, -1);
	assert_int_equal(dev_id_put(b, &id), 0);
	end_say(&t.vmm, IMSG_VMDOP_DEVICE, b, &fd, 1);
}

static inline const struct got *
attach(unsigned int i, uint32_t flags)
{
	const struct got *g;

	attach_as(i, flags, DEV_VIOBLK, i);
	g = hear(&t.dev[i], IMSG_DEVOP_HELLO);
	assert_int_equal(g->h.flags, flags);
	assert_int_equal(g->nfds, DEV_HELLO_FDS(1));
	return g;
}

static inline void
ready(unsigned int i)
{
	say_ready(i, IMSG_DEVOP_READY, FEATURES, 60, NULL);
}

/* It is dead, and another in its place. */
static inline void
replace(unsigned int i)
{
	attach(i, DEVF_REPLACED);
	ready(i);
}

/* All are ready and in the machine. */
static inline void
plug(void)
{
	const struct virtio_host h = { 0 };
	unsigned int i;

	for (i = 0; i < NDEVS; i++) {
		attach(i, 0);
		ready(i);
	}
	UNTIL(t.nready == 1);
	assert_string_equal(t.ready, "");
	assert_int_equal(devs_plug(t.ds, &h), 0);
}

/* --- the guest ------------------------------------------------------------------------------ */

static inline void
drv_activate(unsigned int i)
{
	const struct virtio_queue q = { 1, 16, 0x1000, 0x2000, 0x3000 };
	const struct virtio_backend *b = &transports[i].conf.backend;

	assert_int_equal(b->activate(b->arg, FEATURES, &q, 1), 0);
}

static inline void
drv_reset(unsigned int i)
{
	const struct virtio_backend *b = &transports[i].conf.backend;

	assert_int_equal(b->reset(b->arg), 0);
}

static inline void
drv_write(unsigned int i, unsigned int off, uint32_t val)
{
	const struct virtio_backend *b = &transports[i].conf.backend;

	b->config_write(b->arg, off, 1, val);
}

/* Plugged, and the driver of the first is up. */
static inline void
run_guest(void)
{
	plug();
	drv_activate(0);
	hear(&t.dev[0], IMSG_DEVOP_ACTIVATE);
}

/* vmm is told that device `i' is of no more use. */
static inline void
expect_failed(unsigned int i, const char *why)
{
	const struct got *g = hear(&t.vmm, IMSG_VMDOP_DEVICE_FAILED);

	assert_int_equal(g->id.kind, DEV_VIOBLK);
	assert_int_equal(g->id.idx, i);
	if (strstr(g->text, why) == NULL)
		fail_msg("no \"%s\" in \"%s\"", why, g->text);
}

/* It broke the rules: cut off, and told. */
static inline void
expect_cut(unsigned int i, const char *why)
{
	expect_failed(i, why);
	UNTIL(t.dev[i].fd == -1);
	assert_int_equal(t.up_ended, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
