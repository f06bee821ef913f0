/*
 * vmrun: starts one guest the way vmm does, without a daemon: a vm process
 * with its channel, one launch message, a console.  For tests.
 *
 * The guest's output goes to standard output; then comes one line that says
 * how it ended: "exit: reset: reset through 0xcf9".  Other lines are
 * "start: ...", when the launch fails, and "paused", "unpaused".
 */
#include <sys/socket.h>
#include <sys/types.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/vminfo.h"
#include "lib/proto/vmspec.h"
#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "lib/util/ring.h"
#include "proc/peer.h"
#include "proc/spawn.h"
#include "regress/guest/vmrun_net.h"

enum action {
	ACT_SEND,
	ACT_POWER,
	ACT_STOP,
	ACT_PAUSE,
	ACT_REPLACE
};

/* What to do when a string was seen in the output, once. */
struct rule {
	enum action what;
	const char *when;
	char *text;
	int done;
};

#define MAXRULES    16
#define TTY_IDLE_MS 300
#define KEEP	    8192 /* of the output, to look for strings in */

struct run {
	struct event_base *base;
	struct vm_spec *spec;
	struct fdlist fds;
	struct peer *vm;
	pid_t pid;
	int pidfd;
	int use_tty;
	int typing;  /* our standard input is the console's */
	int console; /* our end, -1 */
	struct event *console_ev;
	struct rule rules[MAXRULES];
	size_t nrules;
	char seen[KEEP + 1];
	size_t len;
	size_t paused_len; /* output bytes when paused */
	size_t total;
	int said;   /* our line was the last */
	int status; /* ours, -1 until known */
	char *last; /* the line that says how it ended */
};

static struct run run = { .pidfd = -1, .console = -1, .status = -1 };

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr,
	    "usage: vmrun [-PTy] [-a cmdline] [-c cpus] "
	    "[-g vmd-guest] [-i initrd] [-k kernel]\n"
	    "\t[-L log] [-m MiB] [-n nic] [-p when] [-r when] [-s when] "
	    "[-t seconds]\n\t[-u when] [-x when=text]\n");
	exit(2);
}

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	fprintf(stderr, "vmrun: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	va_end(ap);
	if (run.pid > 0)
		kill(run.pid, SIGKILL);
	exit(1);
}

static void
send_msg(uint32_t type)
{
	const struct msg_hdr hdr = { 1, 0 };

	if (peer_send(run.vm, type, hdr, NULL, NULL, 0) == -1)
		die("%s", msg_name(type));
}

/* A message whose body is a vmop_id; takes `fd' unless -1. */
static void
send_id(uint32_t type, uint32_t flags, int fd)
{
	const struct msg_hdr hdr = { 1, 0 };
	struct vmop_id id = { .flags = flags };
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vmop_id_put(b, &id) == -1)
		die("%s", msg_name(type));
	if (peer_send(run.vm, type, hdr, b, &fd, fd == -1 ? 0 : 1) == -1)
		die("%s", msg_name(type));
}

/* A line of our own, on a line of its own. */
static void say(const char *, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list ap;

	if (run.len > 0 && run.seen[run.len - 1] != '\n' && !run.said)
		putchar('\n');
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	run.said = 1;
}

/* --- console ---------------------------------------------------------- */

static void
apply(struct rule *r)
{
	r->done = 1;
	switch (r->what) {
	case ACT_SEND:
		if (write(run.console, r->text, strlen(r->text)) == -1)
			die("console");
		break;
	case ACT_POWER:
		send_msg(IMSG_VMDOP_VM_SHUTDOWN);
		break;
	case ACT_STOP:
		send_msg(IMSG_VMDOP_VM_STOP);
		break;
	case ACT_PAUSE:
		send_id(IMSG_VMDOP_PAUSE_VM, 0, -1);
		break;
	case ACT_REPLACE:
		if (net_replace(0) == -1)
			die("vionet");
		break;
	}
}

static void
look(const char *buf, size_t n)
{
	size_t i;

	if (n > KEEP / 2) {
		buf += n - KEEP / 2;
		n = KEEP / 2;
	}
	if (run.len + n > KEEP) {
		memmove(run.seen, run.seen + run.len - KEEP / 2, KEEP / 2);
		run.len = KEEP / 2;
	}
	memcpy(run.seen + run.len, buf, n);
	run.len += n;
	run.seen[run.len] = '\0';
	for (i = 0; i < run.nrules; i++)
		if (!run.rules[i].done &&
		    strstr(run.seen, run.rules[i].when) != NULL)
			apply(&run.rules[i]);
}

static void
finish(void)
{
	if (run.status == -1 || run.console != -1)
		return;
	if (run.last != NULL)
		say("%s", run.last);
	fflush(stdout);
	event_base_loopbreak(run.base);
}

static void
console_end(void)
{
	event_free(run.console_ev);
	run.console_ev = NULL;
	close(run.console);
	run.console = -1;
	finish();
}

static void
console_read(evutil_socket_t fd, short what, void *arg)
{
	char buf[4096], out[4096];
	size_t i, len = 0;
	ssize_t n;

	n = read(fd, buf, sizeof(buf));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		console_end();
		return;
	}
	run.total += (size_t)n;
	run.said = 0;
	for (i = 0; i < (size_t)n; i++)
		if (buf[i] != '\r' && buf[i] != '\0')
			out[len++] = buf[i];
	fwrite(out, 1, len, stdout);
	fflush(stdout);
	look(out, len);
}

static void
console_open(int fd)
{
	run.console = fd;
	run.console_ev = event_new(run.base, fd, EV_READ | EV_PERSIST,
	    console_read, NULL);
	if (run.console_ev == NULL || event_add(run.console_ev, NULL) == -1)
		die("console");
}

static void
console_ask(void)
{
	int sv[2];

	if (run.use_tty)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		die("socketpair");
	console_open(sv[0]);
	send_id(IMSG_CTL_CONSOLE_REQUEST, VMOP_HISTORY, sv[1]);
}

static void
tty_open(void)
{
	struct termios t;
	int master, copy, slave;

	if (openpty(&master, &slave, NULL, NULL, NULL) == -1 ||
	    tcgetattr(slave, &t) == -1)
		die("openpty");
	cfmakeraw(&t);
	/* Both ends stay open here, as the parent has it. */
	copy = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (copy == -1 || tcsetattr(slave, TCSANOW, &t) == -1 ||
	    fdlist_add(&run.fds, FD_TTY, 0, 0, &master) == -1)
		die("tty");
	console_open(slave);
}

/* --- messages --------------------------------------------------------- */

static int
on_started(struct peer *p, struct msg *m)
{
	struct vmop_result r;

	if (vmop_result_get(&m->body, &r) == -1)
		return -1;
	if (run.spec->flags & VMF_PROBE)
		say("probe: %s: %s", vmerr_text(r.err), r.text);
	else if (r.err != VMERR_OK) {
		say("start: %s: %s", vmerr_text(r.err),
		    r.text == NULL ? "" : r.text);
		run.status = 1;
	}
	vmop_result_fini(&r);
	return 0;
}

static const char *
exit_name(uint32_t e)
{
	static const char *const names[VMEXIT_MAX] = {
		[VMEXIT_NONE] = "none",
		[VMEXIT_POWEROFF] = "poweroff",
		[VMEXIT_RESET] = "reset",
		[VMEXIT_TRIPLE] = "triple",
		[VMEXIT_STOPPED] = "stopped",
		[VMEXIT_SIGNAL] = "signal",
		[VMEXIT_EMULATION] = "emulation",
		[VMEXIT_FAILED] = "failed",
		[VMEXIT_LAUNCH] = "launch",
	};

	return e < VMEXIT_MAX ? names[e] : "unknown";
}

static int
on_exit_msg(struct peer *p, struct msg *m)
{
	struct vmop_result r;

	if (vmop_result_get(&m->body, &r) == -1)
		return -1;
	free(run.last);
	if (asprintf(&run.last, "exit: %s: %s", exit_name(r.exit),
		r.text == NULL ? "" : r.text) == -1)
		die("exit");
	if (run.status == -1)
		run.status = 0;
	vmop_result_fini(&r);
	return 0;
}

/* Nothing comes out of a guest that is held. */
static void
resume(evutil_socket_t fd, short what, void *arg)
{
	say("%s while paused",
	    run.total == run.paused_len ? "silent" : "NOT silent");
	send_id(IMSG_VMDOP_UNPAUSE_VM, 0, -1);
}

/* What was under way when it was held has come out. */
static void
settled(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval hold = { 0, 400000 };

	run.paused_len = run.total;
	if (event_base_once(run.base, -1, EV_TIMEOUT, resume, NULL, &hold) ==
	    -1)
		die("timer");
}

static int
on_paused(struct peer *p, struct msg *m)
{
	const struct timeval settle = { 0, 200000 };
	struct vmop_result r;
	int on = m->type == IMSG_VMDOP_PAUSE_VM_RESPONSE;

	if (vmop_result_get(&m->body, &r) == -1)
		return -1;
	say("%s%s%s", on ? "paused" : "unpaused", r.err == VMERR_OK ? "" : ": ",
	    r.err == VMERR_OK ? "" : vmerr_text(r.err));
	vmop_result_fini(&r);
	if (on &&
	    event_base_once(run.base, -1, EV_TIMEOUT, settled, NULL, &settle) ==
		-1)
		die("timer");
	return 0;
}

static int
on_console(struct peer *p, struct msg *m)
{
	struct vmop_result r;

	if (vmop_result_get(&m->body, &r) == -1)
		return -1;
	if (r.err != VMERR_OK)
		say("console: %s", vmerr_text(r.err));
	vmop_result_fini(&r);
	return 0;
}

static int
on_log(struct peer *p, struct msg *m)
{
	struct log_line l;

	if (log_line_get(&m->body, &l) == -1)
		return -1;
	fprintf(stderr, "vm: %s\n", l.text);
	log_line_fini(&l);
	return 0;
}

/* The report of its sandbox: nobody asks for that here. */
static int
on_ready(struct peer *p, struct msg *m)
{
	struct log_line l;
	uint32_t own;

	if (log_line_get(&m->body, &l) == -1)
		return -1;
	log_line_fini(&l);
	return wire_get_u32(&m->body, &own);
}

static int
on_device_failed(struct peer *p, struct msg *m)
{
	struct dev_id id;

	if (dev_id_get(&m->body, &id) == -1)
		return -1;
	say("device failed: %s", id.text);
	dev_id_fini(&id);
	return 0;
}

static int
on_ending(struct peer *p, struct msg *m)
{
	return 0;
}

static const struct msg_handler msgs[] = {
	{ IMSG_CTL_READY, ROLE_VM, on_ready },
	{ IMSG_VMDOP_START_VM_RESPONSE, ROLE_VM, on_started },
	{ IMSG_VMDOP_VM_EXIT, ROLE_VM, on_exit_msg },
	{ IMSG_VMDOP_PAUSE_VM_RESPONSE, ROLE_VM, on_paused },
	{ IMSG_VMDOP_UNPAUSE_VM_RESPONSE, ROLE_VM, on_paused },
	{ IMSG_CTL_CONSOLE_RESPONSE, ROLE_VM, on_console },
	{ IMSG_CTL_LOG, ROLE_VM, on_log },
	{ IMSG_VMDOP_DEVICE_FAILED, ROLE_VM, on_device_failed },
	{ IMSG_VMDOP_VM_ENDING, ROLE_VM, on_ending },
};

static void
on_closed(struct peer *p, const char *why)
{
	struct pollfd pfd = { .events = POLLIN };

	if (why != NULL)
		say("channel: %s", why);
	if (run.status == -1) {
		run.last = strdup("exit: without a word");
		run.status = 1;
	}
	peer_free(p);
	run.vm = NULL;
	/* A pty that is held has no end of file: take what still comes. */
	if (run.use_tty && run.console != -1) {
		pfd.fd = run.console;
		while (run.console != -1 && poll(&pfd, 1, TTY_IDLE_MS) > 0)
			console_read(run.console, EV_READ, NULL);
		if (run.console != -1)
			console_end();
	} else
		finish();
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	say("exit: deadline");
	fflush(stdout);
	kill(run.pid, SIGKILL);
	run.status = 3;
	event_base_loopbreak(run.base);
}

/* --- start ------------------------------------------------------------ */

static void
add_file(enum fd_kind kind, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd == -1 || fdlist_add(&run.fds, kind, 0, 0, &fd) == -1)
		die("%s", path);
}

static void
launch(const char *exe)
{
	static const struct peer_conf conf = { .role = ROLE_VM,
		.name = "vm",
		.msgs = msgs,
		.nmsgs = sizeof(msgs) / sizeof(msgs[0]),
		.closed = on_closed };
	static const char *const argv[] = { "vm", NULL };
	const struct msg_hdr hdr = { 1, 0 };
	struct spawn s = { .argv = argv, .keep_stdio = 1 };
	struct ibuf *b;
	int sv[2], fds[VM_MAXFDS], n;
	size_t i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		die("socketpair");
	if ((s.exe = open(exe, O_PATH | O_CLOEXEC)) == -1)
		die("%s", exe);
	s.channel = sv[1];
	if ((run.pid = spawn(&s, &run.pidfd)) == -1)
		die("%s", exe);
	close(sv[1]);
	close(s.exe);
	if ((run.vm = peer_new(run.base, sv[0], &conf)) == NULL)
		die("peer");
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vm_spec_put(b, run.spec) == -1 ||
	    wire_put_fdlist(b, &run.fds) == -1)
		die("spec");
	for (i = 0; i < run.fds.n; i++)
		fds[i] = run.fds.ents[i].fd;
	i = run.fds.n;
	run.fds.n = 0;
	if (peer_send(run.vm, IMSG_VMDOP_START_VM_REQUEST, hdr, b, fds, i) ==
	    -1)
		die("start");
	for (n = 0; n < net_count(); n++)
		if (net_launch(run.base, run.vm, exe, n) == -1)
			die("vionet");
	if (!(run.spec->flags & VMF_PROBE))
		console_ask();
}

static void
typed(evutil_socket_t fd, short what, void *arg)
{
	char buf[256];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0 && run.console != -1 &&
	    write(run.console, buf, (size_t)n) == n)
		return;
	event_del(arg);
}

static void
listen_in(void)
{
	struct event *ev = event_new(run.base, STDIN_FILENO,
	    EV_READ | EV_PERSIST, typed, event_self_cbarg());

	if (ev == NULL || event_add(ev, NULL) == -1)
		die("standard input");
}

static void
add_rule(enum action what, char *when)
{
	struct rule *r = &run.rules[run.nrules++];
	char *p, *q;

	if (run.nrules == MAXRULES)
		usage();
	r->what = what;
	r->when = when;
	if (what != ACT_SEND)
		return;
	if ((p = strchr(when, '=')) == NULL)
		usage();
	*p = '\0';
	/* "\n" as two characters is a new line. */
	for (r->text = q = ++p; *p != '\0'; p++) {
		if (p[0] == '\\' && p[1] == 'n') {
			*q++ = '\n';
			p++;
		} else
			*q++ = *p;
	}
	*q = '\0';
}

static void
init(void)
{
	int ring;

	log_init("vmrun", LOG_TO_STDERR, 0);
	signal(SIGPIPE, SIG_IGN);
	if ((run.base = event_base_new()) == NULL ||
	    (run.spec = vm_spec_new("test")) == NULL)
		die("start");
	run.spec->id = 1;
	run.spec->generation = 1;
	run.spec->cpus = 1;
	run.spec->memory = 64 << 20;
	if ((ring = ring_create()) == -1 ||
	    fdlist_add(&run.fds, FD_CONSOLE, 0, 0, &ring) == -1)
		die("ring");
}

static int
options(int argc, char **argv, const char **exe)
{
	int ch, seconds = 30;

	while ((ch = getopt(argc, argv, "a:c:g:i:k:L:m:n:Pp:r:s:Tt:u:x:y")) !=
	    -1) {
		switch (ch) {
		case 'a':
			run.spec->cmdline = strdup(optarg);
			break;
		case 'c':
			run.spec->cpus = (uint32_t)atoi(optarg);
			break;
		case 'g':
			*exe = optarg;
			break;
		case 'i':
			add_file(FD_INITRD, optarg, O_RDONLY);
			break;
		case 'k':
			add_file(FD_BOOT, optarg, O_RDONLY);
			break;
		case 'L':
			add_file(FD_CONSOLE_LOG, optarg,
			    O_WRONLY | O_CREAT | O_APPEND);
			break;
		case 'm':
			run.spec->memory = (uint64_t)atoi(optarg) << 20;
			break;
		case 'n':
			if (net_add(run.spec, optarg) == -1)
				die("%s", optarg);
			break;
		case 'P':
			run.spec->flags |= VMF_PROBE;
			break;
		case 'p':
			add_rule(ACT_POWER, optarg);
			break;
		case 'r':
			add_rule(ACT_REPLACE, optarg);
			break;
		case 's':
			add_rule(ACT_STOP, optarg);
			break;
		case 'T':
			run.typing = 1;
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		case 'u':
			add_rule(ACT_PAUSE, optarg);
			break;
		case 'x':
			add_rule(ACT_SEND, optarg);
			break;
		case 'y':
			run.use_tty = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	return seconds;
}

int
main(int argc, char **argv)
{
	const char *exe = "build/vmd-guest";
	struct timeval limit = { 0 };
	struct event *deadline;

	init();
	limit.tv_sec = options(argc, argv, &exe);
	add_file(FD_KVM, "/dev/kvm", O_RDWR);
	if (run.use_tty)
		tty_open();
	if ((deadline = event_new(run.base, -1, 0, on_deadline, NULL)) ==
		NULL ||
	    event_add(deadline, &limit) == -1)
		die("timer");
	launch(exe);
	if (run.typing)
		listen_in();
	event_base_dispatch(run.base);
	return run.status;
}
