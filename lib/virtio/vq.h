#ifndef VIRTIO_VQ_H
#define VIRTIO_VQ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/util/gmem.h"

/*
 * The device side of a split virtqueue: Virtio 1.2, 2.6 and 2.7.  Used by
 * device processes and by the devices inside the vm process.  One thread
 * per queue; all else is guest memory, which is copied before it is looked
 * at and never trusted.
 */

#define VQ_MAXSIZE     1024
#define VQ_F_INDIRECT  (1ULL << 28) /* of the negotiated features */
#define VQ_F_EVENT_IDX (1ULL << 29)

/*
 * In-flight record: which chains are taken and not yet published, in memory
 * that outlives the process.  All zeroes is an empty one; make it that
 * (vq_inflight_clear()) when the guest resets the device.  Only vq.c reads
 * or writes the inside.  One with size 0 is empty, whatever else is in it.
 */
struct vq_slot {
	uint64_t seq;	/* order of taking */
	uint32_t state; /* and, once pushed, where in the used ring */
	uint32_t pad;
};
struct vq_inflight {
	uint16_t size; /* of the queue; 0: never used */
	uint16_t used; /* used.idx that was last published */
	uint32_t pad;
	struct vq_slot slots[];
};
/* Bytes for a queue of `size', a multiple of 8. */
size_t vq_inflight_size(uint16_t size);
void vq_inflight_clear(struct vq_inflight *r, uint16_t size);

/*
 * Who wants to know where a device wrote guest memory, after each write: a
 * migration, perhaps.  mark is NULL as long as nobody does and may be set
 * between any two calls.
 */
struct vq_dirty {
	void (*mark)(void *arg, uint64_t gpa, uint64_t len);
	void *arg;
};

struct vq_conf {
	const struct gmem *mem; /* outlives the queue */
	uint16_t size;		/* a power of two, 1..1024 */
	uint64_t desc, avail, used;
	uint64_t features;	      /* negotiated */
	struct vq_inflight *inflight; /* or NULL */
	const struct vq_dirty *dirty; /* outlives the queue; or NULL */
};

/* Fields are vq.c's. */
struct vq {
	struct vq_conf conf;
	uint8_t *desc, *avail, *used;
	uint16_t last_avail; /* next to take */
	uint16_t used_next;  /* next to push */
	uint16_t used_shown; /* what used.idx says */
	uint16_t ntaken;     /* not yet published */
	int broken;
	int owed; /* an interrupt that may not have been sent */
	int redo; /* chains of an earlier process may be left */
	uint64_t seq;
	uint8_t heads[VQ_MAXSIZE];   /* what became of each */
	uint16_t pushed[VQ_MAXSIZE]; /* not yet published, in order */
	uint16_t order[VQ_MAXSIZE];  /* of taking, by avail index */
};

/*
 * A chain.  The caller gives `iov' with room for `max' segments; the rest is
 * filled in.  Segments point into guest memory and stay valid as long as it
 * is mapped.  `rd' and `wr' lie in `iov'.
 */
struct vq_chain {
	struct iovec *iov;
	uint16_t max;
	uint16_t head;
	uint16_t nrd, nwr;     /* segments */
	uint32_t rdlen, wrlen; /* bytes in all */
	struct iovec *rd, *wr; /* device reads, device writes */
};

/* 0 if a queue may be like this, else -1 with errno EINVAL or EFAULT. */
int vq_check(const struct vq_conf *c);

/*
 * Set `q' up.  Without a record, or with an empty one, both indices are 0.
 * With a used record the queue goes on where the process that died left
 * off, at whatever instruction that was.  0, or -1 with errno as above,
 * EBADMSG for a record that is not one of such a queue, EPROTO if the
 * guest changed used.idx meanwhile.
 */
int vq_init(struct vq *q, const struct vq_conf *c);

/*
 * Take the next chain.  Descriptors are copied before they are examined.
 * First come those that vq_redo() has left.
 *
 * 1 with a chain, 0 if there is none, -1 with errno EPROTO if the guest
 * broke the ring (loops, bad indices and addresses, a head that is in
 * flight, more than `c->max' segments, empty segments, ...); it stays
 * broken, and the guest is to be told by DEVICE_NEEDS_RESET.
 */
int vq_next(struct vq *q, struct vq_chain *c);
/*
 * The next chain, in the order of taking, that an earlier process took and
 * did not publish; as vq_next().
 */
int vq_redo(struct vq *q, struct vq_chain *c);
/*
 * Give back the chain that was taken last and is not pushed, as if it had
 * not been taken; then perhaps the one before it.  One that came from
 * vq_redo() may be given back at any time.  0, or -1 with errno EINVAL if
 * `head' is none of these.
 */
int vq_untake(struct vq *q, uint16_t head);

/*
 * Put a taken chain into the used ring: `len' bytes were written to it.
 * The guest does not see it before vq_publish().  0, or -1 with errno
 * EINVAL if `head' is not a taken chain.
 */
int vq_push(struct vq *q, uint16_t head, uint32_t len);
/*
 * Show the guest what was pushed.  1 if it wants an interrupt for that.
 * After a restart call it once, pushed or not: the interrupt of the last
 * time may have been lost.
 */
int vq_publish(struct vq *q);

/*
 * Ask the guest not to kick, or to kick again.  vq_kick_on() returns 1 if
 * chains came in meanwhile, for which there may be no kick: go on then.
 */
void vq_kick_off(struct vq *q);
int vq_kick_on(struct vq *q);
/* 1 if vq_next() may find something; for those who look all the time. */
int vq_waits(const struct vq *q);

/* Chains that are taken and not published. */
unsigned int vq_inflight_count(const struct vq *q);

/* For pause and migration. */
struct vq_state {
	uint16_t last_avail, used;
};
void vq_state_get(const struct vq *q, struct vq_state *s);
/*
 * Right after vq_init(), with nothing in flight.  0, or -1 with errno
 * EINVAL unless both are equal and nothing is in flight.
 */
int vq_state_set(struct vq *q, const struct vq_state *s);

/* --- bytes of a chain --------------------------------------------------- */

/* Bytes in a list. */
uint64_t vq_iov_len(const struct iovec *iov, size_t n);
/*
 * Copy `len' bytes at `off' of a list; returns how many were there.
 */
size_t vq_iov_get(const struct iovec *iov, size_t n, uint64_t off, void *buf,
    size_t len);
size_t vq_iov_put(const struct iovec *iov, size_t n, uint64_t off,
    const void *buf, size_t len);
/*
 * The part of a list that holds `len' bytes at `off', in `out' with room for
 * `max'.  Returns the number of segments, or -1 with errno EINVAL if the
 * list is too short, E2BIG if `out' is.  `out' may be `iov'.
 */
int vq_iov_slice(const struct iovec *iov, size_t n, uint64_t off, uint64_t len,
    struct iovec *out, size_t max);
/*
 * Tell conf.dirty of `len' bytes at `off' of a list in guest memory, or as
 * many as are there: after each write, before vq_push().  All that the
 * device wrote, whether the guest is told of it or not.
 */
void vq_wrote(const struct vq *q, const struct iovec *iov, size_t n,
    uint64_t off, uint64_t len);

#endif
