/*
 * System call filters: the programs were made at build time; here they are
 * put in force, and a denied call is told to the process above.
 */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/msg.h"
#include "lib/sandbox/filter.h"
#include "lib/sandbox/sandbox.h"

static int report_fd = -1;

/* A CTL_LOG message, made by hand: we are in a signal handler. */
struct denial {
	struct imsg_hdr imsg;
	struct msg_hdr hdr;
	uint32_t prio;
	uint32_t len;
	char text[32];
} __attribute__((packed));

static void
denied(int sig, siginfo_t *si, void *ctx)
{
	static const char prefix[] = "denied: system call ";
	struct denial d;
	char digits[12];
	unsigned int nr = (unsigned int)si->si_syscall;
	size_t n = 0, len = sizeof(prefix) - 1, i;

	memset(&d, 0, sizeof(d));
	do {
		digits[n++] = (char)('0' + nr % 10);
		nr /= 10;
	} while (nr > 0);
	memcpy(d.text, prefix, len);
	for (i = 0; i < n; i++)
		d.text[len++] = digits[n - 1 - i];
	d.imsg.type = IMSG_CTL_LOG;
	d.imsg.len = (uint32_t)(offsetof(struct denial, text) + len);
	d.prio = LOG_ERR;
	d.len = (uint32_t)len;
	if (write(report_fd, &d, d.imsg.len) == -1)
		_exit(SB_EXIT_DENIED);
	_exit(SB_EXIT_DENIED);
}

static int
install(const struct sb_filter *f)
{
	const struct sock_filter *prog = f->prog;
	struct sock_fprog fp = { .len = f->len };

	memcpy(&fp.filter, &prog, sizeof(prog));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_TSYNC, &fp) == 0)
		return 0;
	return errno == ENOSYS || errno == EINVAL ? 1 : -1;
}

int
sandbox_seccomp(const char *name, int report)
{
	struct sigaction sa = { .sa_sigaction = denied,
		.sa_flags = SA_SIGINFO | SA_NODEFER };
	size_t i;

	for (i = 0; i < sb_nfilters; i++)
		if (strcmp(sb_filters[i].name, name) == 0)
			break;
	if (i == sb_nfilters) {
		errno = ENOENT;
		return -1;
	}
	report_fd = report;
	if (sigaction(SIGSYS, &sa, NULL) == -1)
		return -1;
	return install(&sb_filters[i]);
}
