# Real clients against lib/net.
$(B)/regress/answerd: $(B)/obj/regress/net/answerd.o \
	$(NET_SRCS:%.c=$(B)/obj/%.o)
	@mkdir -p $(@D)
	$(Q)$(CC) -pie -o $@ $^

tests: $(B)/regress/answerd
HOST_TESTS += regress/net/clients.py
