/*
 * The grammar of vm.conf(5).  What it means is in build.c; what can be said
 * only when all was read, in check.c.
 *
 * Words that were added later (cpus, initrd, limit ...) are words only where
 * an option may begin; as names they are taken everywhere.
 */
%code requires {
#include <stdint.h>
struct parser;
struct owner;
}

%{
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

#include "lib/proto/vmspec.h"
#include "vmd/conf/conf_int.h"
#include "build/gen/parse.h"

int	conf_yylex(CONF_YYSTYPE *lval, struct parser *p);
static void conf_yyerror(struct parser *p, const char *text);
static char *join(struct parser *p, char *a, char *b);

/* An action that failed has complained; go on after the line. */
#define OK(x) do { if ((x) == -1) YYERROR; } while (0)
%}

%define api.pure full
%define api.prefix {conf_yy}
%param { struct parser *p }
%expect 0

%union {
	int64_t	 number;
	char	*string;
	int	 flag;
}

%token	ADD AGENTX ALLOW BOOT CDROM CONTEXT DELAY DEVICE DISABLE DISK DOWN
%token	ENABLE ERROR FORMAT GROUP ID INCLUDE INET6 INSTANCE INTERFACE
%token	INTERFACES LLADDR LOCAL LOCKED MEMORY NET OWNER PARALLEL PATH PREFIX
%token	RDOMAIN SEV SEVES SIZE SOCKET STAGGERED START SWITCH UP VM
%token	CMDLINE CONSOLE CPUS FIRMWARE INITRD LIMIT LOG OVERCOMMIT READONLY
%token	RESTART SERIAL STATUS STOP TIMEOUT USER VMS
%token	DNS DOMAIN FORWARD IN ISOLATED KILL MTU NAT NTP RESET TCP TO UDP
%token	<number> NUMBER
%token	<string> STRING
%type	<string> string word newword netword parent tap
%type	<flag> local insflag locked proto
%type	<number> toport
%destructor { free($$); } <string>

%%

config		: /* empty */
		| config '\n'
		| config include '\n'
		| config macro '\n'
		| config global '\n'
		| config switch
		| config vm
		| config error '\n'
		;

/* A name; the new words are names here. */
word		: STRING
		| newword
		| netword
		;

newword		: CMDLINE	{ $$ = strdup("cmdline"); }
		| CONSOLE	{ $$ = strdup("console"); }
		| CPUS		{ $$ = strdup("cpus"); }
		| FIRMWARE	{ $$ = strdup("firmware"); }
		| INITRD	{ $$ = strdup("initrd"); }
		| LIMIT		{ $$ = strdup("limit"); }
		| LOG		{ $$ = strdup("log"); }
		| OVERCOMMIT	{ $$ = strdup("overcommit"); }
		| READONLY	{ $$ = strdup("readonly"); }
		| RESTART	{ $$ = strdup("restart"); }
		| SERIAL	{ $$ = strdup("serial"); }
		| STATUS	{ $$ = strdup("status"); }
		| STOP		{ $$ = strdup("stop"); }
		| TIMEOUT	{ $$ = strdup("timeout"); }
		| USER		{ $$ = strdup("user"); }
		| VMS		{ $$ = strdup("vms"); }
		;

/*
 * Nothing of an interface follows a string, nor does what these begin or are
 * amid: there they are a part of it.
 */
netword		: DNS		{ $$ = strdup("dns"); }
		| DOMAIN	{ $$ = strdup("domain"); }
		| FORWARD	{ $$ = strdup("forward"); }
		| IN		{ $$ = strdup("in"); }
		| ISOLATED	{ $$ = strdup("isolated"); }
		| KILL		{ $$ = strdup("kill"); }
		| MTU		{ $$ = strdup("mtu"); }
		| NAT		{ $$ = strdup("nat"); }
		| NTP		{ $$ = strdup("ntp"); }
		| RESET		{ $$ = strdup("reset"); }
		| TCP		{ $$ = strdup("tcp"); }
		| TO		{ $$ = strdup("to"); }
		| UDP		{ $$ = strdup("udp"); }
		;

string		: word
		| string STRING	{
			if (($$ = join(p, $1, $2)) == NULL)
				YYERROR;
		}
		| string netword {
			if (($$ = join(p, $1, $2)) == NULL)
				YYERROR;
		}
		;

include		: INCLUDE string {
			if (conf_push(p, $2) == -1)
				conf_error(p, "failed to include file %s: %s",
				    $2, strerror(errno));
			free($2);
		}
		;

macro		: word '=' word {
			if (strpbrk($1, " \t\n") != NULL)
				conf_error(p, "macro name cannot contain "
				    "whitespace");
			else if (macro_set(p, $1, $3, 0) == -1)
				conf_error(p, "macro %s: %s", $1,
				    strerror(errno));
			free($1);
			free($3);
		}
		;

global		: LOCAL INET6	{ p->conf->local_inet6 = 1; }
		| LOCAL INET6 PREFIX word {
			int rc = local_prefix6(p, $4);

			free($4);
			OK(rc);
		}
		| LOCAL PREFIX word {
			int rc = local_prefix(p, $3);

			free($3);
			OK(rc);
		}
		| LOCAL NAT	{ OK(local_nat(p)); }
		| DNS		{ OK(dns_begin(p)); } dnslist
		| DOMAIN word	{
			int rc = domain(p, $2);

			free($2);
			OK(rc);
		}
		| NTP		{ OK(ntp_begin(p)); } ntplist
		| SOCKET OWNER sowner
		| AGENTX agentxopts {
			p->conf->agentx = 1;
			conf_warning(p, "agentx is not supported, ignored");
		}
		| STAGGERED START PARALLEL NUMBER DELAY NUMBER {
			OK(staggered(p, $4, $6));
		}
		| RESET LIMIT NUMBER IN NUMBER {
			OK(reset_limit(p, $3, $5));
		}
		| KILL TIMEOUT NUMBER { OK(kill_timeout(p, $3)); }
		| FIRMWARE string {
			int rc = firmware(p, $2);

			free($2);
			OK(rc);
		}
		| STATUS word	{
			int rc = status_shows(p, $2);

			free($2);
			OK(rc);
		}
		| LIMIT limitwho optnl '{' optnl limitopts '}' {
			limit_end(p);
		}
		;

dnslist		: dnsaddr
		| dnslist optcomma dnsaddr
		;

dnsaddr		: STRING	{
			int rc = dns_server(p, $1);

			free($1);
			OK(rc);
		}
		;

ntplist		: ntpaddr
		| ntplist optcomma ntpaddr
		;

ntpaddr		: STRING	{
			int rc = ntp_server(p, $1);

			free($1);
			OK(rc);
		}
		;

limitwho	: USER word	{
			int rc = limit_begin(p, 0, $2);

			free($2);
			OK(rc);
		}
		| GROUP word	{
			int rc = limit_begin(p, 1, $2);

			free($2);
			OK(rc);
		}
		;

limitopts	: limitopt optsep
		| limitopts limitopt optsep
		;

limitopt	: CPUS NUMBER	{
			OK(limit_number(p, W_CPUS, &p->limit->cpus, $2));
		}
		| INTERFACES NUMBER {
			OK(limit_number(p, W_INTERFACES, &p->limit->nics, $2));
		}
		| VMS NUMBER	{
			OK(limit_number(p, W_VMS, &p->limit->vms, $2));
		}
		| MEMORY NUMBER	{ OK(limit_memory(p, NULL, $2)); }
		| MEMORY word	{
			int rc = limit_memory(p, $2, 0);

			free($2);
			OK(rc);
		}
		;

agentxopts	: /* empty */
		| agentxopts CONTEXT word {
			int rc = agentx_context(p, $3);

			free($3);
			OK(rc);
		}
		| agentxopts PATH word {
			int rc = agentx_path(p, $3);

			free($3);
			OK(rc);
		}
		;

sowner		: NUMBER	{
			struct owner o;

			OK(owner_number(p, $1, &o));
			p->conf->socket_uid = o.uid;
			p->conf->socket_gid = 0;
			p->conf->socket_given = 1;
		}
		| word		{
			struct owner o;
			int rc = owner_string(p, $1, &o);

			free($1);
			OK(rc);
			p->conf->socket_uid = o.uid;
			p->conf->socket_gid = o.gid == VM_GID_NONE ? 0 :
			    (uint32_t)o.gid;
			p->conf->socket_given = 1;
		}
		;

/* --- switches ----------------------------------------------------------- */

switch		: SWITCH swname optnl '{' optnl swopts '}' {
			sw_end(p);
		}
		;

swname		: string	{
			int rc = sw_begin(p, $1);

			free($1);
			OK(rc);
		}
		;

swopts		: swopt optsep
		| swopts swopt optsep
		;

swopt		: ENABLE	{ p->sw_disabled = 0; }
		| DISABLE	{ p->sw_disabled = 1; }
		| GROUP string	{
			int rc = set_group(p, &p->sw->group, $2);

			free($2);
			OK(rc);
		}
		| INTERFACE string {
			int rc = sw_interface(p, $2);

			free($2);
			OK(rc);
		}
		| LOCKED LLADDR	{ p->sw->flags |= SWITCHF_LOCKED; }
		| RDOMAIN NUMBER {
			OK(set_rdomain(p, &p->sw->rdomain, $2));
			p->sw->flags |= SWITCHF_RDOMAIN;
		}
		| UP		{ p->sw->flags |= SWITCHF_UP; }
		| DOWN		{ p->sw->flags &= ~(uint32_t)SWITCHF_UP; }
		;

/* --- VMs ---------------------------------------------------------------- */

vm		: VM vmname optnl '{' optnl vmopts '}' { vm_end(p); }
		;

vmname		: string parent	{
			int rc = $2 == NULL ? vm_begin(p, $1, NULL) :
			    vm_begin(p, $2, $1);

			free($1);
			free($2);
			OK(rc);
		}
		;

parent		: /* empty */	{ $$ = NULL; }
		| INSTANCE string { $$ = $2; }
		;

vmopts		: vmoptsep
		| vmopts vmoptsep
		;

/* The commas after options of an interface without braces are its own. */
vmoptsep	: vmopt optsep
		| nic optsep
		| nicline
		| nicline '\n' optsep
		;

vmopt		: ENABLE	{ p->vm->flags &= ~(uint32_t)VMF_DISABLED; }
		| DISABLE	{ p->vm->flags |= VMF_DISABLED; }
		| SEV		{ p->vm->flags |= VMF_SEV; }
		| SEVES		{ p->vm->flags |= VMF_SEV | VMF_SEVES; }
		| DISK diskpath diskopts
		| BOOT string	{
			int rc = vm_boot(p, $2);

			free($2);
			OK(rc);
		}
		| BOOT DEVICE bootdev { p->vm->given |= VMGIVEN_BOOTDEV; }
		| CDROM string	{
			int rc = vm_cdrom(p, $2);

			free($2);
			OK(rc);
		}
		| INTERFACES NUMBER { OK(vm_interfaces(p, $2)); }
		| MEMORY NUMBER	{ OK(vm_memory_number(p, $2)); }
		| MEMORY STRING	{
			int rc = vm_memory_string(p, $2);

			free($2);
			OK(rc);
		}
		| MEMORY OVERCOMMIT { p->vm->flags |= VMF_OVERCOMMIT; }
		| OWNER vmowner
		| ALLOW INSTANCE insflag
		| ALLOW INSTANCE '{' optnl inslist '}'
		| CPUS NUMBER	{ OK(vm_cpus(p, $2)); }
		| ID NUMBER	{ OK(vm_id(p, $2)); }
		| INITRD string	{
			int rc = vm_initrd(p, $2);

			free($2);
			OK(rc);
		}
		| CMDLINE string {
			int rc = vm_cmdline(p, $2);

			free($2);
			OK(rc);
		}
		| RESTART word	{
			int rc = vm_restart(p, $2);

			free($2);
			OK(rc);
		}
		| STOP TIMEOUT NUMBER { OK(vm_stop_timeout(p, $3)); }
		| CONSOLE LOG string {
			int rc = vm_console_log(p, $3);

			free($3);
			OK(rc);
		}
		;

diskpath	: string	{
			int rc = vm_disk(p, $1);

			free($1);
			OK(rc);
		}
		;

diskopts	: /* empty */
		| diskopts FORMAT string {
			int rc = vm_disk_format(p, $3);

			free($3);
			OK(rc);
		}
		| diskopts READONLY { vm_disk_readonly(p); }
		| diskopts SERIAL string {
			int rc = vm_disk_serial(p, $3);

			free($3);
			OK(rc);
		}
		;

bootdev		: CDROM		{ p->vm->bootdev = BOOTDEV_CDROM; }
		| DISK		{ p->vm->bootdev = BOOTDEV_DISK; }
		| NET		{ p->vm->bootdev = BOOTDEV_NET; }
		;

vmowner		: NUMBER	{
			struct owner o;

			OK(owner_number(p, $1, &o));
			OK(vm_owner(p, &o));
		}
		| word		{
			struct owner o;
			int rc = owner_string(p, $1, &o);

			free($1);
			OK(rc);
			OK(vm_owner(p, &o));
		}
		;

insflag		: BOOT		{ p->vm->ins_flags |= INSF_BOOT; }
		| MEMORY	{ p->vm->ins_flags |= INSF_MEMORY; }
		| INTERFACE	{ p->vm->ins_flags |= INSF_INTERFACE; }
		| DISK		{ p->vm->ins_flags |= INSF_DISK; }
		| CDROM		{ p->vm->ins_flags |= INSF_CDROM; }
		| INSTANCE	{ p->vm->ins_flags |= INSF_INSTANCE; }
		| OWNER NUMBER	{
			struct owner o;

			OK(owner_number(p, $2, &o));
			p->vm->ins_uid = o.uid;
			p->vm->ins_gid = VM_GID_NONE;
			p->vm->ins_flags |= INSF_OWNER;
		}
		| OWNER word	{
			struct owner o;
			int rc = owner_string(p, $2, &o);

			free($2);
			OK(rc);
			p->vm->ins_uid = o.uid;
			p->vm->ins_gid = o.gid;
			p->vm->ins_flags |= INSF_OWNER;
		}
		;

inslist		: insflag optsep
		| inslist insflag optsep
		;

nic		: nicname	{ nic_end(p); }
		| nicname '{' optnl iflist '}' { nic_end(p); }
		;

nicline		: nicname ifinline { nic_end(p); }
		;

nicname		: local INTERFACE tap {
			int rc = nic_begin(p, $3, $1);

			free($3);
			OK(rc);
		}
		;

local		: /* empty */	{ $$ = 0; }
		| LOCAL		{ $$ = 1; }
		;

tap		: /* empty */	{ $$ = NULL; }
		| STRING
		;

iflist		: ifopt optsep
		| iflist ifopt optsep
		;

ifinline	: ifopt
		| ifinline ifopt
		| ifinline ','
		;

ifopt		: SWITCH word	{
			int rc = set_switch_name(p, $2);

			free($2);
			OK(rc);
		}
		| GROUP word	{
			int rc = set_group(p, &p->nic->group, $2);

			free($2);
			OK(rc);
		}
		| locked LLADDR	{ OK(nic_lladdr(p, NULL, $1)); }
		| locked LLADDR STRING {
			int rc = nic_lladdr(p, $3, $1);

			free($3);
			OK(rc);
		}
		| RDOMAIN NUMBER {
			OK(set_rdomain(p, &p->nic->rdomain, $2));
			p->nic->flags |= NICF_RDOMAIN;
		}
		| UP		{ p->nic->flags |= NICF_UP; }
		| DOWN		{ p->nic->flags &= ~(uint32_t)NICF_UP; }
		| ISOLATED	{ p->nic->flags |= NICF_ISOLATED; }
		| NAT		{ p->nic->flags |= NICF_NAT; }
		| USER		{ p->nic->flags |= NICF_USER; }
		| MTU NUMBER	{ OK(nic_mtu(p, $2)); }
		| FORWARD proto NUMBER toport {
			OK(nic_forward(p, $2, $3, $4));
		}
		;

proto		: /* empty */	{ $$ = IPPROTO_TCP; }
		| TCP		{ $$ = IPPROTO_TCP; }
		| UDP		{ $$ = IPPROTO_UDP; }
		;

toport		: /* empty */	{ $$ = 0; }
		| TO NUMBER	{
			/* None is said by 0, which is no port. */
			$$ = $2 == 0 ? -1 : $2;
		}
		;

locked		: /* empty */	{ $$ = 0; }
		| LOCKED	{ $$ = 1; }
		;

optcomma	: /* empty */
		| ','
		;

optsep		: /* empty */
		| optsep '\n'
		| optsep ','
		;

optnl		: /* empty */
		| optnl '\n'
		;

%%

static void
conf_yyerror(struct parser *p, const char *text)
{
	if (!p->complained)
		conf_error(p, "%s", text);
}

/* Both are gone afterwards.  One that is NULL had no memory. */
static char *
join(struct parser *p, char *a, char *b)
{
	size_t la = a == NULL ? 0 : strlen(a), lb = b == NULL ? 0 : strlen(b);
	char *s = NULL;

	if (la + lb >= CONF_MAXTOKEN)
		conf_error(p, "string too long");
	else if (a == NULL || b == NULL ||
	    (s = realloc(a, la + lb + 1)) == NULL)
		conf_error(p, "out of memory");
	if (s == NULL)
		free(a);
	else
		memcpy(s + la, b, lb + 1);
	free(b);
	return s;
}
