#ifndef PARENT_PARENT_H
#define PARENT_PARENT_H

#include <stdarg.h>
#include <stdint.h>
#include <sys/types.h>
#include <bsd/sys/queue.h>

#include "proc/peer.h"
#include "vmd/conf/conf.h"
#include "vmd/parent/ids.h"
#include "vmd/parent/raws.h"
#include "vmd/parent/vm.h"
#include "vmd/roles.h"

struct event;
struct event_base;
struct net;

/*
 * The parent: everything the daemon knows.  Single-threaded; nothing below
 * can make it wait.
 */

/* A process started by the parent that lives as long as the daemon. */
enum child_nr {
	CHILD_CONTROL,
	CHILD_PRIV,
	CHILD_VMM,
	NCHILDREN
};
struct child_type;
struct child {
	struct parent *parent;
	const struct child_type *type;
	struct peer *peer; /* NULL: not running */
	pid_t pid;
	uint32_t own;	     /* its own report, SB_OWN_*; 0: none yet */
	int pidfd;	     /* -1: not running */
	struct event *ended; /* pidfd is readable */
	struct event *again; /* start it again */
	int64_t since;	     /* ms, when it was started */
	unsigned int delay;  /* s, last one used */
};

/* A client's connection, as control announced it. */
struct conn {
	TAILQ_ENTRY(conn) entry;
	uint64_t nr;
	struct cred *cred;
};
TAILQ_HEAD(conns, conn);

/* Something that will be answered: by vmm, or by an event in here. */
struct request {
	TAILQ_ENTRY(request) entry;
	uint64_t id;	    /* ours, towards vmm */
	struct msg_hdr hdr; /* the client's; reqid 0: nobody asked */
	uint32_t answer;    /* type of the answer */
	uint32_t vm;	    /* id, 0: none */
	uint64_t generation;
	int at_vmm; /* vmm has it and will answer */
	int waits;  /* for an event, that may never come */
};
TAILQ_HEAD(requests, request);
TAILQ_HEAD(listings, listing); /* devstats.c */

/* A process that is not a child of the parent, or not for long. */
struct proc {
	TAILQ_ENTRY(proc) entry;
	struct proc_info info;
};
TAILQ_HEAD(procs, proc);

struct statedir {
	int fd; /* directory, -1: not open */
	int lock;
	char tag[17]; /* names what this daemon leaves behind */
};

struct ctlsock {
	int fd;
	char *path;
	char *link; /* symbolic link to it, or NULL */
	dev_t dev;
	ino_t ino;
};

struct parent {
	const struct parent_args *args;
	struct event_base *base;
	struct conf *conf;
	struct ids *ids;
	struct raws *raws;
	struct net *net; /* netd.c */
	struct vms vms;
	struct conns conns;
	size_t nconns;
	struct requests requests;
	size_t nwaits; /* of these, and listings: no end is in sight */
	struct listings listings;
	struct procs procs;
	size_t nprocs;
	LIST_HEAD(, helper) helpers; /* helper.c */
	LIST_HEAD(, passt) passts;   /* passt.c */
	struct child children[NCHILDREN];
	struct statedir state;
	struct ctlsock sock;
	struct host_info host; /* reported by vmm; caps NULL: not yet */
	uint64_t next_id;      /* of requests */
	uint64_t generation;   /* last one used */
	struct event *signals[5];
	struct event *stagger;	/* next batch */
	struct event *deadline; /* of the shutdown */
	int kvm;
	int verbose;
	int64_t log_second; /* of lines that clients caused ... */
	unsigned int log_lines;
	unsigned int log_dropped;
	int stopping; /* 1: guests end, 2: forced, 3: children */
};

/* --- parent.c ---------------------------------------------------------- */

/*
 * Set up everything but children: configuration, state directory, socket.
 * 0, or -1 after a message.
 */
int parent_setup(struct parent *p, const struct parent_args *a);
void parent_fini(struct parent *p);
int64_t now_ms(void);

/* --- confine.c --------------------------------------------------------- */

/* Put the parent's filter on; all children inherit it.  Ends on failure. */
void parent_confine(const struct parent_args *a);

/* --- children.c -------------------------------------------------------- */

struct child_type {
	const char *name;
	enum role role;
	const struct msg_handler *msgs;
	size_t nmsgs;
};
extern const struct child_type child_types[NCHILDREN]; /* parent.c */
int children_start(struct parent *p);
/* CTL_SHUTDOWN to all; the last one that ends leaves the loop. */
void children_stop(struct parent *p);
void children_free(struct parent *p);
void child_kill(const struct child *c); /* it will be started again */
/* Somebody needs it: if it has ended it is started now, not later. */
void child_hasten(struct child *c);
/* Send a vmop_id to a child that runs.  0, or -1 with errno. */
int child_send_id(struct child *c, uint32_t type, struct msg_hdr h,
    const struct vmop_id *v, int *fd);
struct parent *parent_of(struct peer *p);

/* --- request.c --------------------------------------------------------- */

/* Remember that `hdr' (NULL: nobody) wants an answer.  NULL: no memory. */
struct request *request_new(struct parent *p, const struct msg_hdr *hdr,
    uint32_t answer, const struct vm *v);
/*
 * The same for what is answered by an event, when that comes.  Also NULL,
 * with EDQUOT, when as many wait as may: more than control lets through.
 */
#define PARENT_MAXWAITS 10000
struct request *request_wait(struct parent *p, const struct msg_hdr *hdr,
    uint32_t answer, const struct vm *v);
/* ... and say so, by errno, in an answer of this type. */
void
answer_cannot_wait(struct parent *p, const struct msg_hdr *hdr, uint32_t type);
struct request *request_find(struct parent *p, uint64_t id);
void request_free(struct parent *p, struct request *r);
/* Answer and free it. */
void request_done(struct parent *p, struct request *r,
    const struct vmop_result *res);
void request_fail(struct parent *p, struct request *r, enum vmerr e,
    const char *text);
/* Forget those of a connection (0: all connections). */
void requests_drop(struct parent *p, uint64_t conn);
/* Answer a client directly; nothing happens when `hdr' is NULL or empty. */
void answer(struct parent *p, const struct msg_hdr *hdr, uint32_t type,
    const struct vmop_result *res);
void answer_fail(struct parent *p, const struct msg_hdr *hdr, uint32_t type,
    enum vmerr e, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/*
 * A formatted text, without its middle if it is longer than an answer or a
 * list of VMs may carry; the caller frees.  NULL: no memory.
 */
char *
text_of(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
/*
 * May a line be logged that a client can cause at will?  CLIENT_LOG_RATE a
 * second may; the others are counted, and the count logged.
 */
#define CLIENT_LOG_RATE 20
int client_may_log(struct parent *p);
/* Type of the answer to `type', for failures. */
uint32_t answer_type(uint32_t type);
/* Answer `m' with a failure and skip what is left of it. */
void request_refuse(struct parent *p, struct msg *m, enum vmerr e);
/* Who sent `m' if that person may; else answers and returns NULL. */
const struct cred *request_cred(struct peer *p, struct msg *m);
struct vmop_id;
/*
 * The VM that `m' names and its sender may operate, with the request in
 * `*op', which the caller frees; else answers and returns NULL.
 */
struct vm *request_vm(struct peer *p, struct msg *m, struct vmop_id *op);
/*
 * Pass an order for `v' on to vmm, which answers it, with the descriptor
 * `*fd' (NULL: none), which is taken.  VMERR_OK, or why not.
 */
enum vmerr
request_forward(struct vm *v, const struct msg *m, uint32_t flags, int *fd);
const struct cred *conn_cred(struct parent *p, uint64_t nr);
void conns_clear(struct parent *p);

/* --- socket.c, statedir.c ---------------------------------------------- */

/* Make and bind it.  0, or -1 after a message. */
int ctlsock_open(struct ctlsock *s, const char *path);
int ctlsock_chown(const struct ctlsock *s, uid_t uid, gid_t gid);
/* Remove and close it. */
void ctlsock_close(struct ctlsock *s);

/* Make, lock and read it.  0, or -1 after a message. */
int statedir_open(struct statedir *s, const char *path);
void statedir_close(struct statedir *s);

/* --- reload.c ---------------------------------------------------------- */

enum {
	READ_MISSING_OK = 0x01, /* no such file is an empty one */
	READ_ADD = 0x02,	/* for conf_add() */
};
/*
 * Read and check `path'.  Logs.  NULL: the first error is in `why'; else the
 * warnings are, a line each.
 */
struct conf *read_conf(struct parent *p, const char *path, unsigned int how,
    char *why, size_t len);
/* The configuration of this daemon; as above. */
struct conf *read_own_conf(struct parent *p, char *why, size_t len);
/* Whose the control socket is. */
void conf_own_socket(const struct parent *p, const struct conf *c);
/* Take over a checked configuration; `c' is the callee's. */
int conf_apply(struct parent *p, struct conf *c);
/*
 * Take over what is new in it, as `load' does; `c' is the callee's.  What is
 * ignored is added to the lines in `text'.
 */
void conf_add(struct parent *p, struct conf *c, char *text, size_t len);
/* Read the configuration again and apply it; logs.  0 or -1; `why' as above. */
int reload(struct parent *p, char *why, size_t len);

/* Answer those who wait for a `reset' if it is complete. */
void reset_check(struct parent *p);

/* --- info.c ------------------------------------------------------------ */

/*
 * Send what `status' shows of all VMs, or of the one called `name', and the
 * end of the list.  With devices, if `since' is not 0: their numbers if they
 * came after that time.
 */
void info_answer(struct parent *p, const struct msg_hdr *hdr, const char *name,
    int64_t since);

/* --- devstats.c -------------------------------------------------------- */

/*
 * Ask for the numbers of devices and call info_answer(): at most a second
 * later, also when a guest's process does not answer.  0, or -1 with errno,
 * as request_wait().
 */
int
listing_begin(struct parent *p, const struct msg_hdr *hdr, const char *name);
/* Forget those of a connection (0: all connections). */
void listings_drop(struct parent *p, uint64_t conn);
/* The devices of a run, with numbers that came after `since'; 0: no run. */
int vm_devices(struct vm *v, int64_t since, struct dev_list *l);

/* --- audit.c ----------------------------------------------------------- */

/* Processes for `vmctl audit': one more, or a report of one that is known. */
int procs_add(struct parent *p, const char *name, enum proc_kind kind,
    pid_t pid, uint32_t own);
void procs_del(struct parent *p, pid_t pid);
/* Forget those below vmm. */
void procs_lost(struct parent *p);
void procs_clear(struct parent *p);

/* --- shutdown.c -------------------------------------------------------- */

#define SHUTDOWN_GRACE 30 /* s for all guests together */

/* All guests, then all children. */
void shutdown_begin(struct parent *p);
/* Go on when the last guest is gone. */
void shutdown_check(struct parent *p);

/* --- handlers, by message ---------------------------------------------- */

typedef int msg_fn(struct peer *p, struct msg *m);
msg_fn parent_conn_open, parent_conn_close;		    /* request.c */
msg_fn parent_start_vm_request, parent_start_vm_response;   /* start.c */
msg_fn parent_terminate_vm_request, parent_wait_vm_request; /* stop.c */
msg_fn parent_terminate_vm_event, parent_vm_late;	    /* stop.c */
msg_fn parent_pause_vm, parent_pause_vm_response, parent_vm_paused;
msg_fn parent_hold_vm;				  /* hold.c */
msg_fn parent_get_info_vm_request;		  /* info.c */
msg_fn parent_devices_response;			  /* devstats.c */
msg_fn parent_host_request, parent_host_response; /* info.c */
msg_fn parent_console_request, parent_break;	  /* console.c */
msg_fn parent_ready, parent_proc_report;	  /* audit.c */
msg_fn parent_audit_request;			  /* audit.c */
msg_fn parent_load, parent_reload, parent_reset;  /* ctl.c */
msg_fn parent_verbose;				  /* ctl.c */
msg_fn parent_priv_result;			  /* netorder.c */
msg_fn parent_result;				  /* request.c */

#endif
