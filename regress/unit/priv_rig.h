/*
 * For tests of priv at its work: the process, in a network namespace of the
 * test's own, and a parent that asks.
 */

#ifndef UNIT_PRIV_RIG_H
#define UNIT_PRIV_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "lib/proto/privmsg.h"
#include "lib/proto/vmerr.h"

#define RIG_TAG "0badcafe"

/* 1: build/vmd with its filter, 0: the code in a child of this program. */
extern int rig_real;

/*
 * Once, first in main(): a network namespace without anything but lo, a
 * /proc/sys of it and, for all tests, an alarm.  0, or -1 where that cannot
 * be done; then there are no tests, and that was said.
 */
int rig_main(int argc, char *argv[]);
/* A test, twice: here, and with the program. */
#define RIG_TEST(f)                                                            \
	{ "here: " #f, f, rig_here, rig_teardown, NULL },                      \
	{                                                                      \
		"program: " #f, f, rig_program, rig_teardown, NULL             \
	}
int rig_here(void **state);
int rig_program(void **state);
/* Start priv; skips the test where it cannot be started. */
void rig_start(void);
/* and PRIV_INIT. */
void rig_begin(void);
/* End it: by CTL_SHUTDOWN, by the end of the channel, by SIGKILL. */
void rig_shutdown(void);
void rig_hangup(void);
void rig_kill(void);
int rig_teardown(void **state);

/* An answer and its descriptors, from the last rig_ask_*(). */
struct rig_answer {
	struct priv_result r;
	int fds[8];
	size_t nfds;
};
extern struct rig_answer rig;
extern char rig_log[4096]; /* what priv has logged, one line after another */
/* What rig_host() was at the beginning of the test. */
extern char rig_before[65536];
#define assert_as_before() assert_string_equal(rig_host(), rig_before)
/* What rig_init() says was kept of single interfaces. */
extern char rig_kept[256];
/* Close the taps and end priv: nothing is left. */
void end_as_before(void);
/* Each is VMERR_OK, or what the answer said. */
enum vmerr rig_ask(uint32_t type, struct ibuf *body);
enum vmerr rig_init(const char *tag, uint32_t forwarding);
enum vmerr rig_nic(const struct priv_nic *n);
enum vmerr rig_switch(const char *name, uint32_t flags, uint32_t rdomain);
enum vmerr rig_name(uint32_t type, const char *name);
/* Send it; there shall be no answer, but the end of priv with a status. */
int rig_ends(uint32_t type, struct ibuf *body);
void rig_close_taps(void);

/* What a command prints, with blanks and newlines as single blanks. */
const char *sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* links, addresses, rules and the packet filter */
const char *rig_host(void);
/* The file below /proc/sys/net as a number. */
int rig_sysctl(const char *path);

/* A local interface of VM `id'. */
struct priv_nic rig_local(uint32_t id, uint32_t flags);

#define assert_has(s, what)   assert_non_null(strstr(s, what))
#define assert_hasnt(s, what) assert_null(strstr(s, what))

#endif
