# vm.conf: the grammar is turned into C in build/gen.
CONF_SRCS = \
	vmd/conf/build.c \
	vmd/conf/build_global.c \
	vmd/conf/build_local.c \
	vmd/conf/build_net.c \
	vmd/conf/check.c \
	vmd/conf/check_net.c \
	vmd/conf/conf.c \
	vmd/conf/lex.c \
	$(B)/gen/parse.c

$(B)/gen/parse.c: vmd/conf/parse.y
	@mkdir -p $(@D)
	$(Q)bison -Werror --header=$(B)/gen/parse.h -o $@ $<

$(B)/gen/parse.h: $(B)/gen/parse.c

CONF_OBJS = build conf lex
$(CONF_OBJS:%=$(B)/obj/vmd/conf/%.o) $(CONF_OBJS:%=$(B)/asan/vmd/conf/%.o): \
	$(B)/gen/parse.h

UNIT += conf_test
conf_test_SRCS = $(CONF_SRCS) $(IMSG_SRCS) $(PROTO_SRCS) $(UTIL_SRCS)
conf_test_LIBS = -lbsd -Wl,--wrap=getpwnam,--wrap=getgrnam

FUZZ += conf
conf_FUZZ_SRCS = $(CONF_SRCS) $(IMSG_SRCS) $(PROTO_SRCS) $(UTIL_SRCS)
conf_FUZZ_LIBS = -lbsd
