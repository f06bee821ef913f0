#ifndef REGRESS_PASST_TEST_H
#define REGRESS_PASST_TEST_H

/*
 * A parent that has guests with one user-mode interface each, for tests of
 * passt.c.
 */

#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
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

#include "lib/util/log.h"
#include "vmd/parent/parent.h"
#include "vmd/parent/passt.h"

#define DEADLINE_S 20
#define NVMS	   3

static struct parent parent;
static struct parent_args args;
static struct vm vms[NVMS];
static struct vm_spec specs[NVMS];
static char *names[NVMS] = { (char[]){ "web1" }, (char[]){ "web2" },
	(char[]){ "web3" } };
static int nprocs, late, nlines;
static pid_t last_pid;
static char lines[8192];

static struct result {
	int n;
	int ok;
	char why[1024];
} results[NVMS];

int
procs_add(struct parent *p, const char *name, enum proc_kind kind, pid_t pid,
    uint32_t own)
{
	assert_int_equal(kind, PROC_PASST);
	last_pid = pid;
	nprocs++;
	return 0;
}

void
procs_del(struct parent *p, pid_t pid)
{
	nprocs--;
}

static void
done(struct vm *v, unsigned int idx, const char *why)
{
	struct result *r = &results[v - vms];

	assert_int_equal(idx, 0);
	r->n++;
	r->ok = why == NULL;
	snprintf(r->why, sizeof(r->why), "%s", why == NULL ? "" : why);
}

static void
take_line(void *arg, int prio, const char *line)
{
	size_t n = strlen(lines);

	nlines++;
	snprintf(lines + n, sizeof(lines) - n, "%s\n", line);
}

static void
too_late(int fd, short ev, void *arg)
{
	late = 1;
}

/* Run the loop until `*what' is `want'. */
static void
until(const int *what, int want)
{
	const struct timeval tv = { .tv_sec = DEADLINE_S };
	struct event *ev = evtimer_new(parent.base, too_late, NULL);

	late = 0;
	event_add(ev, &tv);
	while (*what != want && !late)
		event_base_loop(parent.base, EVLOOP_ONCE);
	event_free(ev);
	assert_int_equal(*what, want);
}

static void
start(unsigned int i, uint16_t port)
{
	struct nic_spec *n = &specs[i].nics[0];

	memset(&results[i], 0, sizeof(results[i]));
	n->forwards[0].proto = IPPROTO_TCP;
	n->forwards[0].port = port;
	n->forwards[0].to = 22;
	n->nforwards = 1;
	assert_int_equal(passt_start(&vms[i], 0, done), 0);
	assert_int_equal(results[i].n, 0); /* from the loop only */
}

/* Start it and wait for what comes of it: NULL, or why not. */
static const char *
run(unsigned int i, uint16_t port)
{
	start(i, port);
	until(&results[i].n, 1);
	assert_int_equal(results[i].ok,
	    fdlist_get(&vms[i].fds, FD_TAP, 0, 0) != -1);
	assert_int_equal(results[i].ok, passt_runs(&vms[i], 0));
	return results[i].ok ? NULL : results[i].why;
}

static void
stop(unsigned int i)
{
	passt_stop(&vms[i]);
	assert_int_equal(fdlist_get(&vms[i].fds, FD_TAP, 0, 0), -1);
	assert_false(passt_runs(&vms[i], 0));
}

static void
nothing_left(void)
{
	until(&nprocs, 0);
	assert_true(LIST_EMPTY(&parent.passts));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static int
setup(void **state)
{
	unsigned int i;

	memset(&parent, 0, sizeof(parent));
	memset(vms, 0, sizeof(vms));
	memset(specs, 0, sizeof(specs));
	memset(lines, 0, sizeof(lines));
	nlines = 0;
	args.passt = "/proc/self/exe";
	parent.args = &args;
	parent.base = event_base_new();
	for (i = 0; i < NVMS; i++) {
		specs[i].name = names[i];
		specs[i].nnics = 1;
		vms[i].parent = &parent;
		vms[i].spec = vms[i].run = &specs[i];
	}
	log_set_sink(take_line, NULL);
	return parent.base == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	unsigned int i;

	passt_clear(&parent);
	for (i = 0; i < NVMS; i++)
		fdlist_close(&vms[i].fds);
	event_base_free(parent.base);
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}

#endif
