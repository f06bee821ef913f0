#ifndef VMD_ROLES_H
#define VMD_ROLES_H

#include "proc/proc.h"

/*
 * Every role of the program vmd: its entry.  main() parses the command
 * line, finds the role (roles.c) and calls it; none returns on failure.
 */

#define VMD_CONF      "/etc/vm.conf"
#define VMD_SOCKET    "/run/vmd/vmd.sock"
#define VMD_STATEDIR  "/var/lib/vmd"
#define VMD_USER      "_vmd"
#define VMD_PRIV_USER "_vmdpriv"
/* Build setting: the program of user-mode interfaces. */
#ifndef VMD_PASST
#define VMD_PASST "/usr/bin/passt"
#endif

/* How the daemon was started; constant, the parent keeps a pointer. */
struct parent_args {
	const char *conf; /* configuration file */
	const char *socket;
	const char *statedir;
	const char *dir;	   /* where it was started, "": not known */
	const char *const *macros; /* -D name=value, NULL-terminated */
	int debug;		   /* -d: foreground, log to stderr */
	int verbose;
	int ignore_missing_conf; /* -f was not given */
	int exe;		 /* descriptor of this program */
	int guest_exe;		 /* descriptor of vmd-guest */
	const char *passt;	 /* program of user-mode interfaces */
};

/* Run the role that `a' names; 1 if there is none. */
int role_main(const struct proc_args *a);
int parent_main(const struct parent_args *a); /* vmd/parent */
int control_main(const struct proc_args *a);  /* vmd/control */
int priv_main(const struct proc_args *a);     /* vmd/priv */
int vmm_main(const struct proc_args *a);      /* vmd/vmm */
int opener_main(const struct proc_args *a);   /* vmd/parent */
int image_main(const struct proc_args *a);    /* vmd/image */

#endif
