/*
 * The SCSI host with the guest's CD-ROM: queues and the image, in a device
 * process.  Virtio 1.2, 5.6.  What is asked for is decided by vioscsi_req.c
 * and cdrom.c; what is read goes from the image to guest memory without a
 * copy.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_scsi.h>

#include "lib/disk/disk.h"
#include "lib/util/log.h"
#include "vmd/dev/dev.h"
#include "vmd/dev/vioscsi_req.h"

#define QUEUE_CONTROL 0
#define QUEUE_EVENT   1
#define NSEGS	      128 /* of a chain: at most the size of the queue */
#define SEG_MAX	      17
#define MAX_SECTORS   2048

struct scsi;

struct request {
	struct disk_req disk;
	struct request *next; /* while free */
	struct scsi *s;
	struct dev_vq *q;
	struct vq_chain chain;
	struct vioscsi_req req;
	struct iovec iov[NSEGS];
	struct iovec data[NSEGS];
};

/* An answer of the control queue that waits for what is being read. */
struct held {
	struct dev_vq *q;
	uint16_t head;
	uint32_t len;
};

struct scsi {
	struct dev *d;
	struct disk *disk;
	struct cdrom cdrom;
	struct request *free;
	unsigned int reading;
	struct held held[NSEGS];
	size_t nheld;
	unsigned int errors; /* reported */
};

static void request_done(struct disk_req *dr, int error);

/* --- requests --------------------------------------------------------- */

static struct request *
request_get(struct scsi *s, struct dev_vq *q)
{
	struct request *r = s->free;

	if (r != NULL)
		s->free = r->next;
	else if ((r = malloc(sizeof(*r))) == NULL)
		return NULL;
	memset(r, 0, offsetof(struct request, iov));
	r->s = s;
	r->q = q;
	r->disk.done = request_done;
	r->chain.iov = r->iov;
	r->chain.max = NSEGS;
	return r;
}

static void
request_put(struct request *r)
{
	r->next = r->s->free;
	r->s->free = r;
}

/* A few lines tell as much as thousands. */
static void
report(struct request *r, int error)
{
	struct scsi *s = r->s;

	dev_count(s->d, DEVS_ERRORS, 1);
	if (s->errors++ < 8 || (s->errors & (s->errors - 1)) == 0)
		log_warnx("read at byte %llu: %s%s",
		    (unsigned long long)r->req.off, strerror(error),
		    s->errors == 8 ? " (from now on not each is told)" : "");
}

static void
finish(struct request *r, int error)
{
	uint32_t len = vioscsi_req_end(&r->req, &r->chain, error);
	uint32_t most = VIOSCSI_RESPONSE + r->req.len;

	/* A read that failed may have put something there, too. */
	vq_wrote(&r->q->vq, r->chain.wr, r->chain.nwr, 0,
	    len > most ? len : most);
	dev_end(r->s->d, r->q, r->chain.head, len);
	request_put(r);
}

/* Nothing is being read any more: let the control queue know. */
static void
release(struct scsi *s)
{
	size_t i;

	for (i = 0; i < s->nheld; i++)
		dev_end(s->d, s->held[i].q, s->held[i].head, s->held[i].len);
	s->nheld = 0;
}

static void
request_done(struct disk_req *dr, int error)
{
	struct request *r = (struct request *)dr;
	struct scsi *s = r->s;

	if (error != 0)
		report(r, error);
	else {
		dev_count(s->d, DEVS_READS, 1);
		dev_count(s->d, DEVS_READ_BYTES, r->req.len);
	}
	finish(r, error);
	if (--s->reading == 0)
		release(s);
}

static void
read_medium(struct request *r)
{
	int n;

	n = vq_iov_slice(r->chain.wr, r->chain.nwr, VIOSCSI_RESPONSE,
	    r->req.len, r->data, NSEGS);
	r->disk.op = DISK_READ;
	r->disk.off = r->req.off;
	r->disk.len = r->req.len;
	r->disk.iov = r->data;
	r->disk.niov = n;
	r->s->reading++;
	disk_submit(r->s->disk, &r->disk);
}

/*
 * The drive's state, for the process that comes after us.  What is answered
 * and not shown to the guest is answered again by that, with the same news:
 * so these are forgotten when the answer is in the record, not before.
 */
static void
keep(struct scsi *s, uint64_t before)
{
	uint64_t now = cdrom_state(&s->cdrom);

	__atomic_store_n(&s->d->page->state[0], cdrom_state_untold(before, now),
	    __ATOMIC_RELEASE);
}

static void
keep_now(struct scsi *s)
{
	keep(s, cdrom_state(&s->cdrom));
}

/* --- queues ----------------------------------------------------------- */

static int
command(struct request *r)
{
	struct scsi *s = r->s;
	uint64_t before = cdrom_state(&s->cdrom);

	if (vioscsi_req_begin(&r->req, &s->cdrom, &r->chain) == -1)
		return -1;
	keep(s, before);
	dev_begin(s->d);
	if (r->req.len > 0)
		read_medium(r);
	else
		finish(r, 0);
	keep_now(s);
	return 0;
}

static int
control(struct request *r)
{
	struct scsi *s = r->s;
	struct held *h;
	int hold, len;

	if ((len = vioscsi_control(&s->cdrom, &r->chain, &hold)) == -1)
		return -1;
	vq_wrote(&r->q->vq, r->chain.wr, r->chain.nwr, 0, (uint64_t)len);
	keep_now(s);
	dev_begin(s->d);
	if (hold && s->reading > 0) {
		/* As many as a queue has chains. */
		h = &s->held[s->nheld++];
		h->q = r->q;
		h->head = r->chain.head;
		h->len = (uint32_t)len;
	} else
		dev_end(s->d, r->q, r->chain.head, (uint32_t)len);
	request_put(r);
	return 0;
}

static int
vioscsi_queue(struct dev *d, struct dev_vq *q)
{
	struct scsi *s = d->priv;
	struct request *r;
	int rc;

	/* There are no events: their buffers stay where they are. */
	if (q->n == QUEUE_EVENT) {
		q->awake = 0;
		return 0;
	}
	for (;;) {
		if ((r = request_get(s, q)) == NULL)
			return 0; /* when one ends there is one */
		if ((rc = vq_next(&q->vq, &r->chain)) != 1)
			break;
		if ((q->n == QUEUE_CONTROL ? control(r) : command(r)) == -1) {
			log_warnx("a request without header or response");
			rc = -1;
			break;
		}
	}
	request_put(r);
	return rc;
}

/* --- the device ------------------------------------------------------- */

/* What a driver may write, the sizes of sense data and commands, stays. */
static void
config(struct dev_ready *r)
{
	struct virtio_scsi_config c;

	memset(&c, 0, sizeof(c));
	c.num_queues = htole32(1);
	c.seg_max = htole32(SEG_MAX);
	c.max_sectors = htole32(MAX_SECTORS);
	c.cmd_per_lun = htole32(1);
	c.event_info_size = htole32(sizeof(struct virtio_scsi_event));
	c.sense_size = htole32(VIRTIO_SCSI_SENSE_DEFAULT_SIZE);
	c.cdb_size = htole32(VIRTIO_SCSI_CDB_DEFAULT_SIZE);
	c.max_target = htole16(1);
	c.max_lun = htole32(1);
	memcpy(r->config, &c, sizeof(c));
	r->config_len = sizeof(c);
	r->features = VQ_F_INDIRECT | VQ_F_EVENT_IDX;
}

static int
vioscsi_open(struct dev *d, struct dev_ready *r, char why[DEV_WHYLEN])
{
	static struct scsi scsi;
	struct scsi *s = &scsi;
	struct disk_layer layer = { .file = d->file0 };

	layer.fd = fdlist_get(&d->fds, FD_CDROM, 0, 0);
	if (layer.fd == -1 || d->fds.n != 1) {
		snprintf(why, DEV_WHYLEN, "no image");
		return -1;
	}
	if (d->hello.queue_max > NSEGS) {
		snprintf(why, DEV_WHYLEN, "queues are too long");
		return -1;
	}
	s->d = d;
	s->disk = disk_open(d->io, &layer, 1, DISK_RDONLY, why, DEV_WHYLEN);
	if (s->disk == NULL)
		return -1;
	cdrom_init(&s->cdrom, disk_size(s->disk));
	if (d->hello.flags & DEVF_REPLACED)
		cdrom_restore(&s->cdrom,
		    __atomic_load_n(&d->page->state[0], __ATOMIC_ACQUIRE));
	config(r);
	d->priv = s;
	return 0;
}

static int
vioscsi_activate(struct dev *d)
{
	struct scsi *s = d->priv;

	if (!d->resumed) {
		cdrom_reset(&s->cdrom);
		keep_now(s);
	}
	return 0;
}

static int
vioscsi_close(struct dev *d)
{
	struct scsi *s = d->priv;

	return disk_close(s->disk);
}

const struct dev_ops vioscsi_ops = {
	.kind = DEV_VIOSCSI,
	.filter_open = "vioscsi_open",
	.filter = "vioscsi",
	.filter_sync = "vioscsi_sync",
	.depth = 9, /* and the rest: a page of the ring */
	.spin_us = 50,
	.open = vioscsi_open,
	.activate = vioscsi_activate,
	.queue = vioscsi_queue,
	.close = vioscsi_close,
};
