#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdint.h>
#include <sys/types.h>
#include <bsd/sys/queue.h>

#include "lib/proto/vmspec.h"

/*
 * vm.conf: parser and semantic checks.  Used by the parent (root) and by
 * `vmd -n'.  vm.conf(5).
 */

struct conf_vm {
	TAILQ_ENTRY(conf_vm) entry;
	struct vm_spec *spec; /* file and line are set */
};
TAILQ_HEAD(conf_vms, conf_vm);

enum {
	SWITCHF_UP = 0x01,
	SWITCHF_LOCKED = 0x02,
	SWITCHF_RDOMAIN = 0x04,
};
struct conf_switch {
	TAILQ_ENTRY(conf_switch) entry;
	char *name;
	char *ifname; /* bridge, or NULL */
	char *group;  /* or NULL */
	char *file;
	uint32_t line;
	uint32_t flags;
	uint32_t rdomain;
};
TAILQ_HEAD(conf_switches, conf_switch);

struct conf_limit {
	TAILQ_ENTRY(conf_limit) entry;
	int group;	 /* 1: of a group, 0: of a user */
	uint32_t id;	 /* uid or gid */
	char *name;	 /* as it was given */
	uint64_t memory; /* 0 in these four: not given */
	uint32_t cpus;
	uint32_t nics;
	uint32_t vms;
	char *file;
	uint32_t line;
};
TAILQ_HEAD(conf_limits, conf_limit);

/* Of local interfaces, unless the file says otherwise. */
#define CONF_LOCAL_PREFIX 0x64400000U /* 100.64.0.0/10 */
#define CONF_LOCAL_MASK	  0xffc00000U

/* How often a guest may reset, unless the file says otherwise ... */
#define CONF_RESETS		3
#define CONF_RESETS_MAX		100
#define CONF_RESETS_SECONDS	6
#define CONF_RESETS_SECONDS_MAX 86400
/* ... and how long its process may take to end before it is killed. */
#define CONF_KILL_TIMEOUT     10 /* seconds */
#define CONF_KILL_TIMEOUT_MAX 300

struct conf {
	struct conf_vms vms;
	struct conf_switches switches;
	struct conf_limits limits;
	char *firmware;	     /* or NULL; then also: */
	char *firmware_file; /* where it was given */
	uint32_t firmware_line;
	uint32_t socket_uid; /* `socket owner' */
	uint32_t socket_gid;
	int socket_given;
	uint32_t parallel; /* staggered start; 0: not given */
	uint32_t delay;	   /* seconds, if parallel is not 0 */
	uint32_t resets;   /* in as many seconds: always valid */
	uint32_t resets_seconds;
	uint32_t kill_timeout; /* seconds; always valid */
	int limits_given;      /* one of these three */
	uint32_t local_prefix; /* host byte order; always valid */
	uint32_t local_mask;
	int local_given;
	int local_nat;	/* as if all local interfaces had `nat' */
	char *nat_file; /* where it was given, or NULL */
	uint32_t nat_line;
	/* What guests are told; host byte order. */
	uint32_t ndns4, ndns6, nntp4; /* 0: not given */
	uint32_t dns4[NET_MAX_SERVERS];
	uint32_t ntp4[NET_MAX_SERVERS];
	uint8_t dns6[NET_MAX_SERVERS][16];
	char *domain; /* or NULL */
	int local_inet6;
	uint8_t local_prefix6[16];
	int local_prefix6_given;
	int status_given; /* `status' was ... */
	int status_own;	  /* ... to show users what they may operate only */
	int agentx;
	char *agentx_context; /* or NULL */
	char *agentx_path;    /* or NULL */
};

/*
 * One complaint; `warning' 0: error, CONF_NOTE: nothing is wrong, but this
 * is what will be done.  `line' 0: about the file.
 */
enum {
	CONF_ERROR,
	CONF_WARNING,
	CONF_NOTE,
};
typedef void (*conf_report)(void *arg, int warning, const char *file,
    uint32_t line, const char *text);

enum {
	CONF_DRYRUN = 0x01,	/* vmd -n: say what is unused or odd */
	CONF_MISSING_OK = 0x02, /* no such file is an empty one */
	CONF_FILES = 0x04,	/* conf_check() looks for files of VMs */
};

struct conf_opts {
	const char *const *macros; /* "name=value", NULL-terminated */
	unsigned int flags;	   /* CONF_* */
	/* Where relative names begin; NULL: here; "": nobody knows. */
	const char *dir;
	conf_report report;
	void *arg;
	/* 1 if the parent knows a switch of this name already; may be NULL. */
	int (*known_switch)(void *arg, const char *name);
};

/*
 * Read `path' and what it includes, and check all of it.  Reports every
 * problem through `o->report'.  Returns the configuration, which the
 * caller frees, or NULL if there was an error (errno EINVAL) or no memory.
 * Nothing else is touched: no file but configuration files is opened.
 */
struct conf *conf_load(const char *path, const struct conf_opts *o);
void conf_free(struct conf *c);

/*
 * What could never start, and notes of what of the host will change; reports
 * as above; returns the number of errors.  Touches no file unless CONF_FILES
 * is set: then it calls stat(2) for what VMs name, on file systems that may
 * not answer.  So `vmd -n' sets it, the daemon never.
 */
int conf_check(const struct conf *c, const struct conf_opts *o);

#endif
