#ifndef PARENT_FAKE_H
#define PARENT_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/event.h>

#include "lib/proto/imginfo.h"
#include "lib/proto/privmsg.h"
#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/parent.h"

/*
 * The real parent with a control, a priv and a vmm played by the test.
 * spawn() makes a process that only waits to be killed and keeps the child's
 * end of the channel; an opener answers at once, with the file if there is
 * one by that name, else with an empty one; an image as it is told to.
 */

#define CONN 7 /* the client's connection */

/* A process of the parent's, as the test plays it. */
struct fake {
	const char *name;
	unsigned int starts;
	pid_t pid;
	int channel;
	struct peer *peer;
	unsigned int closed;
	/* The last message it got. */
	unsigned int got; /* how many */
	uint32_t type;
	struct msg_hdr hdr;
	uint32_t arg; /* of the last TERMINATE_VM_REQUEST */
	struct vmop_result res;
	struct vm_info info; /* the last one of a list */
	struct vm_spec *spec;
	size_t nfds;
	struct fdlist fds; /* of a start request */
};

/* What an image says of itself. */
enum image_mood {
	IMAGE_ANSWERS, /* with image_says */
	IMAGE_DIES,
	IMAGE_MUTE,
	IMAGE_NONSENSE,
	IMAGE_WRONG_TYPE,
	IMAGE_TWICE, /* says the same once more */
	IMAGE_FILE,  /* sends a descriptor */
};
extern enum image_mood image_mood;
extern struct image_info image_says;

/* What a priv does with orders of the type `priv_mood_for'. */
enum priv_mood {
	PRIV_ANSWERS,
	PRIV_REFUSES, /* with the sentence "no luck" */
	PRIV_MUTE,
	PRIV_DIES,
	PRIV_WRONG_ID,
	PRIV_NONSENSE,
	PRIV_FEW_TAPS,
	PRIV_MANY_TAPS,
	PRIV_NO_NAME,
	PRIV_SAME_NAME, /* "tap0", always */
	PRIV_NO_MTU,
	PRIV_NO_TEXT, /* refuses, and says not why */
	PRIV_TAPS_REFUSED,
	PRIV_TWICE,
};
extern enum priv_mood priv_mood;
extern uint32_t priv_mood_for;
extern unsigned int priv_mood_skip; /* so many of them first */
extern uint32_t priv_forwarding;
extern const char *priv_kept;
extern uint32_t priv_created; /* PRIVSW_* of a switch */
extern const char *priv_note; /* of a check */

/* All that it was ordered, in order. */
#define MAXORDERS 64
struct order_seen {
	uint32_t type;
	struct msg_hdr hdr;
	char tag[PRIV_TAG_MAX + 1];
	char kept[64];
	char ifname[NET_IFNAME_MAX]; /* "" if it had none */
	char bridge[NET_IFNAME_MAX];
	char alias[PRIV_ALIAS_MAX + 1];
	char group[PRIV_GROUP_MAX + 1];
	char swgroup[PRIV_GROUP_MAX + 1];
	uint32_t flags;
	uint32_t rdomain;
	struct priv_init init; /* without strings */
	struct priv_nic nic;   /* without strings */
};
extern struct order_seen seen[MAXORDERS];
extern unsigned int nseen;
/* Answer the last one now, well, after PRIV_MUTE. */
void priv_answers_late(void);
/* Run the loop until the parent waits for nothing of priv. */
void until_ordered(void);

extern struct fake control, vmm, priv;
/* Openers and images started so far, and gone. */
extern unsigned int helpers, helpers_reaped;
extern struct parent parent;

/* Around each test; the configuration has one VM, web1, disabled. */
int setup(void **state);
int teardown(void **state);
/* A configuration with the VMs of a list that ends with NULL. */
struct conf *conf_of(const char *name, ...);

/* Run the loop until `*n' is `want' or more; fails when that takes long. */
void until(const unsigned int *n, unsigned int want);
/* ... until the last message is of this type. */
void until_got(struct fake *f, uint32_t type);
/* ... until it was started so often; then play the new one. */
void until_restarted(struct fake *f, unsigned int starts);
/* ... until the VM has this state. */
void until_state(const struct vm *v, enum vm_state s);
/* Forget what was received. */
void clear(struct fake *f);
/* Let the parent handle what was sent so far. */
void settle_all(void);

void send_body(struct fake *f, uint32_t type, uint64_t reqid, struct ibuf *b,
    int *fds, size_t nfds);
/* As a client. */
void send_id(uint32_t type, uint64_t reqid, const char *name, uint32_t flags,
    uint32_t arg);
void send_start(uint64_t reqid, const char *name);
/* As vmm. */
void send_result(uint32_t type, uint64_t reqid, const struct vmop_result *r);
/* Answer the start request that vmm has just got. */
void say_started(void);
/* The run of a VM has ended. */
void say_ended(const char *name, uint64_t generation, enum vmexit exit);
/* Start a VM as a client would, up to the answer. */
void start_vm(const char *name);

#endif
