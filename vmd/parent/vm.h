#ifndef PARENT_VM_H
#define PARENT_VM_H

#include <stdint.h>
#include <bsd/sys/queue.h>

#include "lib/proto/vminfo.h"
#include "lib/proto/vmspec.h"
#include "lib/util/fdlist.h"
#include "vmd/parent/perm.h"
#include "vmd/parent/restart.h"

struct chain;
struct event;
struct opening;
struct parent;
struct vmnet;

/*
 * A VM as the parent knows it, and its state machine.
 */

/* A file that is locked, and will be tried again; zeros: not yet. */
struct lock_retry {
	struct event *timer;
	unsigned int tries;
};

struct vm {
	TAILQ_ENTRY(vm) entry;
	struct parent *parent;
	struct vm_spec *spec; /* its definition; name and id */
	struct vm_spec *run;  /* what this run uses, or NULL */
	struct vm_spec *next; /* definition for the next run, or NULL */
	int from_config;      /* stays when it ends */
	uint32_t want_id;     /* fixed id, 0: any; of the next run */

	enum vm_state state; /* vm_event() is the only writer */
	uint64_t generation; /* of the current launch, 0: none */
	int launched;	     /* vmm was told of this generation */
	int lost;	     /* vmm went first: who knows what still runs */
	int late;	     /* killed, and not gone: `error' says why */
	int asked;	     /* to stop, by a person or the daemon */
	int held;	     /* disabled by a person: see hold.c */
	int doomed;	     /* by `reset': forgotten when it ends */
	int32_t pid;
	struct cred *cred; /* who started this run; NULL: daemon */
	uint64_t run_uid;
	uint32_t given;	    /* VMGIVEN_*: named by that person */
	uint64_t start_req; /* open request to answer, 0: none */

	struct fdlist fds;	 /* files of this run */
	struct opening *opening; /* file being opened, or NULL */
	struct chain *chain;	 /* disks being opened, or NULL */
	struct vmnet *net;	 /* interfaces of this run, or NULL */
	struct lock_retry retry; /* of the CD-ROM */
	size_t open_step;

	int tty_master;
	int tty_slave;
	char *tty; /* path, or NULL */
	int ring;  /* console history, -1 before first run */

	struct event *timer; /* stop deadline or delayed restart */
	struct restart restart;
	int64_t started;    /* wall clock, s */
	int64_t started_ms; /* monotonic */
	enum vmexit exit;   /* of the last run */
	char *exit_text;
	char *error; /* of the last failed start, or what is wrong now */

	uint64_t counting;	/* the request for its devices' numbers, or 0 */
	struct dev_list counts; /* as they came last ... */
	uint64_t counts_generation;
	int64_t counts_ms; /* monotonic */
};
TAILQ_HEAD(vms, vm);

/* --- state.c ----------------------------------------------------------- */

enum vm_ev {
	EV_QUEUE,  /* will be started by the daemon */
	EV_CANCEL, /* ... will not */
	EV_START,  /* files are being opened, then launched */
	EV_UP,	   /* the guest process answered */
	EV_FAIL,   /* did not come up */
	EV_PAUSE,
	EV_UNPAUSE,
	EV_STOP, /* asked to stop */
	EV_EXIT, /* its process was reaped */
	EV_MAX
};

/* The state after `ev' in `s', or -1 if it cannot happen there. */
int state_next(enum vm_state s, enum vm_ev ev);
/* Change the state and log it.  0, or -1 if it cannot happen there. */
int vm_event(struct vm *v, enum vm_ev ev);

/* --- vms.c: the list --------------------------------------------------- */

/*
 * A new VM at the end of the list; takes `spec' in every case.  It has no
 * id yet.  NULL with errno.
 */
struct vm *vm_new(struct parent *p, struct vm_spec *spec, int from_config);
/* Give it the id it has had or wants.  0, or -1 as ids_assign(). */
int vm_assign_id(struct vm *v);
/* Its definition changed while it was up: from now on it is the new one. */
void vm_take_next(struct vm *v);
/* Will that change anything? */
int vm_has_next(const struct vm *v);
/* Are both definitions the same, but for where they are written? */
int vm_spec_same(const struct vm_spec *a, const struct vm_spec *b);
/* Forget it: only when it is stopped. */
void vm_free(struct vm *v);
/* By exact name, else by number.  NULL if there is none. */
struct vm *vm_find(struct parent *p, const char *name);
struct vm *vm_find_name(struct parent *p, const char *name);
struct vm *vm_by_id(struct parent *p, uint32_t id);
void vm_timer_clear(struct vm *v);
/* Call `fn' in `seconds', instead of what was set before.  0 or -1. */
int vm_timer_set(struct vm *v, unsigned int seconds,
    void (*fn)(int, short, void *));
/* Has a process, or is about to have one. */
int vm_is_up(const struct vm *v);
/* "" or " (FILE:LINE)" of its definition, in a static buffer. */
const char *vm_where(const struct vm *v);
enum vmerr vm_may_operate(const struct vm *v, const struct cred *c);
/* 1 if this person may know that it exists. */
int vm_may_see(const struct vm *v, const struct cred *c);

/* --- start.c ----------------------------------------------------------- */

struct msg_hdr;

/*
 * Start a stopped or waiting VM; v->run, cred, given and fds are set.
 * Answers `hdr' (NULL: nobody asked) now or later, whatever happens.
 */
void vm_start(struct vm *v, const struct msg_hdr *hdr);
/* Start by the daemon's own decision, as it is defined. */
void vm_start_self(struct vm *v);
/* Send it to vmm: all files are open, all interfaces there. */
void vm_launch(struct vm *v);
/* It did not come up: answer, record, clean up. */
void vm_start_failed(struct vm *v, enum vmerr e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* NULL if this vmd can run it, else what it lacks. */
const char *vm_unsupported(const struct vm_spec *s);

/* --- files.c: opening what a VM needs ---------------------------------- */

/* Open the files of v->run one by one, then vm_net_start(). */
void vm_open_files(struct vm *v);

/* --- stop.c ------------------------------------------------------------ */

/* Ask, or `force', a VM that is up to end.  VMERR_OK or why not. */
enum vmerr vm_stop(struct vm *v, int force, const struct msg_hdr *hdr);
/* It will not be started: back to stopped; may free it. */
void vm_cancel(struct vm *v);
/* The run is over: everything that follows, also a restart. */
void vm_ended(struct vm *v, enum vmexit exit, const char *text);
/* As above for those that vmm took with it when it died. */
void vm_all_lost(struct parent *p, const char *text);

/* --- stagger.c -------------------------------------------------------- */

/* Start what is waiting, some at a time. */
void stagger_start(struct parent *p);
/* ... unless the next ones have their time already. */
void stagger_more(struct parent *p);
/* Start `v' again in `delay' seconds. */
void restart_later(struct vm *v, unsigned int delay);

/* --- pty.c ------------------------------------------------------------- */

/* Make the pty and the ring unless there.  0, or -1 with errno. */
int vm_tty_open(struct vm *v);
void vm_tty_close(struct vm *v);

#endif
