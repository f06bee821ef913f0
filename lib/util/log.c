/*
 * The log of all processes: the parent writes to syslog or stderr, everybody
 * else hands lines to a sink that sends them up.  What comes from below is
 * encoded before it is written: a guest process may send anything.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#define LIBBSD_OPENBSD_VIS /* argument order of strnvis() */
#include <bsd/vis.h>

#include "lib/util/log.h"

#define LINE_MAX_LEN 1024

static const char *log_name = "vmd";
static int log_where = LOG_TO_STDERR;
static int log_verbose;
static log_sink log_to;
static void *log_arg;

void
log_init(const char *name, int where, int verbose)
{
	log_name = name;
	log_where = where;
	log_verbose = verbose;
	if (where == LOG_TO_SYSLOG)
		openlog("vmd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_set_sink(log_sink sink, void *arg)
{
	log_to = sink;
	log_arg = arg;
}

void
log_set_verbose(int verbose)
{
	log_verbose = verbose;
}

int
log_get_verbose(void)
{
	return log_verbose;
}

static void
emit(int prio, const char *line)
{
	if (prio >= LOG_DEBUG && log_verbose == 0)
		return;
	if (log_to != NULL)
		log_to(log_arg, prio, line);
	else if (log_where == LOG_TO_SYSLOG)
		syslog(prio, "%s", line);
	else
		fprintf(stderr, "%s\n", line);
}

void
log_from(const char *from, int prio, const char *text)
{
	char cut[LINE_MAX_LEN + 1], enc[LINE_MAX_LEN * 4 + 1];
	char line[sizeof(enc) + 128];
	int saved_errno = errno;

	/* All of it fits: libbsd's strnvis() writes beyond a short buffer. */
	strncpy(cut, text, sizeof(cut) - 1);
	cut[sizeof(cut) - 1] = '\0';
	strnvis(enc, cut, sizeof(enc), VIS_NL | VIS_CSTYLE | VIS_NOSLASH);
	snprintf(line, sizeof(line), "%s: %s", from, enc);
	emit(prio & LOG_PRIMASK, line);
	errno = saved_errno;
}

/* `err' 0: without the text of errno. */
__attribute__((format(printf, 3, 0))) static void
vlog(int prio, int err, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];
	int saved_errno = errno, n;

	n = vsnprintf(line, sizeof(line), fmt, ap);
	if (err != 0 && n >= 0 && (size_t)n < sizeof(line))
		snprintf(line + n, sizeof(line) - (size_t)n, ": %s",
		    strerror(err));
	emit(prio, line);
	errno = saved_errno;
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_WARNING, errno, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_WARNING, 0, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_INFO, 0, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(LOG_DEBUG, 0, fmt, ap);
	va_end(ap);
}

__attribute__((noreturn, format(printf, 2, 0))) static void
vfatal(int err, const char *fmt, va_list ap)
{
	char text[LINE_MAX_LEN], line[LINE_MAX_LEN + 128];

	vsnprintf(text, sizeof(text), fmt, ap);
	snprintf(line, sizeof(line), "fatal in %s: %s%s%s", log_name, text,
	    err ? ": " : "", err ? strerror(err) : "");
	emit(LOG_CRIT, line);
	exit(1);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfatal(errno, fmt, ap);
	va_end(ap);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfatal(0, fmt, ap);
	va_end(ap);
}
