PRIV_SRCS = \
	vmd/priv/priv.c

# The processes priv and control themselves, from the inside and out; the
# real programs too if they are built.
UNIT += priv_test
priv_test_SRCS = \
	vmd/priv/priv.c \
	$(CONTROL_SRCS) lib/sandbox/lock.c \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) $(PROC_SRCS)
priv_test_LIBS = -lbsd -levent_core
