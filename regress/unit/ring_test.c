/*
 * The console history: it wraps, it is read from any position, and a vm
 * process that scribbles over its head does no harm.
 */

#include "regress/unit/proto_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util/ring.h"

#define HEAD 4096

static int fd;
static struct ring *ring;

static int
setup(void **state)
{
	fd = ring_create();
	ring = ring_map(fd);
	return ring == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	ring_free(ring);
	close(fd);
	return 0;
}

/* Byte number `pos' of all that is ever written here. */
static uint8_t
byte(uint64_t pos)
{
	return (uint8_t)(pos * 7 + (pos >> 8) * 13);
}

/* Write the next `len' bytes. */
static void
produce(size_t len)
{
	uint64_t pos = ring_pos(ring);
	uint8_t *buf = malloc(len + 1);
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = byte(pos + i);
	ring_write(ring, buf, len);
	assert_true(ring_pos(ring) == pos + len);
	free(buf);
}

/* Read all from `pos' on, `step' bytes at a time; the first byte's number. */
static uint64_t
consume(uint64_t pos, size_t step)
{
	uint8_t *buf = malloc(step);
	uint64_t first = UINT64_MAX, at;
	size_t n, i;

	while ((n = ring_read(ring, &pos, buf, step)) > 0) {
		assert_true(n <= step);
		at = pos - n;
		if (first == UINT64_MAX)
			first = at;
		for (i = 0; i < n; i++)
			assert_int_equal(buf[i], byte(at + i));
	}
	assert_true(pos == ring_pos(ring));
	free(buf);
	return first;
}

static void
empty(void **state)
{
	uint64_t pos = 0;
	char c;

	assert_true(ring_pos(ring) == 0);
	assert_int_equal(ring_read(ring, &pos, &c, 1), 0);
	pos = 1000; /* of the future */
	assert_int_equal(ring_read(ring, &pos, &c, 1), 0);
	assert_true(pos == 0);
	ring_write(ring, "x", 0);
	assert_true(ring_pos(ring) == 0);
	produce(1);
	assert_int_equal(ring_read(ring, &pos, &c, 0), 0);
	assert_true(pos == 0);
}

static void
wraps(void **state)
{
	produce(RING_SIZE - 10);
	assert_true(consume(0, 1000) == 0);
	produce(10);
	assert_true(consume(0, RING_SIZE) == 0);
	produce(1);
	assert_true(consume(0, RING_SIZE) == 1);
	assert_true(consume(RING_SIZE - 5, 3) == RING_SIZE - 5);
	produce(RING_SIZE - 1);
	assert_true(consume(0, 4096) == RING_SIZE);
	/* More than it holds, in one write. */
	produce(3 * RING_SIZE + 17);
	assert_true(consume(0, 5000) == 4 * RING_SIZE + 17);
}

/* Readers that go on where they were, a slow one among them. */
static void
follows(void **state)
{
	uint64_t pos = 0;
	uint8_t buf[100];
	size_t n;
	int i;

	for (i = 0; i < 10000; i++) {
		produce((size_t)(i % 97));
		n = ring_read(ring, &pos, buf, sizeof(buf));
		assert_int_equal(n, i % 97);
		assert_true(pos == ring_pos(ring));
	}
	produce(RING_SIZE + 50);
	n = ring_read(ring, &pos, buf, 1);
	assert_int_equal(n, 1);
	assert_true(pos == ring_pos(ring) - RING_SIZE + 1);
}

/* Two mappings, as in the parent and the vm process. */
static void
shared(void **state)
{
	struct ring *reader = ring_map(fd);
	uint64_t pos = 0;
	char buf[8];

	assert_non_null(reader);
	ring_write(ring, "hello", 5);
	assert_int_equal(ring_read(reader, &pos, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	ring_free(reader);
	ring_free(NULL);
}

/* Any count in the head: no read leaves the ring or goes on for ever. */
static void
corrupted(void **state)
{
	static const uint64_t heads[] = { 1, RING_SIZE, RING_SIZE + 1,
		UINT64_MAX, UINT64_MAX - 1, 1ULL << 63, 1ULL << 32,
		RING_SIZE * 2ULL - 1, UINT64_MAX - RING_SIZE };
	static const uint64_t from[] = { 0, 1, RING_SIZE, 1ULL << 63,
		UINT64_MAX };
	uint8_t *buf = malloc(RING_SIZE * 2);
	uint64_t *head, pos;
	size_t i, j, total, n;

	head = mmap(NULL, HEAD, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(head, MAP_FAILED);
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		for (j = 0; j < sizeof(from) / sizeof(from[0]); j++) {
			*head = heads[i];
			pos = from[j];
			total = 0;
			while (
			    (n = ring_read(ring, &pos, buf, 2 * RING_SIZE)) > 0)
				total += n;
			assert_true(total <= RING_SIZE);
			assert_true(pos == heads[i]);
		}
		/* The next run's process writes on from there. */
		ring_write(ring, "abc", 3);
		assert_true(ring_pos(ring) == heads[i] + 3);
	}
	/* Turned back under a reader. */
	*head = 1000;
	pos = 0;
	assert_int_equal(ring_read(ring, &pos, buf, 600), 600);
	*head = 500;
	assert_int_equal(ring_read(ring, &pos, buf, 600), 0);
	assert_true(pos == 500);
	munmap(head, HEAD);
	free(buf);
}

/* What is not such a memfd is not mapped. */
static void
foreign(void **state)
{
	int bad, p[2];

	assert_fails(ftruncate(fd, 1), EPERM);
	assert_fails(ftruncate(fd, 1 << 20), EPERM);
	bad = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	errno = 0;
	assert_null(ring_map(bad));
	assert_int_equal(errno, EINVAL);
	/* Of the right size, but it could shrink under us. */
	assert_int_equal(ftruncate(bad, HEAD + RING_SIZE), 0);
	errno = 0;
	assert_null(ring_map(bad));
	assert_int_equal(errno, EINVAL);
	close(bad);
	assert_int_equal(pipe(p), 0);
	assert_null(ring_map(p[0]));
	close(p[0]);
	close(p[1]);
	errno = 0;
	assert_null(ring_map(-1));
	assert_int_equal(errno, EBADF);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(empty),
		TEST(wraps),
		TEST(follows),
		TEST(shared),
		TEST(corrupted),
		TEST(foreign),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
