/*
 * Compressed clusters: one at a time is read and unpacked, and the last one
 * is kept, so that reading it piece by piece unpacks it once.  Buffers are
 * made when the first is met.
 */

#include <errno.h>
#include <stdlib.h>

#include "lib/disk/disk_int.h"
#include "lib/disk/unpack.h"

struct comp {
	struct xfer x;
	struct disk *d;
	struct iovec iov;
	int busy;
	int valid;
	int error; /* of the last one */
	size_t layer;
	uint64_t l2e;
	size_t max; /* the largest cluster */
	uint8_t *in, *out;
	struct unpack *unpack;
	struct waitq wait;
};

static struct comp *
comp_new(struct disk *d)
{
	struct comp *c;
	size_t i;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->d = d;
	TAILQ_INIT(&c->wait);
	for (i = 0; i < d->nlayers; i++)
		if (d->layers[i].qcow2 && cluster_size(&d->layers[i]) > c->max)
			c->max = cluster_size(&d->layers[i]);
	if ((c->in = malloc(2 * c->max)) == NULL ||
	    (c->out = malloc(c->max)) == NULL ||
	    (c->unpack = unpack_new()) == NULL) {
		comp_free(c);
		errno = ENOMEM;
		return NULL;
	}
	return c;
}

void
comp_free(struct comp *c)
{
	if (c == NULL)
		return;
	unpack_free(c->unpack);
	free(c->out);
	free(c->in);
	free(c);
}

static void
comp_read(struct xfer *x, int error)
{
	struct comp *c = (struct comp *)x;
	const struct layer *l = &c->d->layers[c->layer];

	c->busy = 0;
	if (error == 0)
		error = unpack(c->unpack, l->zstd, c->in, c->iov.iov_len,
		    c->out, cluster_size(l));
	c->valid = error == 0;
	c->error = error;
	wake_all(&c->wait, 0); /* others want others */
}

uint64_t
comp_off(const struct layer *l, uint64_t l2e)
{
	const struct qcow2_hdr h = { .cluster_bits = l->bits };

	return qcow2_comp_off(&h, l2e);
}

uint64_t
comp_len(const struct layer *l, uint64_t l2e)
{
	const struct qcow2_hdr h = { .cluster_bits = l->bits };

	return qcow2_comp_len(&h, l2e);
}

int
comp_get(struct task *t, const struct extent *e, const uint8_t **data)
{
	struct disk *d = t->d;
	const struct layer *l = &d->layers[e->layer];
	struct comp *c = d->comp;

	if (c == NULL && (c = d->comp = comp_new(d)) == NULL)
		return -1;
	if (c->valid && c->layer == e->layer && c->l2e == e->host) {
		*data = c->out;
		return 1;
	}
	if (c->error != 0 && c->layer == e->layer && c->l2e == e->host) {
		errno = c->error;
		c->error = 0;
		return -1;
	}
	wait_on(&c->wait, &t->w);
	if (c->busy)
		return 0;
	c->busy = 1;
	c->valid = 0;
	c->error = 0;
	c->layer = e->layer;
	c->l2e = e->host;
	c->iov.iov_base = c->in;
	c->iov.iov_len = comp_len(l, e->host);
	c->x.done = comp_read;
	xfer_start(&c->x, d->io, l->file, 0, &c->iov, 1, 0, c->iov.iov_len,
	    comp_off(l, e->host));
	return 0;
}
