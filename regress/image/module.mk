HOST_TESTS += regress/image/image.py
