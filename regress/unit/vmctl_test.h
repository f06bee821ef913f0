#ifndef UNIT_VMCTL_TEST_H
#define UNIT_VMCTL_TEST_H

/*
 * What the tests of vmctl share: a daemon that says what the test wants, and
 * the program run against it.
 */

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proto/wire.h"
#include "vmctl/vmctl.h"

#define DEADLINE 60 /* seconds for any one run */

/* A request as the fake daemon got it. */
struct request {
	struct imsgbuf *ib;
	uint32_t type;
	uint64_t reqid;
	struct ibuf *body;
	int *fds;
	size_t nfds;
};
/* Answer; 0, or -1 to close the connection. */
typedef int (*fake_fn)(struct request *r);

static char fake_dir[] = "/tmp/vmctl_test.XXXXXX";
static char fake_sock[64];
static char out[65536];
static char err[65536];

static void
fake_send(struct request *r, uint32_t type, const void *data, size_t len,
    int fd)
{
	struct ibuf *b = imsg_create(r->ib, type, 0, 0, len + MSG_HDR_LEN);

	if (b == NULL || wire_put_u64(b, r->reqid) == -1 ||
	    wire_put_u64(b, 0) == -1 || ibuf_add(b, data, len) == -1 ||
	    (fd != -1 && imsg_set_fds(b, &fd, 1) == -1))
		_exit(99);
	imsg_close(r->ib, b);
}

static inline void
fake_result(struct request *r, uint32_t type, const struct vmop_result *res,
    int fd)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	if (b == NULL || vmop_result_put(b, res) == -1)
		_exit(99);
	fake_send(r, type, ibuf_data(b), ibuf_size(b), fd);
	ibuf_free(b);
}

static int
fake_dispatch(struct imsgbuf *ib, struct imsg *im, fake_fn fn)
{
	struct request r = { .ib = ib, .type = imsg_get_type(im) };
	uint64_t conn;

	if (wire_get_u64(im->buf, &r.reqid) == -1 ||
	    wire_get_u64(im->buf, &conn) == -1 || conn != 0)
		_exit(98);
	r.body = im->buf;
	r.nfds = imsg_get_fds(im, &r.fds);
	return fn(&r);
}

static void
fake_serve(int lfd, fake_fn fn)
{
	struct imsgbuf ib;
	struct imsg im;
	int fd, rc;

	for (;;) {
		if ((fd = accept(lfd, NULL, NULL)) == -1)
			_exit(97);
		imsgbuf_init(&ib, fd);
		imsgbuf_allow_fdpass(&ib);
		imsgbuf_set_maxsize(&ib, MSG_MAXSIZE);
		rc = 0;
		while (rc == 0 && imsgbuf_read(&ib) == 1)
			while (rc == 0 && imsg_get(&ib, &im) > 0) {
				rc = fake_dispatch(&ib, &im, fn);
				imsg_free(&im);
				imsgbuf_flush(&ib);
			}
		imsgbuf_clear(&ib);
		close(fd);
	}
}

/* A daemon that answers with `fn'; NULL: nobody listens. */
static pid_t
fake_start(fake_fn fn)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	pid_t pid;
	int fd;

	unlink(fake_sock);
	if (fn == NULL)
		return -1;
	strcpy(sun.sun_path, fake_sock);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		alarm(DEADLINE);
		fake_serve(fd, fn);
	}
	close(fd);
	return pid;
}

static void
fake_stop(pid_t pid)
{
	int st;

	if (pid == -1)
		return;
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	/* It ended by our signal, not by a complaint of its own. */
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
}

/* vmctl in a process, with these as its descriptors 0 to 2. */
static pid_t
vmctl_spawn(char **argv, int in, int to, int e)
{
	int argc;
	pid_t pid;

	fflush(stdout);
	fflush(stderr);
	assert_int_not_equal(pid = fork(), -1);
	if (pid != 0)
		return pid;
	alarm(DEADLINE);
	dup2(in, 0);
	dup2(to, 1);
	dup2(e, 2);
	for (argc = 0; argv[argc] != NULL; argc++)
		;
	exit(vmctl_main(argc, argv));
}

static void
slurp(FILE *f, char *buf)
{
	size_t n;

	rewind(f);
	n = fread(buf, 1, 65535, f);
	buf[n] = '\0';
	fclose(f);
}

/*
 * Run "vmctl -s SOCKET" with the words of `line' against `fn'.  Leaves what
 * it wrote in `out' and `err'; returns its exit status.
 */
static inline int
vmctl(fake_fn fn, const char *line)
{
	static char prog[] = "vmctl", opt[] = "-s";
	char *argv[32] = { prog, opt, fake_sock }, *copy = strdup(line), *p;
	FILE *o = tmpfile(), *e = tmpfile(), *in = tmpfile();
	pid_t daemon = fake_start(fn), pid;
	int n = 3, st;

	assert_true(o != NULL && e != NULL && in != NULL && copy != NULL);
	for (p = strtok(copy, " "); p != NULL && n < 31; p = strtok(NULL, " "))
		argv[n++] = p;
	argv[n] = NULL;
	pid = vmctl_spawn(argv, fileno(in), fileno(o), fileno(e));
	assert_int_equal(waitpid(pid, &st, 0), pid);
	fake_stop(daemon);
	free(copy);
	fclose(in);
	slurp(o, out);
	slurp(e, err);
	if (!WIFEXITED(st))
		fail_msg("vmctl %s: wait status %#x: %s", line, st, err);
	return WEXITSTATUS(st);
}

static inline int
fake_setup(void **state)
{
	if (mkdtemp(fake_dir) == NULL)
		return -1;
	snprintf(fake_sock, sizeof(fake_sock), "%s/sock", fake_dir);
	return 0;
}

static inline int
fake_teardown(void **state)
{
	unlink(fake_sock);
	return rmdir(fake_dir);
}

#endif
