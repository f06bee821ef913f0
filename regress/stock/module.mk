HOST_TESTS += regress/stock/stock.sh

# Sends what a guest's own kernel would not.
$(B)/regress/rawframe: $(B)/obj/regress/stock/rawframe.o
	@mkdir -p $(@D)
	$(Q)$(CC) -static-pie -o $@ $^

tests: $(B)/regress/rawframe
