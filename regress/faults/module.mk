HOST_TESTS += regress/faults/faults.py
