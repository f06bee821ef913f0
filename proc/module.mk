PROC_SRCS = \
	proc/drop.c \
	proc/peer.c \
	proc/proc.c \
	proc/spawn.c
