HOST_TESTS += regress/daemon/daemon.py
