/*
 * The terminal, or the pipes, of `vmctl console': raw while we are there,
 * and output without waiting.  Signals that end us arrive in ppoll(2) only,
 * so that the terminal is always left as it was found.
 */

#include <sys/stat.h>

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/util/fdlist.h"
#include "vmctl/term.h"

volatile sig_atomic_t term_signal;

static void
on_signal(int sig)
{
	term_signal = sig;
}

/* clang-format off */
static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
/* clang-format on */
#define NSIGNALS (sizeof(signals) / sizeof(signals[0]))

/* They arrive in ppoll(2) only. */
static void
catch_signals(struct term *t)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	sigemptyset(&sa.sa_mask);
	for (i = 0; i < NSIGNALS; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &t->unblocked);
	for (i = 0; i < NSIGNALS; i++) {
		sigaction(signals[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	}
}

/* Die of what arrived, if something did. */
static void
release_signals(struct term *t)
{
	size_t i;

	for (i = 0; i < NSIGNALS; i++)
		if (term_signal == signals[i])
			signal(signals[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, &t->unblocked, NULL);
	if (term_signal != 0)
		raise(term_signal);
	for (i = 0; i < NSIGNALS; i++)
		signal(signals[i], SIG_DFL);
}

static void
raw_on(struct term *t)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &t->saved) == -1)
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0)
		t->raw = 1;
}

void
term_restore(struct term *t)
{
	if (t->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	t->raw = 0;
}

/*
 * Standard output for us alone and without waiting: others share the one we
 * have and would be surprised.  Where there is no second one, small pieces
 * go to the first when it has room.
 */
static int
output_open(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) || isatty(STDOUT_FILENO)))
		fd = open("/proc/self/fd/1",
		    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd != -1 ? fd : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

void
term_open(struct term *t)
{
	fflush(stdout);
	t->out_fd = output_open();
	t->raw = 0;
	catch_signals(t);
	raw_on(t);
}

void
term_close(struct term *t)
{
	fd_close(&t->out_fd);
	release_signals(t);
}

void
term_say(const char *fmt, ...)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	va_list ap;

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}
