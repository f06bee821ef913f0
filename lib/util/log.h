#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdarg.h>

/*
 * One log for all processes.
 *
 * The parent writes to syslog, or to stderr with -d.  Every other process
 * hands its lines to a sink, which sends them up the channel.  Until a sink
 * is set, lines go to stderr.  Main thread only.
 */

enum {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG
};

/* A line without prefix and newline; `prio' is one of syslog(3)'s. */
typedef void (*log_sink)(void *arg, int prio, const char *line);

/* `name' is kept by pointer and appears in fatal messages. */
void log_init(const char *name, int where, int verbose);
void log_set_sink(log_sink sink, void *arg);
/* 0: info and above.  1: debug messages.  2: counters as well. */
void log_set_verbose(int verbose);
int log_get_verbose(void);

/*
 * Write a line that came from a process below: `from' (a name known to the
 * receiver, such as "vm/web1") is put before it and the text is encoded
 * with vis(3); what is beyond 1024 bytes is cut off.
 */
void log_from(const char *from, int prio, const char *text);

/* With the text of errno: log_warn.  Without: log_warnx.  Keep errno. */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Start-up, and a bad message from above, only: log and exit 1. */
void
fatal(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void
fatalx(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
