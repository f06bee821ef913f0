/*
 * The entry of the program; all else can be linked into a test.
 */

#include "vmctl/vmctl.h"

int
main(int argc, char **argv)
{
	return vmctl_main(argc, argv);
}
