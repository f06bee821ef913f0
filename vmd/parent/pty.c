/*
 * The terminal of a VM: a pty for programs like cu(1), and the ring that
 * keeps the last output.  The parent holds both ends, so that the terminal
 * survives resets of the guest and readers see its end when the VM ends.
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "lib/util/ring.h"
#include "vmd/parent/vm.h"

/* Its owner, or those of its group, may open it. */
static int
tty_chown(const struct vm *v)
{
	const struct group *gr;
	uid_t uid = (uid_t)v->run->uid;
	gid_t gid = 0;
	mode_t mode = 0600;

	if (v->run->gid != VM_GID_NONE) {
		gid = (gid_t)v->run->gid;
		mode = 0660;
	} else if ((gr = getgrnam("tty")) != NULL) {
		gid = gr->gr_gid;
		mode = 0620;
	}
	if (fchown(v->tty_slave, uid, gid) == -1)
		return -1;
	return fchmod(v->tty_slave, mode);
}

/*
 * Raw before the guest starts: else the terminal would echo the guest's
 * output back to it as input.
 */
static int
tty_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) == -1)
		return -1;
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	return tcsetattr(fd, TCSANOW, &t);
}

static int
tty_make(struct vm *v)
{
	char name[64];

	v->tty_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (v->tty_master == -1 || unlockpt(v->tty_master) == -1 ||
	    ptsname_r(v->tty_master, name, sizeof(name)) != 0)
		return -1;
	v->tty_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (v->tty_slave == -1 || tty_raw(v->tty_slave) == -1 ||
	    tty_chown(v) == -1)
		return -1;
	return (v->tty = strdup(name)) == NULL ? -1 : 0;
}

int
vm_tty_open(struct vm *v)
{
	if (v->ring == -1 && (v->ring = ring_create()) == -1)
		return -1;
	if (v->tty != NULL)
		return 0;
	if (tty_make(v) == -1) {
		vm_tty_close(v);
		return -1;
	}
	return 0;
}

void
vm_tty_close(struct vm *v)
{
	/* Nobody may keep it open under its old permissions. */
	if (v->tty_slave != -1 &&
	    (fchown(v->tty_slave, 0, 0) == -1 ||
		fchmod(v->tty_slave, 0600) == -1))
		log_debug("%s: cannot take back the tty", v->spec->name);
	fd_close(&v->tty_slave);
	fd_close(&v->tty_master);
	free(v->tty);
	v->tty = NULL;
}
