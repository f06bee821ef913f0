#ifndef VMCTL_CMD_DISK_H
#define VMCTL_CMD_DISK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/disk/check.h"
#include "vmctl/vmctl.h"

/*
 * Work on disk images without the daemon.  The images are read and written
 * by a sandboxed child, which has no names but only descriptors; names of
 * backing files come from it and are opened here, with the rights of the
 * one who runs vmctl.
 */

enum job_kind {
	JOB_INFO,  /* what the header says */
	JOB_CHECK, /* and walk its tables */
	JOB_CREATE /* a new image: empty, over a base, or a copy */
};

/* What an image is; from the child, numbers and texts are anything. */
struct job_result {
	int status;	  /* ST_DONE or ST_FAILED */
	char why[256];	  /* ST_FAILED: the cause */
	uint32_t layer;	  /* 1 + number of the one it is about, or 0 */
	uint32_t lacking; /* LACK_*: what the sandbox is without */
	uint64_t size;	  /* of the disk, bytes */
	uint64_t layers;  /* that were opened */
	struct qcow2_hdr h;
	struct image_check check;
};

#define LACK_ROOT     0x1
#define LACK_LANDLOCK 0x2
#define LACK_FILTER   0x4

struct job {
	enum job_kind kind;
	/* The image that is looked at, copied, or the base; or -1. */
	int fd;
	int qcow2;
	const char *path;
	unsigned int check_flags;
	json_t *problems; /* an array for what a check finds, or NULL */
	/* JOB_CREATE */
	int out;
	struct image_spec spec; /* size 0: that of the source */
	uint64_t exact;		/* size as given, before rounding */
	int copy;		/* copy the source, it is no base */
	int quiet;		/* no progress */
};

/* --- cmd_disk_proc.c: the parent's side ----------------------------------- */

/*
 * Run a job.  Problems that a check finds go to `job->problems' or
 * stdout; progress to a terminal on stderr.  ST_DONE with `r' filled in,
 * or a status after a message that names `job->path' or `name'.
 */
int job_run(struct vmctl *ctl, const char *name, struct job *job,
    struct job_result *r);

/* --- cmd_disk_child.c ------------------------------------------------------ */

/* Messages from the child; all bodies as in lib/proto/wire.h. */
enum {
	/* Beside IMSG_CTL_LOG, a denied system call. */
	JOBMSG_PROGRESS = IMSG_TYPE_MAX, /* done u64, total u64 */
	JOBMSG_LINE,			 /* a problem of a check: str */
	JOBMSG_BACKING,			 /* name str, enum qcow2_backing u32 */
	JOBMSG_RESULT,
	/* To it, with the descriptor: is it qcow2 u32. */
	JOBMSG_LAYER
};
#define JOB_LINE_MAX 256

/* In the child of `parent', with its end of the channel; ends it. */
void job_child(int sock, pid_t parent, const struct job *job)
    __attribute__((noreturn));

/* --- cmd_disk_wire.c ------------------------------------------------------- */

int job_result_put(struct ibuf *b, const struct job_result *r);
/* 0, or -1 with errno: it is not well-formed. */
int job_result_get(struct ibuf *b, struct job_result *r);

/* --- cmd_disk_open.c: names, formats, locks ------------------------------- */

enum image_format {
	FMT_UNKNOWN,
	FMT_RAW,
	FMT_QCOW2
};

/*
 * The format that an operand itself tells, by its prefix; `*path' is what
 * follows it.
 */
enum image_format image_prefix(const char *arg, const char **path);
/*
 * The format of a name, opened as `fd' or -1: prefix, signature, extension;
 * else raw.
 */
enum image_format image_format(const char *arg, int fd);
/*
 * Open a regular file or block device and lock it, for reading together
 * with other readers; `rw': alone.  `lock' 0: do not.  Or -1 with errno
 * and a sentence in `why'.
 */
int image_open(const char *path, int rw, int lock, char *why, size_t len);
/*
 * Open the backing file `name' of the image at `above'; its path goes to
 * `*path', which the caller frees, if there is memory for it.  `fmt' becomes
 * RAW or QCOW2.  As above.
 */
int image_open_backing(const char *above, const char *name, char **path,
    enum qcow2_backing *fmt, char *why, size_t len);

/* The exit status for an errno. */
int file_status(int error);

/* A file that gets its name when it is complete. */
struct new_file {
	int fd;
	const char *path;
	int named; /* has a name of its own meanwhile, see newfile_open() */
};
/*
 * A new empty file beside `path', which must not exist.  0, or -1 with errno.
 * Nothing is left if we are ended by a signal.
 */
int newfile_open(struct new_file *f, const char *path);
/* Give it its name, unless something has it; 0 or -1 with errno. */
int newfile_commit(struct new_file *f);
/* Close; drop it if it has no name. */
void newfile_close(struct new_file *f);

#endif
