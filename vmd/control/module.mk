CONTROL_SRCS = \
	vmd/control/control.c \
	vmd/control/main.c
