/*
 * vmctl and the sandboxed child that works on images: starts it, opens the
 * backing files it names, and says what it found.  What comes from it is
 * not trusted.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "vmctl/cmd_disk.h"

struct server {
	struct vmctl *ctl;
	const char *name;
	const struct job *job;
	struct job_result *r;
	struct imsgbuf ib;
	/* The layers that are open. */
	struct {
		char *path;
		dev_t dev;
		ino_t ino;
	} layers[IMAGE_LAYERS_MAX];
	size_t nlayers;
	int shown; /* progress is on the terminal */
	int done;  /* there is a result */
	int rc;
};

static void
clear_progress(struct server *s)
{
	if (s->shown)
		fprintf(stderr, "\r\033[K");
	s->shown = 0;
}

/* Complain; ends the job. */
static int __attribute__((format(printf, 2, 3)))
fail(struct server *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clear_progress(s);
	complain(s->ctl, s->name, "%s", text);
	s->rc = ST_FAILED;
	return -1;
}

static int
on_progress(struct server *s, struct ibuf *b)
{
	uint64_t done, total;
	char *name;

	if (wire_get_u64(b, &done) == -1 || wire_get_u64(b, &total) == -1)
		return -1;
	if (total == 0 || done > total)
		done = total = 1;
	name = safe(s->name);
	fprintf(stderr, "\r%s: %3u%%", name,
	    (unsigned int)((double)done * 100 / (double)total));
	fflush(stderr);
	free(name);
	s->shown = 1;
	return 0;
}

static int
on_line(struct server *s, struct ibuf *b)
{
	char *line, *text;

	if (wire_get_str(b, &line, JOB_LINE_MAX) == -1 || line == NULL)
		return -1;
	if (s->job->problems != NULL) {
		json_array_append_new(s->job->problems, json_text(line));
	} else {
		clear_progress(s);
		text = safe(line);
		printf("%s\n", text);
		free(text);
	}
	free(line);
	return 0;
}

/* Note a layer and take `path'; -1: it is one of those already. */
static int
remember(struct server *s, int fd, char *path)
{
	struct stat st;
	size_t i;

	if (fstat(fd, &st) == -1)
		return -1;
	for (i = 0; i < s->nlayers; i++)
		if (s->layers[i].dev == st.st_dev &&
		    s->layers[i].ino == st.st_ino)
			return -1;
	s->layers[i].dev = st.st_dev;
	s->layers[i].ino = st.st_ino;
	s->layers[i].path = path;
	s->nlayers++;
	return 0;
}

static int
send_layer(struct server *s, int *fd, int qcow2)
{
	struct ibuf *b = imsg_create(&s->ib, JOBMSG_LAYER, 0, 0, 4);

	if (b == NULL || wire_put_u32(b, (uint32_t)qcow2) == -1 ||
	    imsg_set_fds(b, fd, 1) == -1) {
		ibuf_free(b);
		return fail(s, "%s", strerror(errno));
	}
	imsg_close(&s->ib, b);
	/* If it is gone we hear of that. */
	imsgbuf_flush(&s->ib);
	return 0;
}

/* Open the file `name' that the lowest layer names, and hand it over. */
static int
open_layer(struct server *s, const char *name, enum qcow2_backing fmt)
{
	const char *above = s->layers[s->nlayers - 1].path;
	char why[256], *path = NULL, *text;
	int fd, rc = -1;

	fd = image_open_backing(above, name, &path, &fmt, why, sizeof(why));
	text = safe(path == NULL ? name : path);
	if (fd == -1)
		fail(s, "backing file %s: %s", text, why);
	else if (remember(s, fd, path) == -1)
		fail(s, "backing file %s: the chain leads back to it", text);
	else {
		path = NULL; /* taken */
		rc = send_layer(s, &fd, fmt == QCOW2_BACKING_QCOW2);
	}
	fd_close(&fd);
	free(path);
	free(text);
	return rc;
}

static int
on_backing(struct server *s, struct ibuf *b)
{
	uint32_t fmt;
	char *name;
	int rc = -1;

	if (s->nlayers == 0 || wire_get_str(b, &name, QCOW2_BACKING_MAX) == -1)
		return -1;
	if (name != NULL && wire_get_u32(b, &fmt) == 0 &&
	    fmt >= QCOW2_BACKING_ANY && fmt <= QCOW2_BACKING_QCOW2) {
		if (s->nlayers == IMAGE_LAYERS_MAX)
			fail(s, "more than %d images are chained",
			    IMAGE_LAYERS_MAX);
		else
			rc = open_layer(s, name, fmt);
	}
	free(name);
	return rc;
}

static int
on_result(struct server *s, struct ibuf *b)
{
	char *why, *path;
	size_t i;

	if (job_result_get(b, s->r) == -1)
		return -1;
	s->done = 1;
	clear_progress(s);
	if (s->ctl->verbose && s->r->lacking != 0)
		complain(s->ctl, s->name, "sandbox without%s%s%s",
		    s->r->lacking & LACK_ROOT ? " empty root" : "",
		    s->r->lacking & LACK_LANDLOCK ? " Landlock" : "",
		    s->r->lacking & LACK_FILTER ? " system call filter" : "");
	if ((s->rc = s->r->status) == ST_DONE)
		return 0;
	why = safe(s->r->why);
	i = s->r->layer;
	/* Say which image, if it is not the one on the command line. */
	if (i > 0 && i <= s->nlayers &&
	    strcmp(s->layers[i - 1].path, s->name) != 0) {
		path = safe(s->layers[i - 1].path);
		fail(s, "%s: %s", path, why);
		free(path);
	} else {
		fail(s, "%s", why);
	}
	free(why);
	return 0;
}

/* What the system call filter said. */
static int
on_log(struct server *s, struct ibuf *b)
{
	struct log_line l;
	char *text;

	if (ibuf_skip(b, MSG_HDR_LEN) == -1 || log_line_get(b, &l) == -1)
		return -1;
	text = safe(l.text);
	fail(s, "reading the image: %s", text);
	free(text);
	log_line_fini(&l);
	return -1;
}

static int
on_message(struct server *s, struct imsg *m)
{
	static const struct {
		uint32_t type;
		int (*fn)(struct server *s, struct ibuf *b);
	} fns[] = {
		{ IMSG_CTL_LOG, on_log },
		{ JOBMSG_PROGRESS, on_progress },
		{ JOBMSG_LINE, on_line },
		{ JOBMSG_BACKING, on_backing },
		{ JOBMSG_RESULT, on_result },
	};
	size_t i;

	for (i = 0; i < sizeof(fns) / sizeof(fns[0]); i++)
		if (fns[i].type == imsg_get_type(m))
			return fns[i].fn(s, m->buf);
	return -1;
}

/* Until it has a result, or says nonsense, or ends. */
static void
serve(struct server *s)
{
	struct imsg m;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && !s->done) {
		if ((n = imsg_get(&s->ib, &m)) == -1)
			return;
		if (n == 0) {
			if (imsgbuf_read(&s->ib) != 1)
				return;
			continue;
		}
		rc = on_message(s, &m);
		imsg_free(&m);
	}
}

/* It ends by itself once it has said its result. */
static void
reap(struct server *s, pid_t pid)
{
	int st = 0;

	if (!s->done)
		kill(pid, SIGKILL);
	while (waitpid(pid, &st, 0) == -1 && errno == EINTR)
		;
	if (s->done || s->rc != -1)
		return;
	if (WIFSIGNALED(st) && WTERMSIG(st) != SIGKILL)
		fail(s, "the process that reads the image ended by signal %d",
		    WTERMSIG(st));
	else
		fail(s, "the process that reads the image failed");
}

static int
start(struct server *s, pid_t *pid, int *sock)
{
	pid_t parent = getpid();
	int sv[2];

	fflush(stdout);
	fflush(stderr);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return fail(s, "%s", strerror(errno));
	if ((*pid = fork()) == 0)
		job_child(sv[1], parent, s->job);
	fd_close(&sv[1]);
	if (*pid == -1 || imsgbuf_init(&s->ib, sv[0]) == -1) {
		fail(s, "%s", strerror(errno));
		fd_close(&sv[0]);
		return -1;
	}
	*sock = sv[0];
	return 0;
}

int
job_run(struct vmctl *ctl, const char *name, struct job *job,
    struct job_result *r)
{
	struct server s = { .ctl = ctl,
		.name = name,
		.job = job,
		.r = r,
		.rc = -1 };
	char *path;
	pid_t pid = -1;
	int sock = -1;
	size_t i;

	memset(r, 0, sizeof(*r));
	job->quiet = !isatty(STDERR_FILENO);
	if (job->fd != -1) {
		path = strdup(job->path);
		if (path == NULL || remember(&s, job->fd, path) == -1) {
			fail(&s, "%s", strerror(errno));
			free(path);
			return s.rc;
		}
	}
	if (start(&s, &pid, &sock) == 0) {
		serve(&s);
		reap(&s, pid);
		imsgbuf_clear(&s.ib);
	}
	fd_close(&sock);
	clear_progress(&s);
	for (i = 0; i < s.nlayers; i++)
		free(s.layers[i].path);
	return s.rc;
}
