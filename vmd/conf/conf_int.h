#ifndef CONF_CONF_INT_H
#define CONF_CONF_INT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <bsd/sys/queue.h>

#include "vmd/conf/conf.h"

/* Inside vmd/conf: one run of the parser. */

#define CONF_MAXFILE   (1U << 20)  /* bytes of one file */
#define CONF_MAXTOTAL  (16U << 20) /* bytes of all */
#define CONF_MAXFILES  4096	   /* read, the same one counts again */
#define CONF_MAXDEPTH  16	   /* of includes */
#define CONF_MAXTOKEN  8096
#define CONF_MAXEXPAND (16U << 20) /* bytes that macros may expand to */

struct macro {
	TAILQ_ENTRY(macro) entry;
	char *name;
	char *value;
	int used;
	int fixed; /* -D */
};

/* A file being read. */
struct source {
	struct source *below;
	char *name;
	char *data;
	size_t len;
	size_t pos;
	uint32_t line;
	dev_t dev;
	ino_t ino;
	int ended; /* its end was read as a newline */
};

/* What may be given once in a block. */
enum conf_word {
	W_BOOT,
	W_CDROM,
	W_CMDLINE,
	W_CONSOLE_LOG,
	W_CPUS,
	W_DISK_FORMAT,
	W_DISK_SERIAL,
	W_GROUP,
	W_ID,
	W_INITRD,
	W_INTERFACE,
	W_INTERFACES,
	W_LLADDR,
	W_MEMORY,
	W_MTU,
	W_OWNER,
	W_RDOMAIN,
	W_RESTART,
	W_STOP_TIMEOUT,
	W_SWITCH,
	W_VMS,
	W_MAX
};

/* ... and once in all files. */
enum conf_global {
	G_DNS,
	G_DOMAIN,
	G_KILL_TIMEOUT,
	G_NTP,
	G_RESET_LIMIT,
	G_STATUS,
	G_MAX
};

struct parser {
	const struct conf_opts *opts;
	struct conf *conf;
	struct source *src; /* innermost */
	unsigned int depth;
	unsigned int nfiles; /* read so far */
	size_t total;	     /* their bytes */
	TAILQ_HEAD(, macro) macros;
	uint16_t *back; /* characters read again, a stack */
	size_t nback;
	size_t sback;
	int from_macro;	 /* the last character was */
	size_t expanded; /* bytes so far */
	char *file;	 /* of the last token */
	uint32_t line;	 /* the same */
	int errors;
	int complained; /* the lexer, about this token */
	char tok[CONF_MAXTOKEN];
	/* What is being built. */
	struct vm_spec *vm;
	struct nic_spec *nic;
	struct conf_switch *sw;
	struct conf_limit *limit;
	int sw_disabled;
	uint32_t first[W_MAX]; /* line where it was given, or 0 */
	/* The same, with the file. */
	uint32_t global_line[G_MAX];
	char *global_file[G_MAX];
};

/* A user and a group as `owner' gives them. */
struct owner {
	uint32_t uid;
	int64_t gid;
};

/* conf.c */
/*
 * `path' from where relative names begin, as an absolute one that has room
 * for PATH_MAX bytes.  0, or -1 with errno.
 */
int conf_path(const struct parser *p, const char *path, char *full);

/* lex.c */
int conf_push(struct parser *p, const char *path);
void conf_pop(struct parser *p);
int macro_set(struct parser *p, const char *name, const char *value, int fixed);
void macros_free(struct parser *p);
void conf_error(struct parser *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void conf_warning(struct parser *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void conf_report_at(struct parser *p, int warning, const char *file,
    uint32_t line, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * build*.c: what the grammar calls.  0, or -1 after conf_error().  Strings
 * stay the caller's.
 */
int vm_begin(struct parser *p, const char *name, const char *parent);
void vm_end(struct parser *p);
int vm_disk(struct parser *p, const char *path);
int vm_disk_format(struct parser *p, const char *format);
int vm_disk_serial(struct parser *p, const char *serial);
void vm_disk_readonly(struct parser *p);
int vm_boot(struct parser *p, const char *path);
int vm_cdrom(struct parser *p, const char *path);
int vm_initrd(struct parser *p, const char *path);
int vm_cmdline(struct parser *p, const char *text);
int vm_console_log(struct parser *p, const char *path);
int vm_memory_number(struct parser *p, int64_t n);
int vm_memory_string(struct parser *p, const char *s);
int vm_interfaces(struct parser *p, int64_t n);
int vm_cpus(struct parser *p, int64_t n);
int vm_id(struct parser *p, int64_t n);
int vm_restart(struct parser *p, const char *how);
int vm_stop_timeout(struct parser *p, int64_t n);
int nic_begin(struct parser *p, const char *type, int local);
void nic_end(struct parser *p);
int nic_mtu(struct parser *p, int64_t n);
/* `to' 0: the same port; -1: what was given as 0. */
int nic_forward(struct parser *p, int proto, int64_t port, int64_t to);
int nic_lladdr(struct parser *p, const char *addr, int lock);
int set_switch_name(struct parser *p, const char *name);
int set_group(struct parser *p, char **to, const char *name);
int set_rdomain(struct parser *p, uint32_t *to, int64_t n);
int sw_begin(struct parser *p, const char *name);
int sw_interface(struct parser *p, const char *name);
void sw_end(struct parser *p);
int vm_owner(struct parser *p, const struct owner *o);
int owner_number(struct parser *p, int64_t n, struct owner *o);
int owner_string(struct parser *p, const char *s, struct owner *o);
int limit_begin(struct parser *p, int group, const char *name);
int limit_number(struct parser *p, enum conf_word w, uint32_t *to, int64_t n);
int limit_memory(struct parser *p, const char *s, int64_t n);
void limit_end(struct parser *p);
void limit_free(struct conf_limit *l);
int local_prefix(struct parser *p, const char *s);
int local_prefix6(struct parser *p, const char *s);
int local_nat(struct parser *p);
int dns_begin(struct parser *p);
int dns_server(struct parser *p, const char *s);
int ntp_begin(struct parser *p);
int ntp_server(struct parser *p, const char *s);
int domain(struct parser *p, const char *name);
int firmware(struct parser *p, const char *path);
int status_shows(struct parser *p, const char *what);
int agentx_context(struct parser *p, const char *s);
int agentx_path(struct parser *p, const char *s);
int staggered(struct parser *p, int64_t parallel, int64_t delay);
int reset_limit(struct parser *p, int64_t n, int64_t seconds);
int kill_timeout(struct parser *p, int64_t n);
/* For the others in build*.c: is this the first `w' of its block? */
int once(struct parser *p, enum conf_word w);
/* ... and of all files, where it is called `what'? */
int once_global(struct parser *p, enum conf_global g, const char *what);
/* A new block, or a part of one, begins: forget these. */
void forget(struct parser *p, const enum conf_word *w, size_t n);
/* Copy `s' to `*to', in place of what it had. */
int set_string(struct parser *p, char **to, const char *s);
/* ... and a path, so that it means the same in any directory. */
int set_path(struct parser *p, char **to, const char *what, const char *path);
/* ... and a number from `least' to `most'. */
int set_number(struct parser *p, uint32_t *to, const char *what, int64_t n,
    int64_t least, int64_t most);

/* check.c: what can be said when all was read. */
void conf_check_all(struct parser *p);
/* check_net.c: of interfaces, a part of it. */
void conf_check_nets(struct parser *p);
/* ... of one against one before it, or against itself. */
void conf_check_net_pair(struct parser *p, const struct vm_spec *s,
    const struct vm_spec *o);
/* What of the host the interfaces will change, for conf_check(). */
void conf_note_nets(const struct conf *c, const struct conf_opts *o);

#endif
