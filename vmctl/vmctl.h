#ifndef VMCTL_VMCTL_H
#define VMCTL_VMCTL_H

#include <stdint.h>
#include <jansson.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/msg.h"
#include "lib/proto/vmerr.h"
#include "lib/proto/vminfo.h"
#include "lib/util/fdlist.h"
#include "lib/util/scaled.h"

/*
 * vmctl: the control program of vmd.  One connection, one request at a time,
 * everything blocks.
 */

#define VMCTL_SOCKET "/run/vmd/vmd.sock"

/* Exit statuses; vmerr_status() knows those of failed requests. */
enum {
	ST_DONE,
	ST_FAILED,
	ST_USAGE,
	ST_NOTFOUND,
	ST_ALREADY,
	ST_PERM,
	ST_TIMEOUT,
	ST_NODAEMON
};

struct cmd;

struct vmctl {
	const char *socket;
	int verbose;
	int json;
	const struct cmd *cmd;
	int fd; /* to vmd, -1: not connected */
	struct imsgbuf ib;
	uint64_t reqid;		 /* of the latest request */
	unsigned int patience_s; /* see client_patience() */
	int patience_given;	 /* -t: commands do not change it */
};

/*
 * A command.  `run' finds its options with next_opt() and returns an exit
 * status; ST_USAGE prints the usage.
 */
struct cmd {
	const char *name;
	const char *opts;  /* for getopt(3) */
	const char *usage; /* what follows the name */
	int (*run)(struct vmctl *ctl, int argc, char **argv);
};

extern const struct cmd commands[];
extern const size_t ncommands;

/* The whole program but for exit(3).  Returns the exit status. */
int vmctl_main(int argc, char **argv);
/*
 * The next option, -1 after the last; `j' is handled here.  Operands may
 * stand before, between and after the options.
 */
int next_opt(struct vmctl *ctl, int argc, char **argv);
/* The one operand, or NULL if there is none or there are more. */
const char *one_operand(int argc, char **argv);

int cmd_audit(struct vmctl *ctl, int argc, char **argv);
int cmd_console(struct vmctl *ctl, int argc, char **argv);
int cmd_create(struct vmctl *ctl, int argc, char **argv);
int cmd_disable(struct vmctl *ctl, int argc, char **argv);
int cmd_disk(struct vmctl *ctl, int argc, char **argv);
int cmd_enable(struct vmctl *ctl, int argc, char **argv);
int cmd_host(struct vmctl *ctl, int argc, char **argv);
int cmd_load(struct vmctl *ctl, int argc, char **argv);
int cmd_log(struct vmctl *ctl, int argc, char **argv);
int cmd_pause(struct vmctl *ctl, int argc, char **argv);
int cmd_reload(struct vmctl *ctl, int argc, char **argv);
int cmd_reset(struct vmctl *ctl, int argc, char **argv);
int cmd_start(struct vmctl *ctl, int argc, char **argv);
int cmd_status(struct vmctl *ctl, int argc, char **argv);
int cmd_stop(struct vmctl *ctl, int argc, char **argv);
int cmd_unpause(struct vmctl *ctl, int argc, char **argv);
int cmd_wait(struct vmctl *ctl, int argc, char **argv);

/* --- client.c: the connection ------------------------------------------ */

/* An answer; ends with answer_fini(). */
struct answer {
	uint32_t type;
	struct ibuf body; /* what follows the header */
	struct imsg im;
};

/*
 * What ordinary requests may take; less in tests.  A start takes longer: vmd
 * has deadlines of its own for that.
 */
extern unsigned int client_patience_s;
#define START_PATIENCES 4
#define PATIENCE_MAX_S	86400

/*
 * How many seconds a command waits for each answer, 0: for ever; what the
 * user said with -t wins.
 */
void client_patience(struct vmctl *ctl, unsigned int seconds);

/* Connect unless connected; 0, or -1 with errno, without a message. */
int client_try(struct vmctl *ctl);
/* ... ST_DONE, or another status after a message. */
int client_connect(struct vmctl *ctl);
void client_close(struct vmctl *ctl);
/*
 * Connect and send a request.  `body' (may be NULL) is freed in every
 * case.  ST_DONE, or another status after a message.
 */
int client_send(struct vmctl *ctl, uint32_t type, struct ibuf *body);
int client_send_id(struct vmctl *ctl, uint32_t type, const struct vmop_id *op);
/*
 * Wait for the next answer to the latest request; as above, ST_TIMEOUT when
 * there is none for `patience_s'.
 */
int client_recv(struct vmctl *ctl, struct answer *a);
void answer_fini(struct answer *a);
/* Read a body; ST_DONE, or ST_FAILED after a message. */
int answer_result(struct vmctl *ctl, struct answer *a, struct vmop_result *r);
/* Send and wait for an answer that is a vmop_result. */
int client_ask(struct vmctl *ctl, uint32_t type, const struct vmop_id *op,
    uint32_t *answer, struct vmop_result *r);

/* --- list.c: GET_INFO_VM ----------------------------------------------- */

struct vm_list {
	struct vm_info *vms;
	size_t n;
};
/*
 * All VMs, or the one called `name'; VMOP_DEVICES in `flags' for what their
 * devices do.  Returns a status; ST_NOTFOUND comes without a message.
 * vm_list_fini() in every case.
 */
int vm_list_get(struct vmctl *ctl, const char *name, uint32_t flags,
    struct vm_list *l);
void vm_list_fini(struct vm_list *l);

/* --- print.c: what people and programs read ---------------------------- */

/* `s' encoded with vis(3); the caller frees.  NULL becomes "". */
char *safe(const char *s);
/* "vmctl: start web1: text" on stderr; `name' may be NULL. */
void complain(const struct vmctl *ctl, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "stopping vm web1: ", or "stopping vm: " for NULL; its end. */
void progress_begin(const char *verb, const char *name);
void progress_end(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Complain about a failed request; the exit status for it. */
int complain_result(const struct vmctl *ctl, const char *name,
    const struct vmop_result *r);
/* Why a request failed, encoded; the caller frees. */
char *result_text(const struct vmop_result *r);
/* Take `j', print it as a line; ST_DONE or ST_FAILED. */
int print_json(json_t *j);
/* A string, or null for NULL. */
json_t *json_text(const char *s);
/* "user[:group]", names where they are known; the caller frees. */
char *owner_text(const struct vm_info *i);
/* Is there a process? */
int vm_running(const struct vm_info *i);
/* The status table: its header, a row. */
void print_header(void);
void print_row(const struct vm_info *i);
json_t *vm_json(const struct vm_info *i);
/* A field of a table: encoded, never empty or with a blank; freed by you. */
char *table_field(const char *s);
/* ... a number, or a size: "-" if it is not known. */
#define COUNT_LEN 24
const char *table_count(int known, uint64_t n, char buf[COUNT_LEN]);
const char *table_bytes(int known, uint64_t n, char buf[SCALED_LEN]);
json_t *number_or_null(int known, uint64_t n);

/* --- print_dev.c: the devices of a VM ---------------------------------- */

/* Nothing, or a table after an empty line. */
void print_devices(const struct vm_info *i);
/* An array, or null. */
json_t *devices_json(const struct vm_info *i);

/* --- print_nic.c: its interfaces, the same way ------------------------- */

void print_nics(const struct vm_info *i);
json_t *nics_json(const struct vm_info *i);

/* --- console.c --------------------------------------------------------- */

/* Attach to `name' with VMOP_* `flags' until it is left or closed. */
int console_run(struct vmctl *ctl, const char *name, uint32_t flags);

/* --- escape.c: what is typed ------------------------------------------- */

enum esc_event {
	ESC_NONE,
	ESC_HELP,
	ESC_BREAK,
	ESC_LEAVE
};
struct escape {
	int bol;   /* at the beginning of a line */
	int tilde; /* one was typed there */
};
/*
 * Copy typed bytes from `in' to `out' (room for 2 * len) without escapes;
 * `*outlen' gets the count.  Returns the last event; at ESC_LEAVE and
 * ESC_BREAK it stops and `*used' gets what it took of `in'.
 */
enum esc_event escape_filter(struct escape *e, const char *in, size_t len,
    char *out, size_t *outlen, size_t *used);

#endif
