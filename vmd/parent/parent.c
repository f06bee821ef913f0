/*
 * The parent: set-up, the table of who may send what, and signals.
 *
 * Runs as root and knows all: configuration, VMs, ids, permissions.  It
 * speaks to control, which speaks to clients, to vmm, which runs guests,
 * and to priv; it parses nothing that a guest can write.
 */
#include <sys/prctl.h>
#include <sys/resource.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/parent/net.h"
#include "vmd/parent/parent.h"
#include "vmd/parent/passt.h"

/* clang-format off */
static const struct msg_handler parent_msgs[] = {
	{ IMSG_CTL_LOG,		ROLE_CONTROL | ROLE_PRIV | ROLE_VMM,
	  peer_log },
	{ IMSG_CTL_READY,	ROLE_CONTROL | ROLE_PRIV | ROLE_VMM,
	  parent_ready },
	{ IMSG_CTL_PROC_REPORT,	ROLE_VMM,	parent_proc_report },

	{ IMSG_CTL_CONN_OPEN,	ROLE_CONTROL,	parent_conn_open },
	{ IMSG_CTL_CONN_CLOSE,	ROLE_CONTROL,	parent_conn_close },
	{ IMSG_CTL_VERBOSE,	ROLE_CONTROL,	parent_verbose },
	{ IMSG_CTL_RESET,	ROLE_CONTROL,	parent_reset },
	{ IMSG_CTL_CONSOLE_REQUEST, ROLE_CONTROL, parent_console_request },
	{ IMSG_CTL_BREAK,	ROLE_CONTROL,	parent_break },
	{ IMSG_CTL_HOST_REQUEST, ROLE_CONTROL,	parent_host_request },
	{ IMSG_CTL_AUDIT_REQUEST, ROLE_CONTROL,	parent_audit_request },
	{ IMSG_VMDOP_START_VM_REQUEST, ROLE_CONTROL,
	  parent_start_vm_request },
	{ IMSG_VMDOP_TERMINATE_VM_REQUEST, ROLE_CONTROL,
	  parent_terminate_vm_request },
	{ IMSG_VMDOP_WAIT_VM_REQUEST, ROLE_CONTROL, parent_wait_vm_request },
	{ IMSG_VMDOP_PAUSE_VM,	ROLE_CONTROL,	parent_pause_vm },
	{ IMSG_VMDOP_UNPAUSE_VM, ROLE_CONTROL,	parent_pause_vm },
	{ IMSG_VMDOP_ENABLE_VM,	ROLE_CONTROL,	parent_hold_vm },
	{ IMSG_VMDOP_DISABLE_VM, ROLE_CONTROL,	parent_hold_vm },
	{ IMSG_VMDOP_GET_INFO_VM_REQUEST, ROLE_CONTROL,
	  parent_get_info_vm_request },
	{ IMSG_VMDOP_LOAD,	ROLE_CONTROL,	parent_load },
	{ IMSG_VMDOP_RELOAD,	ROLE_CONTROL,	parent_reload },

	{ IMSG_CTL_HOST_RESPONSE, ROLE_VMM,	parent_host_response },
	{ IMSG_CTL_CONSOLE_RESPONSE, ROLE_VMM,	parent_result },
	{ IMSG_CTL_BREAK_RESPONSE, ROLE_VMM,	parent_result },
	{ IMSG_VMDOP_START_VM_RESPONSE, ROLE_VMM,
	  parent_start_vm_response },
	{ IMSG_VMDOP_TERMINATE_VM_RESPONSE, ROLE_VMM, parent_result },
	{ IMSG_VMDOP_TERMINATE_VM_EVENT, ROLE_VMM,
	  parent_terminate_vm_event },
	{ IMSG_VMDOP_PAUSE_VM_RESPONSE, ROLE_VMM,
	  parent_pause_vm_response },
	{ IMSG_VMDOP_UNPAUSE_VM_RESPONSE, ROLE_VMM,
	  parent_pause_vm_response },
	{ IMSG_VMDOP_DEVICES_RESPONSE, ROLE_VMM,
	  parent_devices_response },
	{ IMSG_VMDOP_VM_PAUSED,	ROLE_VMM,	parent_vm_paused },
	{ IMSG_VMDOP_VM_LATE,	ROLE_VMM,	parent_vm_late },

	{ IMSG_PRIV_RESULT,	ROLE_PRIV,	parent_priv_result },
};
/* clang-format on */

#define NMSGS (sizeof(parent_msgs) / sizeof(parent_msgs[0]))

const struct child_type child_types[NCHILDREN] = {
	[CHILD_CONTROL] = { "control", ROLE_CONTROL, parent_msgs, NMSGS },
	[CHILD_PRIV] = { "priv", ROLE_PRIV, parent_msgs, NMSGS },
	[CHILD_VMM] = { "vmm", ROLE_VMM, parent_msgs, NMSGS },
};

int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
on_signal(int sig, short ev, void *arg)
{
	struct parent *p = arg;
	char why[1024];

	switch (sig) {
	case SIGTERM:
	case SIGINT:
		shutdown_begin(p);
		break;
	case SIGHUP:
		log_info("reload requested with SIGHUP");
		if (!p->stopping && reload(p, why, sizeof(why)) == -1)
			log_warnx("configuration not changed");
		break;
	default:
		log_info("signal %d ignored", sig);
		break;
	}
}

static int
watch_signals(struct parent *p)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE };
	size_t i;

	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		p->signals[i] = evsignal_new(p->base, sigs[i], on_signal, p);
		if (p->signals[i] == NULL ||
		    event_add(p->signals[i], NULL) == -1)
			return -1;
	}
	return 0;
}

int
parent_setup(struct parent *p, const struct parent_args *a)
{
	int i;

	memset(p, 0, sizeof(*p));
	p->args = a;
	p->verbose = a->verbose;
	p->kvm = p->state.fd = p->state.lock = p->sock.fd = -1;
	TAILQ_INIT(&p->vms);
	TAILQ_INIT(&p->conns);
	TAILQ_INIT(&p->requests);
	TAILQ_INIT(&p->listings);
	TAILQ_INIT(&p->procs);
	for (i = 0; i < NCHILDREN; i++) {
		p->children[i].parent = p;
		p->children[i].type = &child_types[i];
		p->children[i].pidfd = -1;
	}
	if ((p->base = event_base_new()) == NULL) {
		log_warnx("event_base_new");
		return -1;
	}
	if (statedir_open(&p->state, a->statedir) == -1)
		return -1;
	if ((p->ids = ids_load(p->state.fd)) == NULL) {
		log_warn("%s/" IDS_FILE, a->statedir);
		return -1;
	}
	if ((p->raws = raws_load(p->state.fd)) == NULL) {
		log_warn("%s/" RAWS_FILE, a->statedir);
		return -1;
	}
	if (net_setup(p) == -1)
		return -1;
	return ctlsock_open(&p->sock, a->socket);
}

void
parent_fini(struct parent *p)
{
	struct request *r;
	struct vm *v;
	size_t i;

	listings_drop(p, 0);
	while ((r = TAILQ_FIRST(&p->requests)) != NULL)
		request_free(p, r);
	while ((v = TAILQ_FIRST(&p->vms)) != NULL)
		vm_free(v);
	conns_clear(p);
	passt_clear(p);
	children_free(p);
	net_fini(p);
	procs_clear(p);
	for (i = 0; i < sizeof(p->signals) / sizeof(p->signals[0]); i++)
		if (p->signals[i] != NULL)
			event_free(p->signals[i]);
	if (p->stagger != NULL)
		event_free(p->stagger);
	if (p->deadline != NULL)
		event_free(p->deadline);
	ctlsock_close(&p->sock);
	conf_free(p->conf);
	ids_free(p->ids);
	raws_free(p->raws);
	statedir_close(&p->state);
	host_info_fini(&p->host);
	fd_close(&p->kvm);
	if (p->base != NULL)
		event_base_free(p->base);
}

/* Each VM takes some descriptors, each client one. */
static void
more_files(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		log_warn("RLIMIT_NOFILE");
}

static int
run(struct parent *p, struct conf *c)
{
	more_files();
	parent_confine(p->args);
	if (watch_signals(p) == -1 || children_start(p) == -1)
		return 1;
	conf_own_socket(p, c);
	log_info("startup");
	if (conf_apply(p, c) == -1)
		return 1;
	event_base_dispatch(p->base);
	log_debug("end");
	return 0;
}

/*
 * Where the administrator wants no huge pages we and all that we start have
 * none: the vm process would ask for them in spite of this setting.
 */
static void
no_huge_pages(void)
{
	char line[128] = "";
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

	if (f == NULL)
		return;
	if (fgets(line, sizeof(line), f) != NULL &&
	    strstr(line, "[never]") != NULL &&
	    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == -1)
		log_warn("PR_SET_THP_DISABLE");
	fclose(f);
}

int
parent_main(const struct parent_args *a)
{
	struct parent p;
	struct conf *c;
	char why[1024];
	int rc;

	log_init("parent", LOG_TO_STDERR, a->verbose);
	/* An error in the configuration is the end here. */
	if (parent_setup(&p, a) == -1 ||
	    (c = read_own_conf(&p, why, sizeof(why))) == NULL) {
		parent_fini(&p);
		return 1;
	}
	if ((p.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) == -1) {
		log_warn("/dev/kvm");
		conf_free(c);
		parent_fini(&p);
		return 1;
	}
	no_huge_pages();
	if (!a->debug) {
		/* Before the children: they must stay ours. */
		if (daemon(0, 0) == -1 || event_reinit(p.base) == -1)
			fatal("daemon");
		log_init("parent", LOG_TO_SYSLOG, a->verbose);
	}
	rc = run(&p, c);
	parent_fini(&p);
	return rc;
}
