/*
 * The lexer of vm.conf: files and includes, macros, tokens.
 *
 * Files come from root, or from whoever may load one: their size, the depth
 * of includes and what macros expand to are bounded.
 */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "vmd/conf/conf_int.h"
#include "build/gen/parse.h"

int conf_yylex(CONF_YYSTYPE *lval, struct parser *p);

/* clang-format off */
static const struct {
	const char *word;
	int token;
} keywords[] = {
	{ "add", ADD },			{ "agentx", AGENTX },
	{ "allow", ALLOW },		{ "boot", BOOT },
	{ "cdrom", CDROM },		{ "cmdline", CMDLINE },
	{ "console", CONSOLE },		{ "context", CONTEXT },
	{ "cpus", CPUS },		{ "delay", DELAY },
	{ "device", DEVICE },		{ "disable", DISABLE },
	{ "disk", DISK },		{ "dns", DNS },
	{ "domain", DOMAIN },		{ "down", DOWN },
	{ "enable", ENABLE },		{ "firmware", FIRMWARE },
	{ "format", FORMAT },		{ "forward", FORWARD },
	{ "group", GROUP },		{ "id", ID },
	{ "in", IN },			{ "include", INCLUDE },
	{ "inet6", INET6 },		{ "initrd", INITRD },
	{ "instance", INSTANCE },	{ "interface", INTERFACE },
	{ "interfaces", INTERFACES },	{ "isolated", ISOLATED },
	{ "kill", KILL },		{ "limit", LIMIT },
	{ "lladdr", LLADDR },		{ "local", LOCAL },
	{ "locked", LOCKED },		{ "log", LOG },
	{ "memory", MEMORY },		{ "mtu", MTU },
	{ "nat", NAT },			{ "net", NET },
	{ "ntp", NTP },			{ "overcommit", OVERCOMMIT },
	{ "owner", OWNER },		{ "parallel", PARALLEL },
	{ "path", PATH },		{ "prefix", PREFIX },
	{ "rdomain", RDOMAIN },		{ "readonly", READONLY },
	{ "reset", RESET },		{ "restart", RESTART },
	{ "serial", SERIAL },		{ "sev", SEV },
	{ "seves", SEVES },		{ "size", SIZE },
	{ "socket", SOCKET },		{ "staggered", STAGGERED },
	{ "start", START },		{ "status", STATUS },
	{ "stop", STOP },		{ "switch", SWITCH },
	{ "tcp", TCP },			{ "timeout", TIMEOUT },
	{ "to", TO },			{ "udp", UDP },
	{ "up", UP },			{ "user", USER },
	{ "vm", VM },			{ "vms", VMS },
};
/* clang-format on */

/* --- complaints -------------------------------------------------------- */

void
conf_report_at(struct parser *p, int warning, const char *file, uint32_t line,
    const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!warning)
		p->errors++;
	p->opts->report(p->opts->arg, warning, file, line, text);
}

void
conf_error(struct parser *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_report_at(p, 0, p->file == NULL ? "" : p->file, p->line, "%s",
	    text);
}

void
conf_warning(struct parser *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_report_at(p, 1, p->file == NULL ? "" : p->file, p->line, "%s",
	    text);
}

/* --- macros ------------------------------------------------------------ */

static struct macro *
macro_find(struct parser *p, const char *name)
{
	struct macro *m;

	TAILQ_FOREACH(m, &p->macros, entry)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

int
macro_set(struct parser *p, const char *name, const char *value, int fixed)
{
	struct macro *m;
	char *copy;

	if ((m = macro_find(p, name)) != NULL && m->fixed && !fixed)
		return 0;
	if ((copy = strdup(value)) == NULL)
		return -1;
	if (m != NULL) {
		free(m->value);
		m->value = copy;
		return 0;
	}
	if ((m = calloc(1, sizeof(*m))) == NULL ||
	    (m->name = strdup(name)) == NULL) {
		free(m);
		free(copy);
		return -1;
	}
	m->value = copy;
	m->fixed = fixed;
	TAILQ_INSERT_TAIL(&p->macros, m, entry);
	return 0;
}

void
macros_free(struct parser *p)
{
	struct macro *m;

	while ((m = TAILQ_FIRST(&p->macros)) != NULL) {
		TAILQ_REMOVE(&p->macros, m, entry);
		free(m->name);
		free(m->value);
		free(m);
	}
}

/* --- files ------------------------------------------------------------- */

/* All of `fd' into `s'; EFBIG when that, or all that was read, is too much. */
static int
slurp(struct parser *p, struct source *s, int fd)
{
	ssize_t n;

	errno = EFBIG;
	if (p->nfiles == CONF_MAXFILES || p->total > CONF_MAXTOTAL)
		return -1;
	p->nfiles++;
	if ((s->data = malloc(CONF_MAXFILE + 1)) == NULL)
		return -1;
	while (s->len <= CONF_MAXFILE) {
		n = read(fd, s->data + s->len, CONF_MAXFILE + 1 - s->len);
		if (n == 0)
			break;
		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0)
			s->len += (size_t)n;
	}
	p->total += s->len;
	if (s->len <= CONF_MAXFILE && p->total <= CONF_MAXTOTAL)
		return 0;
	errno = EFBIG;
	return -1;
}

static void
source_free(struct source *s)
{
	if (s == NULL)
		return;
	free(s->name);
	free(s->data);
	free(s);
}

static int
is_open(const struct parser *p, const struct source *s)
{
	const struct source *o;

	for (o = p->src; o != NULL; o = o->below)
		if (o->dev == s->dev && o->ino == s->ino)
			return 1;
	return 0;
}

/*
 * The daemon must not wait for someone to write to a pipe; vmd -n may read
 * one as its file.
 */
static int
open_file(const struct parser *p, const char *path, struct stat *st)
{
	char full[PATH_MAX];
	int fd, e;

	if (conf_path(p, path, full) == -1 ||
	    (fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) ==
		-1)
		return -1;
	if (fstat(fd, st) == -1)
		goto fail;
	if (S_ISFIFO(st->st_mode)) {
		errno = EINVAL;
		if (p->src != NULL || !(p->opts->flags & CONF_DRYRUN) ||
		    fcntl(fd, F_SETFL, 0) == -1)
			goto fail;
	}
	return fd;
fail:
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

int
conf_push(struct parser *p, const char *path)
{
	struct source *s;
	struct stat st;
	int fd = -1, e;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->name = strdup(path)) == NULL)
		goto fail;
	errno = ELOOP;
	if (p->depth >= CONF_MAXDEPTH)
		goto fail;
	if ((fd = open_file(p, path, &st)) == -1)
		goto fail;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	errno = EISDIR;
	if (S_ISDIR(st.st_mode))
		goto fail;
	errno = ELOOP;
	if (is_open(p, s) || slurp(p, s, fd) == -1)
		goto fail;
	close(fd);
	s->line = 1;
	s->below = p->src;
	p->src = s;
	p->depth++;
	return 0;
fail:
	e = errno;
	if (fd != -1)
		close(fd);
	source_free(s);
	errno = e;
	return -1;
}

void
conf_pop(struct parser *p)
{
	struct source *s = p->src;

	p->src = s->below;
	p->depth--;
	source_free(s);
}

/* --- characters -------------------------------------------------------- */

#define FROM_MACRO 0x100

/* Have `c' read again.  On lack of memory it is lost, as an error. */
static void
unget_as(struct parser *p, int c, int flag)
{
	uint16_t *n;

	if (c == EOF)
		return;
	if (p->nback == p->sback) {
		n = reallocarray(p->back, p->sback * 2 + 256, sizeof(*n));
		if (n == NULL) {
			p->errors++;
			return;
		}
		p->back = n;
		p->sback = p->sback * 2 + 256;
	}
	p->back[p->nback++] = (uint16_t)(c | flag);
}

static void
unget(struct parser *p, int c)
{
	unget_as(p, c, p->from_macro);
}

static int
raw(struct parser *p)
{
	struct source *s = p->src;

	p->from_macro = 0;
	if (p->nback > 0) {
		p->from_macro = p->back[--p->nback] & FROM_MACRO;
		return p->back[p->nback] & 0xff;
	}
	if (s == NULL || s->pos == s->len)
		return EOF;
	return (unsigned char)s->data[s->pos++];
}

/* The next character outside quotes: lines joined, blanks as one. */
static int
next(struct parser *p)
{
	int c, d;

	while ((c = raw(p)) == '\\') {
		if ((d = raw(p)) == EOF) {
			c = EOF; /* the file's end, not that of all */
			break;
		}
		if (d != '\n')
			return d;
		p->src->line++;
	}
	if (c == ' ' || c == '\t') {
		while ((c = raw(p)) == ' ' || c == '\t')
			;
		unget(p, c);
		return ' ';
	}
	if (c == EOF && p->src != NULL) {
		if (!p->src->ended) {
			p->src->ended = 1;
			return '\n';
		}
		if (p->src->below != NULL) {
			conf_pop(p);
			return next(p);
		}
	}
	return c;
}

/* After an error: the rest of the line goes, its end is the next token. */
static int
skip_line(struct parser *p)
{
	int c;

	while ((c = next(p)) != '\n' && c != EOF)
		;
	unget(p, c);
	return ERROR;
}

/* --- tokens ------------------------------------------------------------ */

/* Put the value of the macro whose name follows `$' before what comes. */
static int
expand(struct parser *p)
{
	struct macro *m;
	size_t n = 0, i;
	int c;

	while ((c = next(p)) != EOF && (isalnum(c) || c == '_')) {
		if (n == CONF_MAXTOKEN - 1) {
			conf_error(p, "string too long");
			return -1;
		}
		p->tok[n++] = (char)c;
	}
	unget(p, c);
	p->tok[n] = '\0';
	if ((m = macro_find(p, p->tok)) == NULL) {
		conf_error(p, "macro '%.200s' not defined", p->tok);
		return -1;
	}
	m->used = 1;
	n = strlen(m->value);
	if ((p->expanded += n) > CONF_MAXEXPAND) {
		conf_error(p, "macros expand to too much");
		return -1;
	}
	for (i = n; i > 0; i--)
		unget_as(p, (unsigned char)m->value[i - 1], FROM_MACRO);
	return 0;
}

static int
string_token(struct parser *p, CONF_YYSTYPE *lval, size_t n)
{
	p->tok[n] = '\0';
	if ((lval->string = strdup(p->tok)) == NULL) {
		conf_error(p, "%s", strerror(errno));
		return ERROR;
	}
	return STRING;
}

static int
quoted(struct parser *p, CONF_YYSTYPE *lval, int quote)
{
	size_t n = 0;
	int c, d;

	for (;;) {
		if ((c = raw(p)) == EOF) {
			conf_error(p,
			    "reached end of file while parsing "
			    "quoted string");
			return ERROR;
		}
		if (c == quote)
			return string_token(p, lval, n);
		if (c == '\n') {
			p->src->line++;
			continue;
		}
		if (c == '\0') {
			conf_error(p, "syntax error");
			return skip_line(p);
		}
		if (c == '\\') {
			d = raw(p);
			if (d == quote || d == ' ' || d == '\t') {
				c = d;
			} else if (d == '\n') {
				p->src->line++;
				continue;
			} else {
				unget(p, d);
			}
		}
		if (n == CONF_MAXTOKEN - 1) {
			conf_error(p, "string too long");
			return skip_line(p);
		}
		p->tok[n++] = (char)c;
	}
}

static int
ends_number(int c)
{
	return c == EOF || isspace(c) || strchr("),/}=", c) != NULL;
}

/* A number, or -1: what was read is to be read again as a word. */
static int
number(struct parser *p, CONF_YYSTYPE *lval, int c)
{
	const char *why = NULL;
	size_t n = 0;

	do {
		p->tok[n++] = (char)c;
		c = next(p);
	} while (n < CONF_MAXTOKEN - 1 && c != EOF && isdigit(c));
	unget(p, c);
	p->tok[n] = '\0';
	if ((n > 1 || p->tok[0] != '-') && ends_number(c)) {
		lval->number = strtonum(p->tok, INT64_MIN, INT64_MAX, &why);
		if (why == NULL)
			return NUMBER;
		conf_error(p, "\"%.64s\" invalid number: %s", p->tok, why);
		return skip_line(p);
	}
	while (n > 1)
		unget(p, (unsigned char)p->tok[--n]);
	return -1;
}

static int
in_word(int c)
{
	if (c == EOF || c > 127)
		return 0;
	return isalnum(c) || (ispunct(c) && strchr("(){}!=#,", c) == NULL);
}

static int
word(struct parser *p, CONF_YYSTYPE *lval, int c)
{
	size_t n = 0, i;

	do {
		if (n == CONF_MAXTOKEN - 1) {
			conf_error(p, "string too long");
			return skip_line(p);
		}
		p->tok[n++] = (char)c;
	} while (in_word(c = next(p)));
	unget(p, c);
	p->tok[n] = '\0';
	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (strcmp(p->tok, keywords[i].word) == 0)
			return keywords[i].token;
	return string_token(p, lval, n);
}

static void
mark(struct parser *p)
{
	char *name;

	if (p->src == NULL)
		return;
	if (p->file == NULL || strcmp(p->file, p->src->name) != 0) {
		if ((name = strdup(p->src->name)) != NULL) {
			free(p->file);
			p->file = name;
		}
	}
	p->line = p->src->line;
}

/* The first character of a token: blanks, comments and macros are done. */
static int
first(struct parser *p)
{
	int c;

	for (;;) {
		while ((c = next(p)) == ' ')
			;
		mark(p);
		if (c == '#')
			while ((c = next(p)) != '\n' && c != EOF)
				;
		if (c != '$' || p->from_macro)
			return c;
		if (expand(p) == -1)
			return -2;
	}
}

static int
token(struct parser *p, CONF_YYSTYPE *lval)
{
	int c, t;

	if ((c = first(p)) == -2)
		return skip_line(p);
	if (c == EOF)
		return 0;
	if (c == '\0' || c > 127)
		return ERROR;
	if (c == '"' || c == '\'')
		return quoted(p, lval, c);
	if (c == '-' || isdigit(c)) {
		if ((t = number(p, lval, c)) != -1)
			return t;
		if (c == '-')
			return c;
	}
	if (isalnum(c) || strchr(":_/", c) != NULL)
		return word(p, lval, c);
	if (c == '\n')
		p->src->line++;
	return c;
}

int
conf_yylex(CONF_YYSTYPE *lval, struct parser *p)
{
	int before = p->errors, t;

	t = token(p, lval);
	/* One message is enough. */
	p->complained = t == ERROR && p->errors > before;
	return t;
}
