#ifndef PROTO_DEVMSG_H
#define PROTO_DEVMSG_H

#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/vmspec.h"
#include "lib/util/gmem.h"

/*
 * Bodies of the messages from and to device processes.  Each pair writes and
 * reads one struct; 0, or -1 with errno as wire.h says.  A getter allocates
 * the strings; free them with the *_fini function.
 */

enum dev_kind {
	DEV_VIOBLK,
	DEV_VIOSCSI,
	DEV_VIONET,
	DEV_KIND_MAX
};
/* "vioblk"; also the argv[0] of its process. */
const char *dev_kind_name(enum dev_kind k);

#define DEV_MAXQUEUES 9	  /* of one device */
#define DEV_MAXCONFIG 256 /* bytes of its configuration */
#define DEV_QUEUE_MAX 1024

/* Which device of a guest: vmm to vm (with its channel), and back. */
enum {
	DEVF_REPLACED = 0x01, /* the one before has died */
};
struct dev_id {
	uint32_t kind; /* enum dev_kind */
	uint32_t idx;
	uint32_t flags; /* DEVF_* */
	uint32_t run;	/* of its processes, the how-manieth */
	char *text;	/* DEVICE_FAILED: why; may be NULL */
};
int dev_id_put(struct ibuf *b, const struct dev_id *d);
int dev_id_get(struct ibuf *b, struct dev_id *d);
void dev_id_fini(struct dev_id *d);

/*
 * vmm to the device: what it is.  FD_DISK layers, FD_CDROM or FD_TAP queues
 * follow as an fdlist.
 */
struct dev_start {
	uint32_t kind;
	uint32_t idx;
	uint32_t flags;	     /* DISKF_* */
	uint32_t qcow2;	     /* bit n: layer n is qcow2, else raw */
	uint32_t layers;     /* 0..VM_MAX_LAYERS */
	char *name;	     /* of the VM */
	char *path;	     /* of the image, for error texts; may be NULL */
	char *serial;	     /* may be NULL */
	struct net_conf net; /* of DEV_VIONET */
};
int dev_start_put(struct ibuf *b, const struct dev_start *s);
int dev_start_get(struct ibuf *b, struct dev_start *s);
void dev_start_fini(struct dev_start *s);

/*
 * vm to the device: guest memory and queues.  Descriptors, in this order:
 * the memory, the shared page, then a kick and a call eventfd per queue.
 */
struct dev_hello {
	uint32_t flags; /* DEVF_* */
	uint32_t nqueues;
	uint32_t queue_max;
	uint32_t page_size; /* bytes of the shared page, see devpage.h */
	struct gmem mem;    /* ranges, nranges and size only */
};
#define DEV_HELLO_FDS(n) (2 + 2 * (n))
int dev_hello_put(struct ibuf *b, const struct dev_hello *h);
int dev_hello_get(struct ibuf *b, struct dev_hello *h);

/* The device to vm: it is ready, or why it cannot be. */
struct dev_ready {
	uint64_t features;
	uint32_t config_len;
	uint8_t config[DEV_MAXCONFIG];
	char *error; /* NULL: ready */
};
int dev_ready_put(struct ibuf *b, const struct dev_ready *r);
int dev_ready_get(struct ibuf *b, struct dev_ready *r);
void dev_ready_fini(struct dev_ready *r);

/* vm to the device: the driver is up.  A queue of size 0 is not used. */
struct dev_queue {
	uint16_t size;
	uint64_t desc, avail, used;
};
struct dev_activate {
	uint64_t generation; /* of this activation, from 1 */
	uint64_t features;
	uint32_t resume; /* the queues were in use: see the record */
	uint32_t nqueues;
	struct dev_queue queues[DEV_MAXQUEUES];
};
int dev_activate_put(struct ibuf *b, const struct dev_activate *a);
int dev_activate_get(struct ibuf *b, struct dev_activate *a);

/* Orders and answers with two numbers at most: RESET, CONFIG_WRITE ... */
struct dev_order {
	uint64_t generation;
	uint32_t off, size, val; /* CONFIG_WRITE */
};
int dev_order_put(struct ibuf *b, const struct dev_order *o);
int dev_order_get(struct ibuf *b, struct dev_order *o);

#endif
