/*
 * The sandboxed child of vmctl that works on images.  Everything it reads
 * may have been written by a guest or by another user; what it is given are
 * the descriptors of the files and a channel to vmctl, and it keeps the
 * system calls of filter_offline.def.
 */

#include <sys/prctl.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/scaled.h"
#include "vmctl/cmd_disk.h"

#define MB	    (1ULL << 20)
#define SIZE_LIMIT  (SCALED_MAX - (MB - 1)) /* whole megabytes */
#define NOBODY	    65534
#define PROGRESS_MS 100

struct child {
	struct imsgbuf ib;
	const struct job *job;
	struct image_chain *chain;
	struct job_result r;
	int64_t told_ms; /* when progress was sent last */
};

static void __attribute__((noreturn)) child_end(void)
{
	_exit(ST_FAILED);
}

/* Send a body, which may be NULL: then there was no memory. */
static void
send_msg(struct child *c, uint32_t type, struct ibuf *b)
{
	if (b == NULL || imsg_compose_ibuf(&c->ib, type, 0, 0, b) == -1 ||
	    imsgbuf_flush(&c->ib) == -1)
		child_end();
}

static struct ibuf *
body(void)
{
	struct ibuf *b = ibuf_dynamic(0, MAX_IMSGSIZE - IMSG_HEADER_SIZE);

	if (b == NULL)
		child_end();
	return b;
}

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	struct child *c = arg;
	struct timespec ts;
	struct ibuf *b;
	int64_t now_ms;

	if (c->job->quiet)
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now_ms = ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
	if (now_ms < c->told_ms + PROGRESS_MS)
		return;
	c->told_ms = now_ms;
	b = body();
	wire_put_u64(b, done);
	wire_put_u64(b, total);
	send_msg(c, JOBMSG_PROGRESS, b);
}

static void
say(void *arg, const char *line)
{
	struct ibuf *b = body();

	wire_put_str(b, line);
	send_msg(arg, JOBMSG_LINE, b);
}

/* The answer to JOBMSG_BACKING; only vmctl sends, so it is as promised. */
static int
recv_layer(struct child *c, int *qcow2)
{
	struct imsg m;
	uint32_t v;
	ssize_t n;
	int fd;

	while ((n = imsg_get(&c->ib, &m)) == 0)
		if (imsgbuf_read(&c->ib) != 1)
			child_end();
	if (n == -1 || imsg_get_type(&m) != JOBMSG_LAYER ||
	    wire_get_u32(m.buf, &v) == -1 || (fd = imsg_get_fd(&m)) == -1)
		child_end();
	imsg_free(&m);
	*qcow2 = (int)v;
	return fd;
}

/* The image and all below it. */
static int
open_chain(struct child *c)
{
	int fd = c->job->fd, qcow2 = c->job->qcow2;
	const struct qcow2_hdr *h;
	struct ibuf *b;

	if ((c->chain = image_chain_new()) == NULL)
		child_end();
	for (;;) {
		if (image_chain_add(c->chain, fd, qcow2, c->r.why,
			sizeof(c->r.why)) == -1)
			return -1;
		c->r.layers++;
		h = image_chain_last(c->chain);
		if (h == NULL || h->backing_fmt == QCOW2_BACKING_NONE)
			break;
		b = body();
		wire_put_str(b, h->backing);
		wire_put_u32(b, h->backing_fmt);
		send_msg(c, JOBMSG_BACKING, b);
		fd = recv_layer(c, &qcow2);
	}
	c->r.size = image_chain_size(c->chain);
	return 0;
}

static int __attribute__((format(printf, 2, 3)))
refuse(struct child *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->r.why, sizeof(c->r.why), fmt, ap);
	va_end(ap);
	return -1;
}

/* The size of the new image, from what was asked for and the source. */
static int
new_size(struct child *c, struct image_spec *s)
{
	uint64_t src = c->r.size;

	if (c->job->fd == -1)
		return 0;
	if (!c->job->copy) {
		/* An image is made of sectors; a raw base need not be. */
		src = (src + 511) & ~511ULL;
		if (s->size != 0 && s->size != src && c->job->exact != src)
			return refuse(c, "the size of the base is %llu bytes",
			    (unsigned long long)src);
		s->size = src;
		return 0;
	}
	if (s->size == 0)
		s->size = src;
	if (s->size < src && c->job->exact < src)
		return refuse(c, "the source has %llu bytes, more than that",
		    (unsigned long long)src);
	if (s->size < src)
		s->size = src;
	if (s->size > SIZE_LIMIT)
		return refuse(c,
		    "the source has %llu bytes, too large: at most %llu",
		    (unsigned long long)s->size,
		    (unsigned long long)SIZE_LIMIT);
	s->size = (s->size + MB - 1) & ~(MB - 1);
	return 0;
}

static int
do_create(struct child *c)
{
	struct image_spec s = c->job->spec;
	struct image_new *n;
	int rc;

	if (c->job->fd != -1 && open_chain(c) == -1)
		return -1;
	if (!c->job->copy && c->r.layers >= IMAGE_LAYERS_MAX)
		return refuse(c, "more than %d images would be chained",
		    IMAGE_LAYERS_MAX);
	if (new_size(c, &s) == -1)
		return -1;
	n = image_new(c->job->out, &s, c->r.why, sizeof(c->r.why));
	if (n == NULL)
		return -1;
	if (c->job->copy)
		rc = image_convert(c->chain, n, s.size, progress, c, c->r.why,
		    sizeof(c->r.why));
	else
		rc = image_new_finish(n);
	image_new_free(n);
	c->r.size = s.size;
	return rc;
}

static int
do_check(struct child *c)
{
	const struct image_check_how how = {
		.flags = c->job->check_flags,
		.say = say,
		.progress = progress,
		.arg = c,
	};

	return image_check(c->job->fd, &how, &c->r.check, c->r.why,
	    sizeof(c->r.why));
}

/* What is said of the image itself; a raw one has a size only. */
static int
do_info(struct child *c)
{
	off_t end;

	if (c->job->qcow2) {
		if (qcow2_hdr_read(&c->r.h, c->job->fd, QCOW2_FOR_CHECK,
			c->r.why, sizeof(c->r.why)) == -1)
			return -1;
		c->r.size = c->r.h.size;
		return 0;
	}
	if ((end = lseek(c->job->fd, 0, SEEK_END)) == -1)
		return refuse(c, "%s", strerror(errno));
	c->r.size = (uint64_t)end;
	return 0;
}

static int
work(struct child *c)
{
	switch (c->job->kind) {
	case JOB_CREATE:
		return do_create(c);
	case JOB_CHECK:
		if (do_info(c) == -1)
			return -1;
		return c->job->qcow2 ? do_check(c) : 0;
	case JOB_INFO:
		return do_info(c);
	}
	child_end();
}

/* What only root can give up.  The ids are nobody's. */
static int
confine_root(uint32_t *lacking, const char **what)
{
	*what = "empty root";
	if (sandbox_empty_root() == 0) {
		*what = "namespaces";
		if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == -1)
			return -1;
	} else if (errno == EPERM) {
		*lacking |= LACK_ROOT; /* root of a container */
	} else {
		return -1;
	}
	*what = "ids";
	if (setgroups(0, NULL) == -1 || setresgid(NOBODY, NOBODY, NOBODY) == -1)
		return -1;
	return setresuid(NOBODY, NOBODY, NOBODY);
}

static int
confine(int sock, pid_t parent, uint32_t *lacking, const char **what)
{
	int rc;

	if (geteuid() == 0 && confine_root(lacking, what) == -1)
		return -1;
	if (sandbox_lock(what) == -1)
		return -1;
	*what = "parent death signal";
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return -1;
	if (getppid() != parent)
		child_end();
	*what = "Landlock";
	if ((rc = sandbox_landlock(0)) == -1)
		return -1;
	if (rc == 1)
		*lacking |= LACK_LANDLOCK;
	*what = "system call filter";
	if ((rc = sandbox_seccomp("offline", sock)) == -1)
		return -1;
	if (rc == 1)
		*lacking |= LACK_FILTER;
	return 0;
}

/* Nothing of the caller's but the files of the job. */
static void
keep_only(int sock, const struct job *job)
{
	const int keep[] = { sock, job->fd, job->out };
	unsigned int from = 0;
	int next;
	size_t i;

	do {
		next = INT_MAX;
		for (i = 0; i < sizeof(keep) / sizeof(keep[0]); i++)
			if (keep[i] >= (int)from && keep[i] < next)
				next = keep[i];
		if (next > (int)from)
			close_range(from, (unsigned int)next - 1, 0);
		from = (unsigned int)next + 1;
	} while (next != INT_MAX);
}

void
job_child(int sock, pid_t parent, const struct job *job)
{
	struct child c = { .job = job };
	const char *what = "channel";
	struct ibuf *b;

	keep_only(sock, job);
	if (imsgbuf_init(&c.ib, sock) == -1)
		child_end();
	imsgbuf_allow_fdpass(&c.ib);
	c.r.status = ST_FAILED;
	if (confine(sock, parent, &c.r.lacking, &what) == -1)
		refuse(&c, "sandbox: %s: %s", what, strerror(errno));
	else if (work(&c) == 0)
		c.r.status = ST_DONE;
	if (c.r.status != ST_DONE) {
		memset(&c.r.h, 0, sizeof(c.r.h)); /* refused half-way */
		if (c.chain != NULL)
			c.r.layer = (uint32_t)(image_chain_failed(c.chain) + 1);
	}
	b = body();
	if (job_result_put(b, &c.r) == -1)
		child_end();
	send_msg(&c, JOBMSG_RESULT, b);
	_exit(ST_DONE);
}
