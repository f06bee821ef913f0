/*
 * Causes of failures and ends of runs, in words.
 */

#include "lib/proto/vmerr.h"

static const struct {
	const char *text;
	int status; /* of vmctl */
} errs[VMERR_MAX] = {
	[VMERR_OK] = { "done", 0 },
	[VMERR_FAILED] = { "failed", 1 },
	[VMERR_BADMSG] = { "malformed request", 1 },
	[VMERR_PERM] = { "not permitted", 5 },
	[VMERR_NOTFOUND] = { "no such VM", 3 },
	[VMERR_RUNNING] = { "already running", 4 },
	[VMERR_NOTRUNNING] = { "not running", 4 },
	[VMERR_STOPPING] = { "already being stopped", 4 },
	[VMERR_PAUSED] = { "already paused", 4 },
	[VMERR_NOTPAUSED] = { "not paused", 4 },
	[VMERR_HELD] = { "already disabled", 4 },
	[VMERR_NOTHELD] = { "not disabled by vmctl", 4 },
	[VMERR_INVALID] = { "invalid parameter", 1 },
	[VMERR_EXISTS] = { "already exists", 1 },
	[VMERR_UNSUPPORTED] = { "not supported", 1 },
	[VMERR_LIMIT] = { "limit reached", 1 },
	[VMERR_BUSY] = { "busy", 1 },
	[VMERR_BOOT_MISSING] = { "kernel or firmware missing", 1 },
	[VMERR_DISK_MISSING] = { "disk image missing", 1 },
	[VMERR_CDROM_MISSING] = { "CD-ROM image missing", 1 },
	[VMERR_CONFIG] = { "configuration has errors", 1 },
	[VMERR_TIMEOUT] = { "timed out", 6 },
	[VMERR_GONE] = { "the process that should answer died", 1 },
	[VMERR_GUEST] = { "the guest failed", 1 },
};

static const char *const exits[VMEXIT_MAX] = {
	[VMEXIT_NONE] = "never ran",
	[VMEXIT_POWEROFF] = "powered off",
	[VMEXIT_RESET] = "reset",
	[VMEXIT_TRIPLE] = "triple fault",
	[VMEXIT_STOPPED] = "stopped",
	[VMEXIT_SIGNAL] = "killed by a signal",
	[VMEXIT_EMULATION] = "KVM could not emulate an instruction",
	[VMEXIT_FAILED] = "failed",
	[VMEXIT_LAUNCH] = "did not start",
};

const char *
vmerr_text(enum vmerr e)
{
	if ((unsigned int)e >= VMERR_MAX)
		return "unknown error";
	return errs[e].text;
}

int
vmerr_status(enum vmerr e)
{
	if ((unsigned int)e >= VMERR_MAX)
		return 1;
	return errs[e].status;
}

const char *
vmexit_text(enum vmexit e)
{
	if ((unsigned int)e >= VMEXIT_MAX)
		return "unknown end";
	return exits[e];
}
