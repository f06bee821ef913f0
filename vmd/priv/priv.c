/*
 * priv: everything that is done to the host's network.
 *
 * Runs as _vmdpriv with CAP_NET_ADMIN and nothing else.  Today it starts,
 * drops and is supervised; it has no request to serve yet.
 */

#include <signal.h>
#include <stdlib.h>
#include <event2/event.h>
#include <linux/capability.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "vmd/roles.h"

static int
priv_verbose(struct peer *p, struct msg *m)
{
	struct vmop_id v;

	if (vmop_id_get(&m->body, &v) == -1)
		return -1;
	log_set_verbose((int)v.arg);
	vmop_id_fini(&v);
	return 0;
}

static int
priv_shutdown(struct peer *p, struct msg *m)
{
	exit(0);
}

static const struct msg_handler priv_msgs[] = {
	{ IMSG_CTL_VERBOSE, ROLE_PARENT, priv_verbose },
	{ IMSG_CTL_SHUTDOWN, ROLE_PARENT, priv_shutdown },
};

int
priv_main(const struct proc_args *a)
{
	static const int caps[] = { CAP_NET_ADMIN };
	struct event_base *base;

	proc_init(a);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	proc_drop(VMD_PRIV_USER, caps, 1);
	if ((base = event_base_new()) == NULL)
		fatal("event_base_new");
	if (proc_up(base, ROLE_PARENT, priv_msgs,
		sizeof(priv_msgs) / sizeof(priv_msgs[0]), NULL) == NULL)
		fatal("channel");
	proc_confine("priv");
	event_base_dispatch(base);
	return 1;
}
