CONTROL_SRCS = \
	vmd/control/control.c \
	vmd/control/main.c

# Without main.c: no process of its own, no privileges dropped.
UNIT += control_test
control_test_SRCS = \
	vmd/control/control.c \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) proc/peer.c
control_test_LIBS = -lbsd -levent_core
