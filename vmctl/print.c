/*
 * What vmctl prints: the status table, JSON lines and complaints.
 *
 * Texts and names come from the daemon, and some of them from guests, so
 * everything is encoded with vis(3) or by the JSON library.
 */

#define LIBBSD_OPENBSD_VIS /* as lib/util/log.c */
#include <bsd/vis.h>
#include <err.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/scaled.h"
#include "vmctl/vmctl.h"

#define OWNER_MAX 15 /* characters of the table's column */

static int midline; /* standard error awaits the rest of a line */

char *
safe(const char *s)
{
	char *out;

	if (s == NULL)
		s = "";
	if ((out = calloc(4, strlen(s) + 1)) == NULL)
		err(ST_FAILED, NULL);
	strvis(out, s, VIS_CSTYLE | VIS_NL | VIS_TAB);
	return out;
}

void
progress_begin(const char *verb, const char *name)
{
	char *s = safe(name);

	if (name == NULL)
		fprintf(stderr, "%s vm: ", verb);
	else
		fprintf(stderr, "%s vm %s: ", verb, s);
	midline = 1;
	free(s);
}

void
progress_end(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	midline = 0;
}

void
complain(const struct vmctl *ctl, const char *name, const char *fmt, ...)
{
	char *n = safe(name);
	va_list ap;

	fflush(stdout);
	if (midline)
		progress_end("failed");
	fprintf(stderr, "vmctl: ");
	if (ctl->cmd != NULL)
		fprintf(stderr, "%s%s%s: ", ctl->cmd->name,
		    name == NULL ? "" : " ", n);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	free(n);
}

char *
result_text(const struct vmop_result *r)
{
	if (r->text != NULL && r->text[0] != '\0')
		return safe(r->text);
	return safe(vmerr_text((enum vmerr)r->err));
}

/* A configuration error may have several lines. */
int
complain_result(const struct vmctl *ctl, const char *name,
    const struct vmop_result *r)
{
	char *copy, *line, *rest, *text;
	int status = vmerr_status((enum vmerr)r->err);

	if (r->text == NULL || strchr(r->text, '\n') == NULL ||
	    (copy = strdup(r->text)) == NULL) {
		text = result_text(r);
		complain(ctl, name, "%s", text);
		free(text);
	} else {
		rest = copy;
		while ((line = strsep(&rest, "\n")) != NULL) {
			if (line[0] == '\0')
				continue;
			text = safe(line);
			complain(ctl, name, "%s", text);
			free(text);
		}
		free(copy);
	}
	return status == ST_DONE ? ST_FAILED : status;
}

int
print_json(json_t *j)
{
	int rc;

	if (j == NULL)
		return ST_FAILED;
	rc = json_dumpf(j, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(j);
	putchar('\n');
	return rc == -1 ? ST_FAILED : ST_DONE;
}

json_t *
json_text(const char *s)
{
	json_t *j;
	char *t;

	if (s == NULL)
		return json_null();
	if ((j = json_string(s)) != NULL)
		return j;
	/* Not UTF-8. */
	t = safe(s);
	j = json_string(t);
	free(t);
	return j;
}

int
vm_running(const struct vm_info *i)
{
	return i->pid != 0 && i->spec->id != 0;
}

char *
owner_text(const struct vm_info *i)
{
	uid_t uid = (uid_t)(vm_running(i) ? i->run_uid : i->spec->uid);
	char user[32], group[32], *out;
	struct passwd *pw = getpwuid(uid);
	struct group *gr;

	snprintf(user, sizeof(user), "%u", uid);
	if (i->spec->gid == VM_GID_NONE) {
		if (asprintf(&out, "%s", pw == NULL ? user : pw->pw_name) == -1)
			err(ST_FAILED, NULL);
		return out;
	}
	gr = getgrgid((gid_t)i->spec->gid);
	snprintf(group, sizeof(group), "%u", (gid_t)i->spec->gid);
	if (asprintf(&out, "%s:%s", pw == NULL ? user : pw->pw_name,
		gr == NULL ? group : gr->gr_name) == -1)
		err(ST_FAILED, NULL);
	return out;
}

void
print_header(void)
{
	printf("%5s %5s %5s %7s %7s %7s %12s %8s %s\n", "ID", "PID", "VCPUS",
	    "MAXMEM", "CURMEM", "TTY", "OWNER", "STATE", "NAME");
}

/* "pts/7" of "/dev/pts/7"; programs put /dev/ in front of it. */
static const char *
short_tty(const char *tty)
{
	if (tty == NULL || tty[0] == '\0')
		return "-";
	return strncmp(tty, "/dev/", 5) == 0 ? tty + 5 : tty;
}

char *
table_field(const char *s)
{
	char *out, *p;

	out = safe(s == NULL || s[0] == '\0' ? "-" : s);
	for (p = out; *p != '\0'; p++)
		if (*p == ' ')
			*p = '_';
	return out;
}

const char *
table_count(int known, uint64_t n, char buf[COUNT_LEN])
{
	if (!known)
		return "-";
	snprintf(buf, COUNT_LEN, "%llu", (unsigned long long)n);
	return buf;
}

const char *
table_bytes(int known, uint64_t n, char buf[SCALED_LEN])
{
	return known ? scaled_fmt(buf, n) : "-";
}

/* The table has no word for a process that is not up yet. */
static const char *
state_word(const struct vm_info *i)
{
	uint32_t state = i->state;

	if (state == VMS_STOPPED && i->held)
		return "disabled";
	if (state == VMS_STARTING)
		state = VMS_RUNNING;
	return vm_state_text((enum vm_state)state);
}

void
print_row(const struct vm_info *i)
{
	int up = vm_running(i);
	char pid[16] = "-", max[SCALED_LEN], cur[SCALED_LEN] = "-";
	char *owner, *o, *tty, *name;

	if (up) {
		snprintf(pid, sizeof(pid), "%d", i->pid);
		scaled_fmt(cur, i->resident);
	}
	owner = owner_text(i);
	owner[strnlen(owner, OWNER_MAX)] = '\0';
	o = table_field(owner);
	tty = table_field(up ? short_tty(i->tty) : "-");
	name = table_field(i->spec->name);
	printf("%5u %5s %5u %7s %7s %7s %12s %8s %s\n", i->spec->id, pid,
	    i->spec->cpus == 0 ? 1 : i->spec->cpus,
	    scaled_fmt(max,
		i->spec->memory == 0 ? VM_DEFAULT_MEMORY : i->spec->memory),
	    cur, tty, o, state_word(i), name);
	free(name);
	free(tty);
	free(o);
	free(owner);
}

json_t *
number_or_null(int there, uint64_t v)
{
	return there ? json_integer((json_int_t)v) : json_null();
}

/* Who keeps it from being started by the daemon itself. */
static const char *
disabled_by(const struct vm_info *i)
{
	if (i->held)
		return "vmctl";
	return i->spec->flags & VMF_DISABLED ? "configuration" : NULL;
}

json_t *
vm_json(const struct vm_info *i)
{
	const struct vm_spec *s = i->spec;
	int up = vm_running(i), ran = i->exit != VMEXIT_NONE;
	json_t *j = json_object();
	char *owner = owner_text(i);

	json_object_set_new(j, "id", json_integer(s->id));
	json_object_set_new(j, "name", json_text(s->name));
	json_object_set_new(j, "state",
	    json_text(vm_state_text((enum vm_state)i->state)));
	json_object_set_new(j, "pid", number_or_null(up, (uint64_t)i->pid));
	json_object_set_new(j, "vcpus",
	    json_integer(s->cpus == 0 ? 1 : s->cpus));
	json_object_set_new(j, "memory",
	    json_integer(
		(json_int_t)(s->memory == 0 ? VM_DEFAULT_MEMORY : s->memory)));
	json_object_set_new(j, "resident", number_or_null(up, i->resident));
	json_object_set_new(j, "tty", json_text(up ? i->tty : NULL));
	json_object_set_new(j, "owner", json_text(owner));
	json_object_set_new(j, "started",
	    number_or_null(i->started != 0, (uint64_t)i->started));
	json_object_set_new(j, "exit",
	    json_text(ran ? vmexit_text((enum vmexit)i->exit) : NULL));
	json_object_set_new(j, "exit_text", json_text(i->exit_text));
	json_object_set_new(j, "error", json_text(i->error));
	json_object_set_new(j, "pending", json_text(i->pending));
	json_object_set_new(j, "disabled", json_text(disabled_by(i)));
	json_object_set_new(j, "file", json_text(s->file));
	json_object_set_new(j, "line",
	    number_or_null(s->file != NULL, s->line));
	json_object_set_new(j, "devices", devices_json(i));
	json_object_set_new(j, "interfaces", nics_json(i));
	free(owner);
	return j;
}
