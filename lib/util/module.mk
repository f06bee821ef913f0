UTIL_SRCS = \
	lib/util/fdlist.c \
	lib/util/gmem.c \
	lib/util/log.c \
	lib/util/ring.c \
	lib/util/scaled.c

UNIT += scaled_test
scaled_test_SRCS = lib/util/scaled.c
scaled_test_LIBS = -lbsd
