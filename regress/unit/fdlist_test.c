/* Lists of descriptors: who owns which, and that none gets lost. */

#include "regress/unit/proto_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/util/fdlist.h"

static int
new_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	return fd;
}

static void
add(struct fdlist *l, enum fd_kind kind, unsigned int idx, unsigned int sub)
{
	int fd = new_fd();

	assert_int_equal(fdlist_add(l, kind, idx, sub, &fd), 0);
	assert_int_equal(fd, -1);
}

static void
closing(void **state)
{
	int fd = new_fd(), copy = fd;

	errno = ERANGE;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	fd = -1;
	errno = ERANGE;
	fd_close(&fd);
	assert_int_equal(errno, ERANGE);
}

static void
finds(void **state)
{
	struct fdlist l = FDLIST_INIT;
	int before = count_fds();

	add(&l, FD_DISK, 1, 2);
	add(&l, FD_DISK, 2, 1);
	add(&l, FD_TAP, 1, 2);
	assert_int_equal(fdlist_get(&l, FD_DISK, 1, 2), l.ents[0].fd);
	assert_int_equal(fdlist_get(&l, FD_DISK, 2, 1), l.ents[1].fd);
	assert_int_equal(fdlist_get(&l, FD_TAP, 1, 2), l.ents[2].fd);
	assert_int_equal(fdlist_get(&l, FD_TAP, 2, 1), -1);
	assert_int_equal(fdlist_get(&l, FD_BOOT, 0, 0), -1);
	assert_int_equal(fdlist_get(&l, FD_DISK, 1 + 65536, 2), -1);
	fdlist_close(&l);
	fdlist_close(&l);
	assert_int_equal(count_fds(), before);
}

static void
takes(void **state)
{
	struct fdlist l = FDLIST_INIT;
	int fd, first, last;

	add(&l, FD_BOOT, 0, 0);
	add(&l, FD_INITRD, 0, 0);
	add(&l, FD_CDROM, 0, 0);
	first = l.ents[0].fd;
	last = l.ents[2].fd;
	fd = fdlist_take(&l, FD_INITRD, 0, 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fdlist_take(&l, FD_INITRD, 0, 0), -1);
	assert_int_equal(l.n, 2);
	assert_int_equal(fdlist_get(&l, FD_BOOT, 0, 0), first);
	assert_int_equal(fdlist_get(&l, FD_CDROM, 0, 0), last);
	fdlist_close(&l);
	/* It is ours now. */
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	close(fd);
	assert_int_equal(fcntl(last, F_GETFD), -1);
}

static void
refuses(void **state)
{
	struct fdlist l = FDLIST_INIT;
	unsigned int i;
	int fd, before = count_fds(), other = new_fd();

	add(&l, FD_TAP, 0, 0);
	fd = other;
	assert_fails(fdlist_add(&l, FD_TAP, 0, 0, &fd), EEXIST);
	assert_int_equal(fd, other);
	for (i = 1; i < VM_MAXFDS; i++)
		add(&l, FD_TAP, i, 0);
	assert_fails(fdlist_add(&l, FD_TAP, i, 0, &fd), EMFILE);
	assert_int_equal(fd, other);
	assert_int_equal(l.n, VM_MAXFDS);
	/* Places are 16 bits; what is more must not become another one. */
	fd_close(&l.ents[--l.n].fd);
	assert_fails(fdlist_add(&l, FD_TAP, 65536, 0, &fd), EINVAL);
	assert_fails(fdlist_add(&l, FD_TAP, 0, 65536, &fd), EINVAL);
	assert_fails(fdlist_add(&l, FD_NONE, 0, 0, &fd), EINVAL);
	assert_fails(fdlist_add(&l, FD_KIND_MAX, 0, 0, &fd), EINVAL);
	assert_int_equal(fd, other);
	close(other);
	fdlist_close(&l);
	assert_int_equal(count_fds(), before);
}

static void
duplicates(void **state)
{
	struct fdlist l = FDLIST_INIT, d = FDLIST_INIT;
	int before = count_fds(), fd;

	add(&l, FD_BOOT, 0, 0);
	add(&l, FD_DISK, 7, 3);
	assert_int_equal(fdlist_dup(&d, &l), 0);
	fd = fdlist_get(&d, FD_DISK, 7, 3);
	assert_int_not_equal(fd, -1);
	assert_int_not_equal(fd, fdlist_get(&l, FD_DISK, 7, 3));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	/* What is there already is not replaced. */
	assert_fails(fdlist_dup(&d, &l), EEXIST);
	fdlist_close(&l);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	fdlist_close(&d);
	assert_int_equal(count_fds(), before);
	/* A descriptor that is none. */
	l.n = 1;
	l.ents[0] = (struct fdent){ .fd = -1, .kind = FD_BOOT };
	assert_fails(fdlist_dup(&d, &l), EBADF);
	assert_int_equal(d.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closing),
		cmocka_unit_test(finds),
		cmocka_unit_test(takes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(duplicates),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
