/*
 * Bodies of the messages from and to device processes: each writer stands
 * beside its reader, field by field.  A device process is run by whoever got
 * out of a guest, in the worst case: the readers trust nothing.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/wire.h"

#define TEXT_MAX   1024
#define SERIAL_MAX 20

static const char *const kinds[DEV_KIND_MAX] = {
	[DEV_VIOBLK] = "vioblk",
	[DEV_VIOSCSI] = "vioscsi",
	[DEV_VIONET] = "vionet",
};

const char *
dev_kind_name(enum dev_kind k)
{
	if ((unsigned int)k >= DEV_KIND_MAX)
		return "unknown";
	return kinds[k];
}

static int
at_most(uint32_t v, uint32_t max)
{
	if (v <= max)
		return 0;
	errno = EBADMSG;
	return -1;
}

/* So many devices of a kind there may be. */
static int
check_idx(uint32_t kind, uint32_t idx)
{
	static const uint32_t max[DEV_KIND_MAX] = {
		[DEV_VIOBLK] = VM_MAX_DISKS,
		[DEV_VIOSCSI] = 1,
		[DEV_VIONET] = VM_MAX_NICS,
	};

	if (at_most(kind, DEV_KIND_MAX - 1) == -1)
		return -1;
	return at_most(idx, max[kind] - 1);
}

int
dev_id_put(struct ibuf *b, const struct dev_id *d)
{
	if (wire_put_u32(b, d->kind) == -1 || wire_put_u32(b, d->idx) == -1 ||
	    wire_put_u32(b, d->flags) == -1 || wire_put_u32(b, d->run) == -1 ||
	    wire_put_str(b, d->text) == -1)
		return -1;
	return 0;
}

int
dev_id_get(struct ibuf *b, struct dev_id *d)
{
	memset(d, 0, sizeof(*d));
	if (wire_get_u32(b, &d->kind) == -1 || wire_get_u32(b, &d->idx) == -1 ||
	    wire_get_u32(b, &d->flags) == -1 ||
	    wire_get_u32(b, &d->run) == -1 ||
	    wire_get_str(b, &d->text, TEXT_MAX) == -1 ||
	    check_idx(d->kind, d->idx) == -1 ||
	    at_most(d->flags, DEVF_REPLACED) == -1) {
		dev_id_fini(d);
		return -1;
	}
	return 0;
}

void
dev_id_fini(struct dev_id *d)
{
	free(d->text);
	memset(d, 0, sizeof(*d));
}

int
dev_start_put(struct ibuf *b, const struct dev_start *s)
{
	if (wire_put_u32(b, s->kind) == -1 || wire_put_u32(b, s->idx) == -1 ||
	    wire_put_u32(b, s->flags) == -1 ||
	    wire_put_u32(b, s->qcow2) == -1 ||
	    wire_put_u32(b, s->layers) == -1 ||
	    wire_put_str(b, s->name) == -1 || wire_put_str(b, s->path) == -1 ||
	    wire_put_str(b, s->serial) == -1)
		return -1;
	return net_conf_put(b, &s->net);
}

int
dev_start_get(struct ibuf *b, struct dev_start *s)
{
	memset(s, 0, sizeof(*s));
	if (wire_get_u32(b, &s->kind) == -1 || wire_get_u32(b, &s->idx) == -1 ||
	    wire_get_u32(b, &s->flags) == -1 ||
	    wire_get_u32(b, &s->qcow2) == -1 ||
	    wire_get_u32(b, &s->layers) == -1 ||
	    wire_get_str(b, &s->name, VM_NAME_MAX - 1) == -1 ||
	    wire_get_str(b, &s->path, WIRE_STR_MAX) == -1 ||
	    wire_get_str(b, &s->serial, SERIAL_MAX) == -1 ||
	    check_idx(s->kind, s->idx) == -1 ||
	    at_most(s->layers, VM_MAX_LAYERS) == -1 ||
	    net_conf_get(b, &s->net) == -1)
		goto fail;
	if (s->name != NULL)
		return 0;
	errno = EBADMSG;
fail:
	dev_start_fini(s);
	return -1;
}

void
dev_start_fini(struct dev_start *s)
{
	free(s->name);
	free(s->path);
	free(s->serial);
	memset(s, 0, sizeof(*s));
}

/* Ranges in order, with the offsets that gmem_add() gives them. */
static int
get_ranges(struct ibuf *b, struct gmem *g)
{
	uint64_t gpa, size;
	uint32_t n, type, i;

	if (wire_get_u32(b, &n) == -1 || at_most(n, GMEM_MAXRANGES) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		if (wire_get_u64(b, &gpa) == -1 ||
		    wire_get_u64(b, &size) == -1 ||
		    wire_get_u32(b, &type) == -1 ||
		    at_most(type, GMEM_MMIO) == -1)
			return -1;
		if (gmem_add(g, gpa, size, (enum gmem_type)type) == -1) {
			errno = EBADMSG;
			return -1;
		}
	}
	return 0;
}

int
dev_hello_put(struct ibuf *b, const struct dev_hello *h)
{
	const struct gmem_range *r;
	size_t i;

	if (wire_put_u32(b, h->flags) == -1 ||
	    wire_put_u32(b, h->nqueues) == -1 ||
	    wire_put_u32(b, h->queue_max) == -1 ||
	    wire_put_u32(b, h->page_size) == -1 ||
	    wire_put_u32(b, (uint32_t)h->mem.nranges) == -1)
		return -1;
	for (i = 0; i < h->mem.nranges; i++) {
		r = &h->mem.ranges[i];
		if (wire_put_u64(b, r->gpa) == -1 ||
		    wire_put_u64(b, r->size) == -1 ||
		    wire_put_u32(b, (uint32_t)r->type) == -1)
			return -1;
	}
	return 0;
}

int
dev_hello_get(struct ibuf *b, struct dev_hello *h)
{
	memset(h, 0, sizeof(*h));
	h->mem.fd = -1;
	if (wire_get_u32(b, &h->flags) == -1 ||
	    wire_get_u32(b, &h->nqueues) == -1 ||
	    wire_get_u32(b, &h->queue_max) == -1 ||
	    wire_get_u32(b, &h->page_size) == -1 ||
	    at_most(h->flags, DEVF_REPLACED) == -1 ||
	    at_most(h->nqueues, DEV_MAXQUEUES) == -1 ||
	    at_most(h->queue_max, DEV_QUEUE_MAX) == -1)
		return -1;
	return get_ranges(b, &h->mem);
}

int
dev_ready_put(struct ibuf *b, const struct dev_ready *r)
{
	if (wire_put_u64(b, r->features) == -1 ||
	    wire_put_u32(b, r->config_len) == -1 ||
	    ibuf_add(b, r->config, r->config_len) == -1 ||
	    wire_put_str(b, r->error) == -1)
		return -1;
	return 0;
}

int
dev_ready_get(struct ibuf *b, struct dev_ready *r)
{
	memset(r, 0, sizeof(*r));
	if (wire_get_u64(b, &r->features) == -1 ||
	    wire_get_u32(b, &r->config_len) == -1 ||
	    at_most(r->config_len, DEV_MAXCONFIG) == -1 ||
	    ibuf_get(b, r->config, r->config_len) == -1 ||
	    wire_get_str(b, &r->error, TEXT_MAX) == -1)
		return -1;
	return 0;
}

void
dev_ready_fini(struct dev_ready *r)
{
	free(r->error);
	memset(r, 0, sizeof(*r));
}

int
dev_activate_put(struct ibuf *b, const struct dev_activate *a)
{
	uint32_t i;

	if (wire_put_u64(b, a->generation) == -1 ||
	    wire_put_u64(b, a->features) == -1 ||
	    wire_put_u32(b, a->resume) == -1 ||
	    wire_put_u32(b, a->nqueues) == -1)
		return -1;
	for (i = 0; i < a->nqueues; i++)
		if (wire_put_u16(b, a->queues[i].size) == -1 ||
		    wire_put_u64(b, a->queues[i].desc) == -1 ||
		    wire_put_u64(b, a->queues[i].avail) == -1 ||
		    wire_put_u64(b, a->queues[i].used) == -1)
			return -1;
	return 0;
}

int
dev_activate_get(struct ibuf *b, struct dev_activate *a)
{
	uint32_t i;

	memset(a, 0, sizeof(*a));
	if (wire_get_u64(b, &a->generation) == -1 ||
	    wire_get_u64(b, &a->features) == -1 ||
	    wire_get_u32(b, &a->resume) == -1 ||
	    wire_get_u32(b, &a->nqueues) == -1 || at_most(a->resume, 1) == -1 ||
	    at_most(a->nqueues, DEV_MAXQUEUES) == -1)
		return -1;
	for (i = 0; i < a->nqueues; i++)
		if (wire_get_u16(b, &a->queues[i].size) == -1 ||
		    wire_get_u64(b, &a->queues[i].desc) == -1 ||
		    wire_get_u64(b, &a->queues[i].avail) == -1 ||
		    wire_get_u64(b, &a->queues[i].used) == -1 ||
		    at_most(a->queues[i].size, DEV_QUEUE_MAX) == -1)
			return -1;
	return 0;
}

int
dev_order_put(struct ibuf *b, const struct dev_order *o)
{
	if (wire_put_u64(b, o->generation) == -1 ||
	    wire_put_u32(b, o->off) == -1 || wire_put_u32(b, o->size) == -1 ||
	    wire_put_u32(b, o->val) == -1)
		return -1;
	return 0;
}

int
dev_order_get(struct ibuf *b, struct dev_order *o)
{
	memset(o, 0, sizeof(*o));
	if (wire_get_u64(b, &o->generation) == -1 ||
	    wire_get_u32(b, &o->off) == -1 || wire_get_u32(b, &o->size) == -1 ||
	    wire_get_u32(b, &o->val) == -1)
		return -1;
	return 0;
}
