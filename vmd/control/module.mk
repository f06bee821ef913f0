CONTROL_SRCS = \
	vmd/control/conn.c \
	vmd/control/control.c \
	vmd/control/main.c

# Without main.c: no process of its own, no privileges dropped.
UNIT += control_test control_hostile_test
CONTROL_TEST_SRCS = \
	vmd/control/conn.c \
	vmd/control/control.c \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) proc/peer.c
control_test_SRCS = $(CONTROL_TEST_SRCS)
control_test_LIBS = -lbsd -levent_core
control_hostile_test_SRCS = $(CONTROL_TEST_SRCS)
control_hostile_test_LIBS = -lbsd -levent_core
