PRIV_SRCS = \
	vmd/priv/priv.c
