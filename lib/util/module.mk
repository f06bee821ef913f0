UTIL_SRCS = \
	lib/util/fdlist.c \
	lib/util/gmem.c \
	lib/util/log.c \
	lib/util/memfd.c \
	lib/util/ring.c \
	lib/util/scaled.c

# What maps guest memory, or a ring.
GMEM_SRCS = lib/util/gmem.c lib/util/memfd.c
RING_SRCS = lib/util/memfd.c lib/util/ring.c

UNIT += fdlist_test
fdlist_test_SRCS = lib/util/fdlist.c

UNIT += gmem_test
gmem_test_SRCS = $(GMEM_SRCS)
gmem_test_LIBS = -Wl,--wrap=memfd_create

UNIT += log_test
log_test_SRCS = lib/util/log.c
log_test_LIBS = -lbsd

UNIT += ring_test
ring_test_SRCS = $(RING_SRCS) lib/util/fdlist.c

UNIT += scaled_test
scaled_test_SRCS = lib/util/scaled.c
scaled_test_LIBS = -lbsd
