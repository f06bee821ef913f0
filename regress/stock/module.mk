HOST_TESTS += regress/stock/stock.sh
