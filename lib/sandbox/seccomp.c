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
#include <ucontext.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/msg.h"
#include "lib/sandbox/filter.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"

/* Where denied calls are told: a channel, or a log that wants text. */
static struct {
	int fd;
	const char *prefix; /* of a line of text; NULL: a message */
} report = { .fd = -1 };

/* A CTL_LOG message, made by hand: we are in a signal handler. */
struct denial {
	struct imsg_hdr imsg;
	struct msg_hdr hdr;
	uint32_t prio;
	uint32_t len;
	char text[128];
} __attribute__((packed));

static void
add_text(struct denial *d, const char *s)
{
	while (*s != '\0' && d->len < sizeof(d->text))
		d->text[d->len++] = *s++;
}

static void
add_number(struct denial *d, unsigned int v, unsigned int base)
{
	char digits[12];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v > 0);
	while (n > 0 && d->len < sizeof(d->text))
		d->text[d->len++] = digits[--n];
}

static void
add_call(struct denial *d, unsigned int nr)
{
	add_text(d, "denied: system call ");
	add_number(d, nr, 10);
	if (nr < SB_NCALLS && sb_calls[nr][0] != '\0') {
		add_text(d, " (");
		add_text(d, sb_calls[nr]);
		add_text(d, ")");
	}
}

static void
begin(struct denial *d)
{
	memset(d, 0, sizeof(*d));
	if (report.prefix != NULL)
		add_text(d, report.prefix);
}

/* Nothing but the call: what libc adds to it may be denied too. */
static void
tell(struct denial *d)
{
	size_t len = offsetof(struct denial, text) + d->len;

	if (report.prefix != NULL) {
		add_text(d, "\n");
		syscall(SYS_write, report.fd, d->text, d->len);
		return;
	}
	d->imsg.type = IMSG_CTL_LOG;
	d->imsg.len = (uint32_t)len;
	d->prio = LOG_ERR;
	syscall(SYS_write, report.fd, d, len);
}

#ifdef HOSTILE
void
sandbox_say(const char *text)
{
	struct denial d;

	begin(&d);
	add_text(&d, text);
	tell(&d);
}
#endif

static void
denied(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	struct denial d;

	if (hostile_denied((unsigned int)si->si_syscall)) {
		uc->uc_mcontext.gregs[REG_RAX] = -EPERM;
		return;
	}
	begin(&d);
	add_call(&d, (unsigned int)si->si_syscall);
	if (si->si_syscall == SYS_ioctl || si->si_syscall == SYS_fcntl) {
		add_text(&d, ", request 0x");
		add_number(&d, (unsigned int)uc->uc_mcontext.gregs[REG_RSI],
		    16);
	}
	tell(&d);
	for (;;)
		syscall(SYS_exit_group, SB_EXIT_DENIED);
}

/* Asked before its first filter, none of the later ones need allow that. */
static int asked;
static unsigned int own_nodump, own_bits;

unsigned int
sandbox_own(void)
{
	return SB_OWN_REPORT | sandbox_landlock_own() | own_nodump | own_bits;
}

int
sandbox_traps(int fd, const char *prefix)
{
	struct sigaction sa = { .sa_sigaction = denied,
		.sa_flags = SA_SIGINFO };

	report.fd = fd;
	report.prefix = prefix;
	return sigaction(SIGSYS, &sa, NULL);
}

/* Without filters in the kernel this is EINVAL or ENOSYS, else EFAULT. */
static int
have_filters(void)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 &&
	    errno == EFAULT;
}

static int
install(const struct sb_filter *f)
{
	const struct sock_filter *prog = f->prog;
	struct sock_fprog fp = { .len = f->len };
	long rc;

	memcpy(&fp.filter, &prog, sizeof(prog));
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_TSYNC, &fp);
	if (rc > 0)
		errno = EBUSY; /* a thread with filters of its own */
	/* It needs that, and the one below root has no other right to it. */
	if (rc == -1 && WITHOUT(NNP))
		return 0;
	return rc == 0 ? 0 : -1;
}

int
sandbox_seccomp(const char *name, int channel)
{
	const struct sb_filter *f;

	if ((f = sb_find(name)) == NULL) {
		errno = ENOENT;
		return -1;
	}
	if (!asked && prctl(PR_GET_DUMPABLE) == 0)
		own_nodump = SB_OWN_NODUMP;
	if (!asked && sandbox_has_bits())
		own_bits = SB_OWN_BITS;
	asked = 1;
	if (!have_filters())
		return 1;
	if (WITHOUT(FILTER))
		return 0;
	if (channel != -1 && sandbox_traps(channel, NULL) == -1)
		return -1;
	return install(f);
}
