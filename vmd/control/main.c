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

/* Each client may have a message full of descriptors on its way. */
#define MAXFILES (CONTROL_MAXCONNS * 2 * IMSG_MAXFDS)

static void
more_files(void)
{
	struct rlimit files = { MAXFILES, MAXFILES };

	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return;
	/* Not in a container; then what we were given. */
	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		fatal("getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) == -1)
		fatal("setrlimit");
}

int
control_main(const struct proc_args *a)
{
	struct event_base *base;
	struct control *c;
	struct peer *up;

	proc_init(a);
	/* The parent decides when we end: it waits for our last answers. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	more_files();
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
