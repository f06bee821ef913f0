/*
 * audit: is each process of the daemon confined as it should be?
 *
 * The daemon says which processes it has, and what each reports of itself;
 * all else is seen from outside, with root's rights and without asking.  A
 * process below the parent that the daemon does not know falls short too.
 */

#include <sys/syscall.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "vmctl/audit.h"
#include "vmctl/vmctl.h"

#define MAXPROCS    65536
#define AGAIN_MS    200 /* between two questions */
#define CALLS_WIDTH 56	/* of a line of their names */

struct audit {
	struct subject *subjects;
	size_t n;
	struct look parent;
	size_t short_of; /* how many fall short */
};

/* --- what the daemon says ---------------------------------------------- */

static int
add_subject(struct vmctl *ctl, struct audit *au, struct answer *a)
{
	struct subject *s;

	s = reallocarray(au->subjects, au->n + 1, sizeof(*s));
	if (s == NULL) {
		complain(ctl, NULL, "processes: %s", strerror(errno));
		return ST_FAILED;
	}
	au->subjects = s;
	if (au->n == MAXPROCS) {
		complain(ctl, NULL, "too many processes: at most %d", MAXPROCS);
		return ST_FAILED;
	}
	memset(&s[au->n], 0, sizeof(*s));
	if (proc_info_get(&a->body, &s[au->n].info) == -1) {
		complain(ctl, NULL, "malformed answer");
		return ST_FAILED;
	}
	au->n++;
	return ST_DONE;
}

static void
audit_fini(struct audit *au)
{
	size_t i;

	for (i = 0; i < au->n; i++) {
		proc_info_fini(&au->subjects[i].info);
		free(au->subjects[i].findings);
	}
	free(au->subjects);
	memset(au, 0, sizeof(*au));
}

static int
finish(struct vmctl *ctl, struct answer *a)
{
	struct vmop_result r;
	int rc;

	if ((rc = answer_result(ctl, a, &r)) != ST_DONE)
		return rc;
	if (r.err != VMERR_OK || a->type != IMSG_CTL_AUDIT_END)
		rc = complain_result(ctl, NULL, &r);
	vmop_result_fini(&r);
	return rc;
}

static int
ask(struct vmctl *ctl, struct audit *au)
{
	struct answer a;
	int rc, end = 0;

	rc = client_send(ctl, IMSG_CTL_AUDIT_REQUEST, NULL);
	while (rc == ST_DONE && !end) {
		if ((rc = client_recv(ctl, &a)) != ST_DONE)
			break;
		if (a.type == IMSG_CTL_AUDIT_DATA) {
			rc = add_subject(ctl, au, &a);
		} else {
			rc = finish(ctl, &a);
			end = 1;
		}
		answer_fini(&a);
	}
	if (rc == ST_DONE &&
	    (au->n == 0 || au->subjects[0].info.kind != PROC_PARENT)) {
		complain(ctl, NULL, "malformed answer");
		rc = ST_FAILED;
	}
	return rc;
}

static struct subject *
find(const struct audit *au, pid_t pid)
{
	size_t i;

	for (i = 0; i < au->n; i++)
		if (au->subjects[i].info.pid == pid)
			return &au->subjects[i];
	return NULL;
}

/* --- looking ----------------------------------------------------------- */

static int
look_at_all(struct vmctl *ctl, struct audit *au)
{
	struct subject *s;
	size_t i;

	for (i = 0; i < au->n; i++) {
		s = &au->subjects[i];
		if (look_at(s->info.pid, &s->look) == -1) {
			if (errno != ENOENT && errno != ESRCH) {
				complain(ctl, NULL, "process %d: %s",
				    (int)s->info.pid, strerror(errno));
				return ST_FAILED;
			}
			s->ended = 1;
		}
		s->parent = &au->parent;
	}
	au->parent = au->subjects[0].look;
	return ST_DONE;
}

static int
judge(struct vmctl *ctl, struct audit *au)
{
	size_t i;

	check_shared(au->subjects, au->n);
	for (i = 0; i < au->n; i++) {
		if (au->subjects[i].ended)
			continue;
		if (check_subject(&au->subjects[i]) == -1) {
			complain(ctl, NULL, "%s", strerror(errno));
			return ST_FAILED;
		}
		au->short_of += !au->subjects[i].ok;
	}
	return ST_DONE;
}

/*
 * A process that the daemon did not name: it may be about to end, or to
 * report.  1 if it does neither, 0, or -1.
 */
static int
stays_unknown(struct vmctl *ctl, pid_t pid)
{
	const time_t end = time(NULL) + HOSTILE_UNKNOWN_S;
	struct pollfd pfd = { .events = POLLIN };
	struct audit again = { 0 };
	int rc = 1;

	if ((pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0)) == -1)
		return errno == ESRCH ? 0 : -1;
	while (rc == 1 && time(NULL) < end) {
		if (ask(ctl, &again) != ST_DONE)
			rc = -1;
		else if (find(&again, pid) != NULL)
			rc = 0;
		else if (poll(&pfd, 1, AGAIN_MS) == 1)
			rc = 0;
		audit_fini(&again);
	}
	close(pfd.fd);
	return rc;
}

/* All that are below the parent. */
static int
look_for_others(struct vmctl *ctl, struct audit *au)
{
	struct subject *s;
	pid_t *pids = NULL;
	ssize_t n, i;
	int rc = ST_DONE;

	if ((n = look_below(au->subjects[0].info.pid, &pids)) == -1) {
		complain(ctl, NULL, "/proc: %s", strerror(errno));
		return ST_FAILED;
	}
	for (i = 0; i < n && rc == ST_DONE; i++) {
		if ((s = find(au, pids[i])) != NULL) {
			s->below = 1;
			continue;
		}
		switch (stays_unknown(ctl, pids[i])) {
		case 0:
			break;
		case 1:
			complain(ctl, NULL,
			    "process %d is below the parent, but the daemon "
			    "does not know it",
			    (int)pids[i]);
			au->short_of++;
			break;
		default:
			rc = ST_FAILED;
		}
	}
	free(pids);
	return rc;
}

/* --- printing ---------------------------------------------------------- */

/* What of the calls that are allowed has no name is a number. */
static const char *
call_name(unsigned int nr, char buf[SB_CALL_LEN])
{
	snprintf(buf, SB_CALL_LEN, "%u", nr);
	return sb_calls[nr][0] == '\0' ? buf : sb_calls[nr];
}

static json_t *
calls_json(const struct look *l)
{
	json_t *names = json_array();
	char buf[SB_CALL_LEN];
	unsigned int nr;

	for (nr = 0; nr < SB_NCALLS; nr++)
		if (l->allowed[nr])
			json_array_append_new(names,
			    json_string(call_name(nr, buf)));
	return names;
}

/* Their names, below what is said of the filter. */
static void
print_calls(const struct look *l)
{
	char buf[SB_CALL_LEN];
	const char *name;
	size_t col = 0;
	unsigned int nr;

	for (nr = 0; nr < SB_NCALLS; nr++) {
		if (!l->allowed[nr])
			continue;
		name = call_name(nr, buf);
		if (col == 0 || col + 1 + strlen(name) > CALLS_WIDTH) {
			printf("%s\t%-14s", col == 0 ? "" : "\n", "");
			col = 0;
		}
		printf(" %s", name);
		col += 1 + strlen(name);
	}
	if (col > 0)
		putchar('\n');
}

static json_t *
subject_json(const struct subject *s)
{
	json_t *list = json_array(), *o;
	const struct finding *f;
	size_t i;

	for (i = 0; i < s->nfindings; i++) {
		f = &s->findings[i];
		o = json_pack("{s:s,s:b,s:o}", "check", f->what, "ok", f->ok,
		    "found", json_text(f->value));
		if (!f->ok)
			json_object_set_new(o, "wanted", json_text(f->wanted));
		json_array_append_new(list, o);
	}
	return json_pack("{s:o,s:i,s:b,s:i,s:o,s:o}", "name",
	    json_text(s->info.name), "pid", (int)s->info.pid, "ok", s->ok,
	    "calls", (int)s->look.nallowed, "allowed", calls_json(&s->look),
	    "checks", list);
}

static int
print_subject(const struct vmctl *ctl, const struct subject *s, int calls)
{
	const struct finding *f;
	size_t i;
	char *name;

	if (ctl->json)
		return print_json(subject_json(s));
	name = safe(s->info.name);
	printf("%s: pid %d%s\n", name, (int)s->info.pid,
	    s->ok ? "" : ", falls short");
	free(name);
	for (i = 0; i < s->nfindings; i++) {
		f = &s->findings[i];
		printf("\t%-14s %s\n", f->what, f->value);
		if (!f->ok)
			printf("\t%-14s   falls short of: %s\n", "", f->wanted);
		if (calls && strcmp(f->what, "filter") == 0)
			print_calls(&s->look);
	}
	return ST_DONE;
}

/* "web1" is vm/web1 and its devices; a whole name is that process. */
static int
matches(const struct subject *s, const char *name)
{
	const char *p = s->info.name;
	size_t n;

	if (name == NULL || strcmp(p, name) == 0)
		return 1;
	if (strncmp(p, "vm/", 3) != 0)
		return 0;
	n = strlen(name);
	return strncmp(p + 3, name, n) == 0 &&
	    (p[3 + n] == '\0' || p[3 + n] == '/');
}

static int
print_all(struct vmctl *ctl, const struct audit *au, const char *name)
{
	size_t i, shown = 0, bad = 0;
	int rc = ST_DONE;

	for (i = 0; i < au->n && rc == ST_DONE; i++) {
		if (au->subjects[i].ended || !matches(&au->subjects[i], name))
			continue;
		shown++;
		bad += !au->subjects[i].ok;
		rc = print_subject(ctl, &au->subjects[i], name != NULL);
	}
	if (rc != ST_DONE)
		return rc;
	if (shown == 0) {
		complain(ctl, name, "no such process");
		return ST_NOTFOUND;
	}
	if (name == NULL)
		bad = au->short_of;
	if (!ctl->json && bad == 0)
		printf("%zu process%s, none falls short\n", shown,
		    shown == 1 ? "" : "es");
	else if (!ctl->json)
		printf("%zu process%s, %zu fall short\n", shown,
		    shown == 1 ? "" : "es", bad);
	return bad == 0 ? ST_DONE : ST_FAILED;
}

int
cmd_audit(struct vmctl *ctl, int argc, char **argv)
{
	struct audit au = { 0 };
	const char *name;
	int rc;

	if (next_opt(ctl, argc, argv) != -1 || argc - optind > 1)
		return ST_USAGE;
	name = one_operand(argc, argv);
	if (geteuid() != 0) {
		complain(ctl, NULL, "needs root privileges");
		return ST_PERM;
	}
	if ((rc = ask(ctl, &au)) == ST_DONE &&
	    (rc = look_at_all(ctl, &au)) == ST_DONE &&
	    (rc = look_for_others(ctl, &au)) == ST_DONE &&
	    (rc = judge(ctl, &au)) == ST_DONE)
		rc = print_all(ctl, &au, name);
	audit_fini(&au);
	return rc;
}
