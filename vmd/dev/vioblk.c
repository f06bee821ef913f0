/*
 * The block device: requests of a virtio queue become requests to an image.
 * Virtio 1.2, 5.2.
 *
 * A request is a header, data and a status byte in a chain of any layout.
 * Data goes between the file and guest memory without a copy; nothing that
 * is decided depends on bytes the guest can still change.
 */

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_blk.h>

#include "lib/disk/disk.h"
#include "lib/disk/merge.h"
#include "lib/util/log.h"
#include "vmd/dev/dev.h"

#define F(bit)	  (1ULL << (bit))
#define SEG_MAX	  126		/* of data, in one request */
#define NSEGS	  (SEG_MAX + 4) /* header and status, each split */
#define FEW	  6		/* segments of most requests */
#define RANGES	  16		/* of one DISCARD or WRITE_ZEROES */
#define SERIAL	  VIRTIO_BLK_ID_BYTES
#define RANGE_MAX (1U << 22) /* sectors: 2 GiB */
#define ROUND	  (1U << 20) /* bytes */
#define FIRST	  (1U << 14)
#define FLUSH_OUT 5 /* what FLUSH was before Virtio 1.0, too */

struct blk;

struct request {
	struct disk_req disk;
	struct request *next; /* while free */
	struct blk *b;
	struct dev_vq *q;
	uint32_t type;
	uint32_t written; /* for the guest, without the status */
	uint8_t *status;
	struct vq_chain chain;
	/* What is left of a DISCARD or WRITE_ZEROES. */
	unsigned int nranges, range;
	struct virtio_blk_discard_write_zeroes *ranges;
	struct iovec *many; /* those that do not fit into: */
	struct iovec few[FEW];
};

struct blk {
	struct dev *d;
	struct disk *disk;
	struct merge merge;
	int readonly;
	int writeback; /* else each write is flushed */
	char serial[SERIAL];
	struct request *free;
	unsigned int errors;	  /* reported */
	struct iovec segs[NSEGS]; /* of the chain that was taken last */
};

static void request_done(struct disk_req *r, int error);

/* --- requests -------------------------------------------------------------- */

static struct request *
request_get(struct blk *b, struct dev_vq *q)
{
	struct request *r = b->free;

	if (r != NULL)
		b->free = r->next;
	else if ((r = malloc(sizeof(*r))) == NULL)
		return NULL;
	memset(r, 0, offsetof(struct request, few));
	r->b = b;
	r->q = q;
	r->disk.done = request_done;
	r->chain.iov = b->segs;
	r->chain.max = NSEGS;
	return r;
}

/* The segments of its chain, in memory of its own.  0, or -1 with errno. */
static int
request_keep(struct request *r)
{
	struct vq_chain *c = &r->chain;
	size_t n = (size_t)c->nrd + c->nwr;
	struct iovec *iov = r->few;

	if (n > FEW) {
		if ((r->many = malloc(n * sizeof(*iov))) == NULL)
			return -1;
		iov = r->many;
	}
	memcpy(iov, c->iov, n * sizeof(*iov));
	c->iov = c->rd = iov;
	c->wr = iov + c->nrd;
	return 0;
}

static void
request_put(struct request *r)
{
	free(r->ranges);
	free(r->many);
	r->next = r->b->free;
	r->b->free = r;
}

/* The image failed us.  A few lines tell as much as thousands. */
static void
report(struct request *r, int error)
{
	struct blk *b = r->b;

	if (b->errors++ < 8 || (b->errors & (b->errors - 1)) == 0)
		log_warnx("request type %u at byte %llu: %s%s", r->type,
		    (unsigned long long)r->disk.off, strerror(error),
		    b->errors == 8 ? " (from now on not each is told)" : "");
}

/* A read that failed may have put something there, too. */
static void
wrote(const struct request *r)
{
	const struct vq_chain *c = &r->chain;
	const struct iovec status = { r->status, 1 };

	if (r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_GET_ID)
		vq_wrote(&r->q->vq, c->wr, c->nwr, 0, c->wrlen - 1);
	vq_wrote(&r->q->vq, &status, 1, 0, 1);
}

/* Our successor has the same open files: it will not be told either. */
static void
keep(const struct blk *b)
{
	int lost = disk_lost(b->disk);

	if (lost != 0)
		__atomic_store_n(&b->d->page->state[0], (uint64_t)lost,
		    __ATOMIC_RELEASE);
}

static void
finish(struct request *r, uint8_t status)
{
	uint32_t len = status == VIRTIO_BLK_S_OK ? r->written : 0;

	*r->status = status;
	wrote(r);
	keep(r->b);
	dev_end(r->b->d, r->q, r->chain.head, len + 1);
	request_put(r);
}

static void
fail(struct request *r, int error)
{
	if (error == EOPNOTSUPP) {
		finish(r, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	dev_count(r->b->d, DEVS_ERRORS, 1);
	finish(r, VIRTIO_BLK_S_IOERR);
}

static void
next_range(struct request *r)
{
	const struct virtio_blk_discard_write_zeroes *g =
	    &r->ranges[r->range++];

	r->disk.op = r->type == VIRTIO_BLK_T_DISCARD ? DISK_DISCARD : DISK_ZERO;
	r->disk.off = le64toh(g->sector) * DISK_SECTOR;
	r->disk.len = (uint64_t)le32toh(g->num_sectors) * DISK_SECTOR;
	r->disk.unmap = le32toh(g->flags) & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	disk_submit(r->b->disk, &r->disk);
}

static void
request_done(struct disk_req *dr, int error)
{
	struct request *r = (struct request *)dr;
	struct blk *b = r->b;

	if (error != 0) {
		if (error != EOPNOTSUPP)
			report(r, error);
		fail(r, error);
		return;
	}
	if (r->range < r->nranges) {
		next_range(r);
		return;
	}
	/* Without a write cache a write is done when it is durable. */
	if (!b->writeback && dr->op != DISK_READ && dr->op != DISK_FLUSH) {
		dr->op = DISK_FLUSH;
		disk_submit(b->disk, dr);
		return;
	}
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		dev_count(b->d, DEVS_READS, 1);
		dev_count(b->d, DEVS_READ_BYTES, r->written);
		break;
	case VIRTIO_BLK_T_OUT:
		dev_count(b->d, DEVS_WRITES, 1);
		dev_count(b->d, DEVS_WRITE_BYTES, r->disk.len);
		break;
	case VIRTIO_BLK_T_FLUSH:
	case FLUSH_OUT:
		dev_count(b->d, DEVS_FLUSHES, 1);
		break;
	}
	finish(r, VIRTIO_BLK_S_OK);
}

/* --- what the guest asks for ------------------------------------------------ */

static int
in_range(const struct blk *b, uint64_t sector, uint64_t len)
{
	uint64_t size = disk_size(b->disk) / DISK_SECTOR;

	return sector <= size && len / DISK_SECTOR <= size - sector;
}

/* `len' bytes of data at `off' of `iov' are the data. */
static int
begin_data(struct request *r, enum disk_op op, uint64_t sector,
    struct iovec *iov, size_t n, uint64_t off, uint64_t len)
{
	int cnt;

	if (len == 0 || len % DISK_SECTOR != 0 || !in_range(r->b, sector, len))
		return EINVAL;
	if ((cnt = vq_iov_slice(iov, n, off, len, iov, n)) == -1)
		return errno;
	r->disk.op = op;
	r->disk.off = sector * DISK_SECTOR;
	r->disk.len = len;
	r->disk.iov = iov;
	r->disk.niov = cnt;
	if (op == DISK_WRITE && !r->b->writeback)
		disk_submit(r->b->disk, &r->disk);
	else
		merge_add(&r->b->merge, &r->disk);
	return 0;
}

static int
begin_ranges(struct request *r)
{
	uint64_t len = r->chain.rdlen - sizeof(struct virtio_blk_outhdr);
	const uint32_t known = r->type == VIRTIO_BLK_T_DISCARD ?
	    0 :
	    VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	unsigned int i, n = (unsigned int)(len / sizeof(*r->ranges));

	if (r->b->readonly)
		return EROFS;
	if (n == 0 || n > RANGES || len % sizeof(*r->ranges) != 0)
		return EINVAL;
	if ((r->ranges = calloc(n, sizeof(*r->ranges))) == NULL)
		return ENOMEM;
	vq_iov_get(r->chain.rd, r->chain.nrd, sizeof(struct virtio_blk_outhdr),
	    r->ranges, len);
	for (i = 0; i < n; i++) {
		const struct virtio_blk_discard_write_zeroes *g = &r->ranges[i];
		uint64_t bytes = (uint64_t)le32toh(g->num_sectors) *
		    DISK_SECTOR;

		if (le32toh(g->flags) & ~known)
			return EOPNOTSUPP;
		if (bytes == 0 || le32toh(g->num_sectors) > RANGE_MAX ||
		    !in_range(r->b, le64toh(g->sector), bytes))
			return EINVAL;
	}
	r->nranges = n;
	next_range(r);
	return 0;
}

static int
begin_id(struct request *r)
{
	uint32_t room = r->chain.wrlen - 1;

	r->written = (uint32_t)vq_iov_put(r->chain.wr, r->chain.nwr, 0,
	    r->b->serial, room < SERIAL ? room : SERIAL);
	finish(r, VIRTIO_BLK_S_OK);
	return 0;
}

static int
begin(struct request *r, uint64_t sector)
{
	const struct vq_chain *c = &r->chain;

	if (r->type != VIRTIO_BLK_T_IN && r->type != VIRTIO_BLK_T_OUT)
		merge_release(&r->b->merge);
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		r->written = c->wrlen - 1;
		return begin_data(r, DISK_READ, sector, c->wr, c->nwr, 0,
		    c->wrlen - 1);
	case VIRTIO_BLK_T_OUT:
		if (r->b->readonly)
			return EROFS;
		return begin_data(r, DISK_WRITE, sector, c->rd, c->nrd,
		    sizeof(struct virtio_blk_outhdr),
		    c->rdlen - sizeof(struct virtio_blk_outhdr));
	case VIRTIO_BLK_T_FLUSH:
	case FLUSH_OUT:
		r->disk.op = DISK_FLUSH;
		disk_submit(r->b->disk, &r->disk);
		return 0;
	case VIRTIO_BLK_T_GET_ID:
		return begin_id(r);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return begin_ranges(r);
	default:
		return EOPNOTSUPP;
	}
}

/* -1 if it has no place for a header or a status. */
static int
start(struct request *r)
{
	struct virtio_blk_outhdr h;
	struct vq_chain *c = &r->chain;
	struct iovec *last;
	int error;

	if (c->nwr == 0 || c->wrlen == 0 ||
	    vq_iov_get(c->rd, c->nrd, 0, &h, sizeof(h)) != sizeof(h))
		return -1;
	last = &c->wr[c->nwr - 1];
	r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	r->type = le32toh(h.type);
	dev_begin(r->b->d);
	error = request_keep(r) == -1 ? errno : begin(r, le64toh(h.sector));
	if (error != 0)
		fail(r, error);
	return 0;
}

static int
take(struct blk *b, struct dev_vq *q)
{
	struct request *r;
	uint64_t bytes = 0, max = q->fresh ? FIRST : ROUND;
	int rc;

	/*
	 * Not all at once: the guest goes on with some while we do others, and
	 * one that sleeps wakes up meanwhile.
	 */
	while (bytes < max) {
		if ((r = request_get(b, q)) == NULL)
			return 0; /* when one ends there is one */
		if ((rc = vq_next(&q->vq, &r->chain)) != 1) {
			request_put(r);
			return rc;
		}
		bytes += r->chain.rdlen + (uint64_t)r->chain.wrlen;
		if (start(r) == -1) {
			log_warnx("a request without header or status");
			request_put(r);
			return -1;
		}
	}
	return 0;
}

static int
vioblk_queue(struct dev *d, struct dev_vq *q)
{
	struct blk *b = d->priv;
	int rc = take(b, q);

	merge_release(&b->merge);
	return rc;
}

/* --- the device -------------------------------------------------------------- */

static void
config(const struct blk *b, struct dev_ready *r, unsigned int nqueues)
{
	struct virtio_blk_config c;
	uint64_t unit = disk_discard_unit(b->disk);

	memset(&c, 0, sizeof(c));
	c.capacity = htole64(disk_size(b->disk) / DISK_SECTOR);
	c.seg_max = htole32(SEG_MAX);
	c.geometry.heads = 16;
	c.geometry.sectors = 63;
	c.geometry.cylinders = 0xffff;
	if (disk_size(b->disk) / DISK_SECTOR / (16 * 63) < 0xffff)
		c.geometry.cylinders = htole16(
		    (uint16_t)(disk_size(b->disk) / DISK_SECTOR / (16 * 63)));
	c.blk_size = htole32(DISK_SECTOR);
	c.physical_block_exp = 3; /* 4 KiB: what hosts write at once */
	c.wce = 1;
	c.num_queues = htole16((uint16_t)nqueues);
	c.max_discard_sectors = htole32(RANGE_MAX);
	c.max_discard_seg = htole32(RANGES);
	c.discard_sector_alignment = htole32(
	    (uint32_t)((unit == 0 ? DISK_SECTOR : unit) / DISK_SECTOR));
	c.max_write_zeroes_sectors = htole32(RANGE_MAX);
	c.max_write_zeroes_seg = htole32(RANGES);
	c.write_zeroes_may_unmap = 1;
	memcpy(r->config, &c, sizeof(c));
	r->config_len = sizeof(c);
	r->features = F(VIRTIO_BLK_F_SEG_MAX) | F(VIRTIO_BLK_F_GEOMETRY) |
	    F(VIRTIO_BLK_F_BLK_SIZE) | F(VIRTIO_BLK_F_TOPOLOGY) |
	    F(VIRTIO_BLK_F_FLUSH) | F(VIRTIO_BLK_F_CONFIG_WCE) |
	    F(VIRTIO_BLK_F_MQ) | VQ_F_INDIRECT | VQ_F_EVENT_IDX;
	if (b->readonly)
		r->features |= F(VIRTIO_BLK_F_RO);
	else
		r->features |= F(VIRTIO_BLK_F_WRITE_ZEROES) |
		    (unit == 0 ? 0 : F(VIRTIO_BLK_F_DISCARD));
}

static int
vioblk_open(struct dev *d, struct dev_ready *r, char why[DEV_WHYLEN])
{
	static struct blk blk;
	struct disk_layer layers[VM_MAX_LAYERS];
	struct blk *b = &blk;
	uint32_t i, n = d->start.layers;

	for (i = 0; i < n; i++) {
		layers[i].file = d->file0 + (int)i;
		layers[i].fd = fdlist_get(&d->fds, FD_DISK, d->start.idx, i);
		layers[i].qcow2 = d->start.qcow2 >> i & 1;
		if (layers[i].fd == -1 || layers[i].fd != d->fds.ents[i].fd) {
			snprintf(why, DEV_WHYLEN, "layer %u is missing", i);
			return -1;
		}
	}
	b->d = d;
	b->readonly = (d->start.flags & DISKF_READONLY) != 0;
	if (n == 0) {
		snprintf(why, DEV_WHYLEN, "no image");
		return -1;
	}
	b->disk = disk_open(d->io, layers, n, b->readonly ? DISK_RDONLY : 0,
	    why, DEV_WHYLEN);
	if (b->disk == NULL)
		return -1;
	merge_init(&b->merge, b->disk);
	if (d->hello.flags & DEVF_REPLACED)
		disk_set_lost(b->disk,
		    (int)__atomic_load_n(&d->page->state[0], __ATOMIC_ACQUIRE));
	if (d->start.serial != NULL)
		memcpy(b->serial, d->start.serial, strlen(d->start.serial));
	else
		snprintf(b->serial, sizeof(b->serial), "vioblk%u",
		    d->start.idx);
	config(b, r, d->nqueues);
	d->priv = b;
	return 0;
}

#define WCE offsetof(struct virtio_blk_config, wce)

/* Does the guest see a write cache?  Virtio 1.2, 5.2.5.2. */
static int
vioblk_activate(struct dev *d)
{
	struct virtio_page *page = &d->page->virtio;
	struct blk *b = d->priv;
	uint8_t wce = 0;

	b->writeback = (d->features & F(VIRTIO_BLK_F_FLUSH)) != 0;
	if (!(d->features & F(VIRTIO_BLK_F_CONFIG_WCE)))
		return 0;
	/* One that cannot flush it has to switch it on first. */
	if (!b->writeback && !d->resumed)
		virtio_page_write(page, WCE, &wce, sizeof(wce));
	virtio_page_read(page, WCE, &wce, sizeof(wce));
	b->writeback = wce != 0;
	return 0;
}

/* The write cache, on and off. */
static void
vioblk_config_write(struct dev *d, unsigned int off, unsigned int size,
    uint32_t val)
{
	struct blk *b = d->priv;
	uint8_t wce = (val & 0xff) != 0;

	if (off != WCE || size != 1 ||
	    !(d->features & F(VIRTIO_BLK_F_CONFIG_WCE)))
		return;
	b->writeback = wce;
	virtio_page_write(&d->page->virtio, off, &wce, sizeof(wce));
}

static int
vioblk_close(struct dev *d)
{
	struct blk *b = d->priv;

	return disk_close(b->disk);
}

const struct dev_ops vioblk_ops = {
	.kind = DEV_VIOBLK,
	.filter_open = "vioblk_open",
	.filter = "vioblk",
	.filter_sync = "vioblk_sync",
	.depth = 61,	/* and the channels and a kick: a page of the ring */
	.spin_us = 100, /* a sleeping guest wakes up within that */
	.answers = 1,
	.open = vioblk_open,
	.activate = vioblk_activate,
	.queue = vioblk_queue,
	.config_write = vioblk_config_write,
	.close = vioblk_close,
};
