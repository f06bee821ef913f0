#ifndef VMM_ROLE_H
#define VMM_ROLE_H

#include <sys/types.h>
#include <bsd/sys/queue.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/vminfo.h"
#include "lib/util/fdlist.h"
#include "proc/peer.h"

struct event;
struct event_base;

/*
 * vmm: launches guests, passes orders to them and answers back, reaps them.
 */

#define VMM_LAUNCH_S   30 /* from the launch to the answer */
#define VMM_PROBE_S    2
#define VMM_ORDER_S    10 /* from an order to its answer */
#define VMM_KILL_S     10 /* from STOP to SIGKILL */
#define VMM_REAP_S     5  /* from SIGKILL to saying that it is not gone */
#define VMM_END_S      5  /* the same when vmm itself ends */
#define VMM_CLOSE_S    5  /* from the end of the channel to SIGKILL */

#define VMM_MAX_ORDERS 64 /* to one guest, that it has not answered */

#define VMM_TEXT_MAX   1024 /* of what a guest's process says, with NUL */

struct guest;

/* A request that the guest has to answer. */
struct order {
	TAILQ_ENTRY(order) entry;
	struct guest *g;
	struct msg_hdr hdr;
	uint32_t answer; /* type of the answer */
	struct event *late;
	int answered; /* by us, when it was late */
	char *why;    /* not NULL: our own, to hold the guest, and why */
};

#define DEVICE_DEATHS	 3
#define DEVICE_DEATHS_MS 60000

struct device {
	TAILQ_ENTRY(device) entry;
	struct guest *g;
	char *name;		/* "vm/web1/vioblk0" */
	unsigned int slot;	/* which of the guest's devices */
	struct dev_start start; /* what it is told */
	struct fdlist fds;	/* what it is given, each time */
	pid_t pid;
	int pidfd; /* -1: no process */
	struct peer *peer;
	struct event *ended;
	uint32_t own;		       /* its own report; 0: none yet */
	int failed;		       /* the vm process has given it up */
	uint32_t run;		       /* how many processes it has had */
	uint32_t replaced;	       /* how often, in this run */
	int lost;		       /* killed: it could not be launched */
	int64_t deaths[DEVICE_DEATHS]; /* ms; the last ones */
};

struct guest {
	TAILQ_ENTRY(guest) entry;
	struct vmm_role *m;
	uint32_t id;
	uint64_t generation;
	char *name;
	int probe; /* 1: the probe guest, 2: its result is known */
	uid_t ids; /* slot of ids, 0: none */
	pid_t pid;
	int pidfd;
	struct peer *peer;
	struct event *ended;	    /* pidfd */
	struct event *deadline;	    /* launch, later SIGKILL */
	struct event *unreaped;	    /* then: it should be gone */
	struct msg_hdr start;	    /* the request to start it */
	uint32_t own;		    /* its own report; 0: none yet */
	int up;			    /* answered that it runs */
	struct vmop_result refusal; /* its answer, if it does not */
	struct vmop_result words;   /* its last ones; exit 0: none */
	int stopping;		    /* told to end */
	int late;		    /* killed, and not gone: it was told */
	int leaving;		    /* its devices are, it says */
	int closed;		    /* its channel ended */
	const char *broken;	    /* what was wrong with a message */
	const char *killed;	    /* why we killed it, or NULL */
	char died[256];		    /* a device, before it was up: how */
	int over;		    /* it was reaped */
	int status;		    /* then: as of waitpid(2) */
	enum vmerr why;		    /* the same, for an open request */
	TAILQ_HEAD(, order) orders;
	unsigned int norders;
	TAILQ_HEAD(, device) devices;
	unsigned int ndevices;
};

struct vmm_role {
	struct event_base *base;
	struct peer *up;
	int kvm;
	int exe;	/* vmd-guest */
	int shared_ids; /* tests: no ids and no namespace for a guest */
	/* Deadlines in seconds: VMM_*_S, less in tests. */
	unsigned int launch_s;
	unsigned int order_s;
	unsigned int kill_s; /* where an order says nothing else */
	unsigned int close_s;
	unsigned int reap_s;
	int ending; /* CTL_SHUTDOWN */
	TAILQ_HEAD(, guest) guests;
};

/* --- vmm.c --- */
extern const struct msg_handler vmm_msgs[];
extern const size_t vmm_nmsgs;
void vmm_role_init(struct vmm_role *m, struct event_base *base);

/* --- launch.c --- */
/*
 * Start the process of a guest and tell it to begin.  Takes the descriptors
 * of `fds'.  NULL with a sentence in `why'; what fails when there are
 * processes is told when they have ended, as of any other guest.
 */
struct guest *guest_launch(struct vmm_role *m, const struct vm_spec *spec,
    struct fdlist *fds, struct msg_hdr start, char *why, size_t len);

/*
 * In a child of spawn(): take the id of the uid_t at `arg', that nobody else
 * has, unless it is 0, and end with vmm.  0, or -1 with errno.
 */
int become_nobody(void *arg);

/* --- guest.c --- */
extern const struct msg_handler guest_msgs[];
extern const size_t guest_nmsgs;
struct guest *guest_find(struct vmm_role *m, uint32_t id, uint64_t generation);
/*
 * Have `ev' called when the process of `pidfd' has ended, if it is not yet
 * arranged.  0, or -1 with errno: it is tried again with each kill.
 */
int pidfd_watch(struct event *ev, struct event_base *base, int pidfd);
/* SIGKILL, for a reason (that stays, NULL: it ended by itself). */
void guest_kill(struct guest *g, const char *why, enum vmerr e);
/* Tell the parent what it reports of itself; 0: it has ended. */
void guest_report(const struct guest *g, uint32_t own);
/*
 * Ask it to end, and see to it that it does: with SIGKILL after `kill_s'
 * seconds, or if that is 0 after those of the role.
 */
void guest_stop(struct guest *g, unsigned int kill_s);
/* Pass an order on; `m' is answered in every case, once. */
void guest_order(struct guest *g, struct msg *m, const struct vmop_id *v,
    uint32_t answer);
/* The order that `m' answers, or NULL. */
struct order *order_find(struct guest *g, const struct msg *m);
void order_free(struct guest *g, struct order *o);
/* Callbacks of its peer and timer. */
void guest_closed(struct peer *p, const char *why);
void guest_late(int fd, short ev, void *arg);
/* Pause it by ourselves; the parent is told `why'. */
void guest_hold(struct guest *g, const char *why);

/* --- end.c --- */
/* Callback of its pidfd: reap it, answer what is open, say why it ended. */
void guest_ended(int fd, short ev, void *arg);
/* A process of it has ended: report its end if that was the last. */
void guest_settle(struct guest *g);
/* It was killed: tell the parent, once, if it is still there in a while. */
void guest_expect_end(struct guest *g);
/* Callback of the timer for that. */
void guest_unreaped(int fd, short ev, void *arg);
/* When it was reaped, or could not be launched. */
void guest_free(struct guest *g);

/* --- device.c --- */
/*
 * What `spec' has of devices; takes their descriptors out of `fds'.  0 or
 * -1 with errno; devices_free() in every case.
 */
int
devices_new(struct guest *g, const struct vm_spec *spec, struct fdlist *fds);
void devices_free(struct guest *g);
/* Start all of them, once the vm process has its specification. */
int devices_launch(struct guest *g);
/* SIGKILL; how many there were. */
int devices_kill(struct guest *g);
struct device *device_find(struct guest *g, uint32_t kind, uint32_t idx);
/*
 * 0, or -1 with errno; if there is a process then, it was killed, and
 * `pidfd' and `lost' stay until it is reaped.
 */
int device_launch(struct device *d, uint32_t flags);
void device_kill(struct device *d, const char *why);
/* Its process is gone, or never was. */
void device_forget(struct device *d);

/* --- device_end.c --- */
/* Its pidfd is ready: event callback, `arg' is the device. */
void device_ended(int fd, short ev, void *arg);
/* It is of no use, says the vm process: it dies, and another one comes. */
void device_failed(struct device *d, const char *why);
/* Start those again that had died too often.  0, or -1 with errno. */
int devices_retry(struct guest *g);

/* --- stats.c --- */
/* IMSG_VMDOP_DEVICES_REQUEST: as guest_order(), but one at a time. */
void guest_ask_devices(struct guest *g, struct msg *m, const struct vmop_id *v);
/* Its answer: a msg_handler. */
int guest_devices(struct peer *p, struct msg *m);

/* --- probe.c --- */
/* Run the probe guest; its result goes to the parent. */
void probe_start(struct vmm_role *m);
void probe_done(struct vmm_role *m, int ok, const char *text);

#endif
