UTIL_SRCS = \
	lib/util/scaled.c

UNIT += scaled_test
scaled_test_SRCS = lib/util/scaled.c
scaled_test_LIBS = -lbsd
