#ifndef VMCTL_AUDIT_WANT_H
#define VMCTL_AUDIT_WANT_H

#include "vmctl/audit.h"

/*
 * What a process should be, between the table and the checks.
 */

#define NFILTERS_MAX 4
#define BIT(n)	     (1ULL << (n))

enum want_ids {
	IDS_ANY,  /* as was asked */
	IDS_ROOT, /* of the host */
	IDS_USER, /* `user' */
	IDS_VMM,  /* the first of the range; root where no range can be had */
	IDS_SLOT, /* in a slot that no other guest has */
	IDS_OWN,  /* that nobody else has, on the host */
};

struct want {
	const char *filters[NFILTERS_MAX]; /* its own first */
	unsigned int more; /* filters that are not from our tables */
	enum want_ids ids;
	const char *user;
	uint64_t caps;	/* at most, of all sets but the bounding one; none of
			   IDS_ANY that are not root's */
	uint64_t bound; /* at most, of the bounding set */
	int nnp;
	unsigned int ns; /* not the parent's; bits by enum look_ns */
	int empty_root;
	int tun;	  /* is all that may be in it */
	unsigned int fds; /* kinds that it may have; bits by enum look_fd */
	int memory;	  /* may it have guest memory mapped */
	unsigned int own; /* SB_OWN_* that it must report */
};

/* NULL: a device that we do not know. */
const struct want *want_of(const struct subject *s);

#endif
