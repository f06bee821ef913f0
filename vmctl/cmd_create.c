/*
 * create: a new disk image, empty, over a base, or a copy of another one.
 */

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/scaled.h"
#include "vmctl/cmd_disk.h"

#define MB (1ULL << 20)

struct create {
	const char *base;
	const char *input;
	const char *size;
	const char *disk;    /* as given */
	const char *path;    /* without prefix */
	const char *backing; /* name to be recorded */
	char *allocated;
};

/* As for the memory of VMs: whole megabytes. */
static int
parse_size(struct vmctl *ctl, const char *s, struct job *job)
{
	uint64_t n;

	if (scaled_parse(s, &n) == -1) {
		if (errno == ERANGE)
			complain(ctl, NULL,
			    "invalid size: too large: at most %llu bytes",
			    (unsigned long long)SCALED_MAX);
		else
			complain(ctl, NULL, "invalid size: not a number");
		return ST_FAILED;
	}
	if (n < MB) {
		complain(ctl, NULL, "size must be at least one megabyte");
		return ST_FAILED;
	}
	job->exact = n;
	job->spec.size = n - n % MB;
	if (job->spec.size != n)
		fprintf(stderr, "vmctl: size rounded to %llu megabytes\n",
		    (unsigned long long)(n / MB));
	return ST_DONE;
}

static int
parse(struct vmctl *ctl, int argc, char **argv, struct create *c)
{
	int ch;

	while ((ch = next_opt(ctl, argc, argv)) != -1) {
		switch (ch) {
		case 'b':
			c->base = optarg;
			break;
		case 'i':
			c->input = optarg;
			break;
		case 's':
			c->size = optarg;
			break;
		default:
			return ST_USAGE;
		}
	}
	if ((c->disk = one_operand(argc, argv)) == NULL)
		return ST_USAGE;
	if (c->base != NULL && c->input != NULL) {
		complain(ctl, NULL, "conflicting -b and -i arguments");
		return ST_USAGE;
	}
	if (c->base == NULL && c->input == NULL && c->size == NULL) {
		complain(ctl, NULL, "missing size argument");
		return ST_USAGE;
	}
	return ST_DONE;
}

/* Does `name', as seen from the new image, lead to the file `fd'? */
static int
leads_to(const struct create *c, const char *name, int fd)
{
	const char *slash = strrchr(c->path, '/');
	struct stat a, b;
	char *s = NULL;
	int same;

	if (name[0] != '/' && slash != NULL &&
	    asprintf(&s, "%.*s/%s", (int)(slash - c->path), c->path, name) ==
		-1)
		return 0;
	same = stat(s == NULL ? name : s, &a) == 0 && fstat(fd, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	free(s);
	return same;
}

/*
 * The name of the base as it is recorded: as given, if that is found from
 * where the image is and no program takes it for a protocol.
 */
static int
backing_name(struct create *c, const char *path, int fd)
{
	size_t first = strcspn(path, ":/");

	c->backing = path;
	if (path[first] != ':' && leads_to(c, path, fd))
		return 0;
	c->backing = c->allocated = realpath(path, NULL);
	return c->allocated == NULL ? -1 : 0;
}

/* Open the base or what is to be copied. */
static int
open_source(struct vmctl *ctl, struct create *c, struct job *job)
{
	const char *arg = c->base != NULL ? c->base : c->input;
	char why[256], *s;
	int rc;

	if (arg == NULL)
		return ST_DONE;
	image_prefix(arg, &job->path);
	if ((job->fd = image_open(job->path, 0, 1, why, sizeof(why))) == -1) {
		rc = file_status(errno);
		s = safe(job->path);
		complain(ctl, c->path, "%s: %s", s, why);
		free(s);
		return rc;
	}
	job->qcow2 = image_format(arg, job->fd) == FMT_QCOW2;
	job->copy = c->input != NULL;
	if (c->base == NULL)
		return ST_DONE;
	if (backing_name(c, job->path, job->fd) == -1) {
		complain(ctl, c->path, "%s", strerror(errno));
		return ST_FAILED;
	}
	job->spec.backing = c->backing;
	job->spec.backing_qcow2 = job->qcow2;
	return ST_DONE;
}

static int
report(const struct vmctl *ctl, const struct create *c, const struct job *job,
    const struct job_result *r)
{
	const char *fmt = job->spec.qcow2 ? "qcow2" : "raw";

	if (!ctl->json) {
		fprintf(stderr, "vmctl: %s imagefile created\n", fmt);
		return ST_DONE;
	}
	return print_json(json_pack("{s:o,s:s,s:I,s:o}", "file",
	    json_text(c->path), "format", fmt, "size", (json_int_t)r->size,
	    "backing", json_text(c->backing)));
}

/* A new file, the work, its name. */
static int
make(struct vmctl *ctl, const struct create *c, struct job *job)
{
	struct job_result r;
	struct new_file f;
	int rc;

	if (newfile_open(&f, c->path) == -1) {
		rc = errno;
		complain(ctl, c->path, "%s", strerror(rc));
		rc = file_status(rc);
		return rc;
	}
	job->out = f.fd;
	rc = job_run(ctl, c->path, job, &r);
	if (rc == ST_DONE && newfile_commit(&f) == -1) {
		rc = errno;
		complain(ctl, c->path, "%s", strerror(rc));
		rc = file_status(rc);
	}
	newfile_close(&f);
	return rc == ST_DONE ? report(ctl, c, job, &r) : rc;
}

int
cmd_create(struct vmctl *ctl, int argc, char **argv)
{
	struct create c = { 0 };
	struct job job = { .kind = JOB_CREATE, .fd = -1, .out = -1 };
	int rc;

	if ((rc = parse(ctl, argc, argv, &c)) != ST_DONE)
		return rc;
	image_prefix(c.disk, &c.path);
	job.spec.qcow2 = image_format(c.disk, -1) == FMT_QCOW2;
	if (c.base != NULL && !job.spec.qcow2) {
		complain(ctl, c.path, "base images require qcow2 disk format");
		return ST_FAILED;
	}
	if (c.size != NULL && (rc = parse_size(ctl, c.size, &job)) != ST_DONE)
		return rc;
	if ((rc = open_source(ctl, &c, &job)) == ST_DONE)
		rc = make(ctl, &c, &job);
	fd_close(&job.fd);
	free(c.allocated);
	return rc;
}
