/*
 * Runs a fuzz target over its corpus, as a test: every file of
 * regress/fuzz/corpus/NAME, where NAME is that of this program, and every
 * prefix of the short ones.  TAP on standard output.
 */

#include <dirent.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SHORT 512

/* Exactly as long as the input, so that a read beyond it is seen. */
static void
feed(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if ((copy = malloc(size)) == NULL && size > 0)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int
run_file(const char *path)
{
	uint8_t *data;
	size_t size, i;
	FILE *f;

	if ((f = fopen(path, "rb")) == NULL)
		return -1;
	if ((data = malloc(1 << 20)) == NULL)
		abort();
	size = fread(data, 1, 1 << 20, f);
	fclose(f);
	feed(data, size);
	for (i = 0; i < size && size <= SHORT; i++)
		feed(data, i);
	free(data);
	return 0;
}

int
main(int argc, char *argv[])
{
	char dir[256], path[1024];
	const char *name = basename(argv[0]);
	struct dirent *e;
	int n = 0;
	DIR *d;

	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(dir, sizeof(dir), "regress/fuzz/corpus/%s", name);
	if ((d = opendir(dir)) == NULL) {
		printf("1..0 # SKIP no corpus %s\n", dir);
		return 1;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		n++;
		printf("%s %d - %s/%s\n", run_file(path) == 0 ? "ok" : "not ok",
		    n, name, e->d_name);
	}
	closedir(d);
	printf("1..%d\n", n);
	return n == 0;
}
