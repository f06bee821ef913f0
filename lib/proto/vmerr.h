#ifndef PROTO_VMERR_H
#define PROTO_VMERR_H

/*
 * Why a request failed, as it crosses between processes and reaches the
 * person who asked.  A text with the particulars travels beside it.
 */
enum vmerr {
	VMERR_OK,
	VMERR_FAILED,	/* the text says it all */
	VMERR_BADMSG,	/* malformed request */
	VMERR_PERM,	/* not permitted */
	VMERR_NOTFOUND, /* no such VM */
	VMERR_RUNNING,	/* is running already */
	VMERR_NOTRUNNING,
	VMERR_STOPPING, /* is being stopped already */
	VMERR_PAUSED,	/* is paused already */
	VMERR_NOTPAUSED,
	VMERR_HELD, /* is disabled already */
	VMERR_NOTHELD,
	VMERR_INVALID,	   /* bad parameter */
	VMERR_EXISTS,	   /* name or id taken */
	VMERR_UNSUPPORTED, /* needs something not there */
	VMERR_LIMIT,	   /* a limit was reached */
	VMERR_BUSY,
	VMERR_BOOT_MISSING, /* kernel or firmware cannot be opened */
	VMERR_DISK_MISSING,
	VMERR_CDROM_MISSING,
	VMERR_CONFIG, /* configuration file has errors */
	VMERR_TIMEOUT,
	VMERR_GONE,  /* the process that should answer died */
	VMERR_GUEST, /* the guest process refused or failed */
	VMERR_MAX
};

/* Short text such as "not permitted"; never NULL, also for bad values. */
const char *vmerr_text(enum vmerr e);

/*
 * Exit status of vmctl: 0 done, 1 failed, 3 not found, 4 already in that
 * state, 5 not permitted, 6 timed out.
 */
int vmerr_status(enum vmerr e);

/* How a run of a VM ended. */
enum vmexit {
	VMEXIT_NONE,	  /* never ran */
	VMEXIT_POWEROFF,  /* the guest powered off */
	VMEXIT_RESET,	  /* the guest reset itself: i8042, 0xcf9 ... */
	VMEXIT_TRIPLE,	  /* triple fault, treated as a reset */
	VMEXIT_STOPPED,	  /* forced to stop on request */
	VMEXIT_SIGNAL,	  /* killed by a signal nobody here sent */
	VMEXIT_EMULATION, /* KVM could not emulate an instruction */
	VMEXIT_FAILED,	  /* anything else; the text says what */
	VMEXIT_LAUNCH,	  /* did not come up */
	VMEXIT_MAX
};

/* "powered off", "triple fault" ...; never NULL. */
const char *vmexit_text(enum vmexit e);

#endif
