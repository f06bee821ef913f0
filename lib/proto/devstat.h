#ifndef PROTO_DEVSTAT_H
#define PROTO_DEVSTAT_H

#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/devpage.h"
#include "lib/proto/vmspec.h"

/*
 * The devices of a guest in numbers.  The vm process reads the counters out
 * of pages that device processes write; vmm knows what became of those.
 * There is no text in it, and nothing in it is to be relied on.
 */

enum dev_state {
	DEVST_UNKNOWN, /* vmm has not said */
	DEVST_RUNNING,
	DEVST_GONE, /* no process, and none will be started by itself */
	DEVST_MAX
};
/* "running"; NULL if it is not known. */
const char *dev_state_text(enum dev_state s);

#define DEV_LIST_MAX  (VM_MAX_DISKS + 1 + VM_MAX_NICS)
#define DEV_COUNT_MAX ((uint64_t)INT64_MAX)

struct dev_stats {
	uint32_t kind; /* enum dev_kind */
	uint32_t idx;
	uint32_t state;	   /* enum dev_state */
	uint32_t replaced; /* how often */
	uint64_t size;	   /* bytes, up to DEV_COUNT_MAX; 0: not known */
	uint32_t counted;  /* 1: what follows is known */
	uint64_t counts[DEVS_COUNTERS]; /* up to DEV_COUNT_MAX each */
};
struct dev_list {
	uint32_t n;
	struct dev_stats devs[DEV_LIST_MAX];
};

/* 0, or -1 with errno as wire.h says. */
int dev_list_put(struct ibuf *b, const struct dev_list *l);
/* EBADMSG also if a number is beyond its limit or a device comes twice. */
int dev_list_get(struct ibuf *b, struct dev_list *l);
/* The device in `l', or NULL. */
struct dev_stats *
dev_list_find(struct dev_list *l, uint32_t kind, uint32_t idx);
/* One more, of which nothing else is known; NULL if it has no place. */
struct dev_stats *dev_list_add(struct dev_list *l, uint32_t kind, uint32_t idx);

#endif
