# What vmctl knows of filters.
SANDBOX_EVAL_SRCS = \
	lib/sandbox/eval.c \
	$(B)/gen/filters.c

SANDBOX_SRCS = \
	$(SANDBOX_EVAL_SRCS) \
	lib/sandbox/ids.c \
	lib/sandbox/landlock.c \
	lib/sandbox/lock.c \
	lib/sandbox/seccomp.c

SANDBOX_DEFS = $(wildcard lib/sandbox/filter_*.def)
# Parts of others have no filter of their own.
SANDBOX_FILTERS = $(filter-out base device nofile, \
	$(SANDBOX_DEFS:lib/sandbox/filter_%.def=%))

# The filters are made here and embedded: no libseccomp at run time.
$(B)/gen/filters.c: lib/sandbox/gen.c lib/sandbox/module.mk $(SANDBOX_DEFS)
	@mkdir -p $(@D)
	$(Q)for f in $(SANDBOX_FILTERS); do \
		echo "static const struct rule rules_$$f[] = {"; \
		echo "#include \"lib/sandbox/filter_$$f.def\""; echo "};"; \
	done >$(@D)/rules.h
	$(Q)echo "#define FILTERS $$(printf 'FILTER(%s) ' $(SANDBOX_FILTERS))" \
		>>$(@D)/rules.h
	$(Q)$(CC) $(STD) $(WARN) $(CPPFLAGS) -I$(@D) -o $(B)/gen/filters lib/sandbox/gen.c \
		-lseccomp
	$(Q)$(B)/gen/filters >$@.tmp && mv $@.tmp $@

UNIT += ids_test
ids_test_SRCS = lib/sandbox/ids.c $(UTIL_SRCS)
ids_test_LIBS = -lbsd -levent_core

UNIT += sandbox_test
sandbox_test_SRCS = $(SANDBOX_SRCS) $(IMSG_SRCS) $(UTIL_SRCS)
sandbox_test_LIBS = -lbsd

UNIT += sandbox_filters_test
sandbox_filters_test_SRCS = $(SANDBOX_SRCS) $(UTIL_SRCS)
sandbox_filters_test_LIBS = -lbsd -lpthread
