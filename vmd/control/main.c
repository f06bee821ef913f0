/*
 * The process control: drops what it has, then serves clients.
 */

#include <signal.h>
#include <sys/resource.h>
#include <event2/event.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "vmd/control/control.h"
#include "vmd/roles.h"

#define MAXFILES 4096

int
control_main(const struct proc_args *a)
{
	const struct rlimit files = { MAXFILES, MAXFILES };
	struct event_base *base;
	struct control *c;
	struct peer *up;

	proc_init(a);
	/* The parent decides when we end: it waits for our last answers. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (setrlimit(RLIMIT_NOFILE, &files) == -1)
		fatal("setrlimit");
	proc_drop(VMD_USER, NULL, 0);
	if ((base = event_base_new()) == NULL ||
	    (c = control_new(base)) == NULL)
		fatal("event_base_new");
	if ((up = proc_up(base, ROLE_PARENT, control_msgs, control_nmsgs, c)) ==
	    NULL)
		fatal("channel");
	control_set_parent(c, up);
	proc_confine("control");
	event_base_dispatch(base);
	return 1;
}
