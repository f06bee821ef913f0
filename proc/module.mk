PROC_SRCS = \
	proc/drop.c \
	proc/peer.c \
	proc/proc.c \
	proc/spawn.c

UNIT += proc_peer_test
proc_peer_test_SRCS = \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) proc/peer.c
proc_peer_test_LIBS = -lbsd -levent_core

UNIT += proc_spawn_test
proc_spawn_test_SRCS = lib/util/fdlist.c proc/spawn.c
