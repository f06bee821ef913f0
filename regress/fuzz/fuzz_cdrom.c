/*
 * Commands for the CD-ROM, as a guest would send them one after the other.
 * The first byte says how large the medium is; then, for each command, a
 * byte with its length and its bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "vmd/dev/cdrom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must_hold(const struct cdrom *c, const struct cdrom_result *r)
{
	if (r->status == SCSI_CHECK_CONDITION) {
		if (r->sense_len != CDROM_SENSE || r->sense[0] != 0x70 ||
		    r->reply_len != 0 || r->count != 0)
			abort();
	} else if (r->status != SCSI_GOOD || r->sense_len != 0)
		abort();
	if (r->reply_len > sizeof(r->reply) || r->count > CDROM_READ)
		abort();
	if (r->count > 0 &&
	    (r->reply_len > 0 || c->open || r->lba >= c->nblocks ||
		r->count > c->nblocks - r->lba))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cdrom c;
	struct cdrom_result r;
	uint8_t cdb[CDROM_CDB];
	size_t i = 1, n;

	if (len == 0)
		return 0;
	cdrom_init(&c, data[0] > 63 ? UINT64_MAX : (1ULL << data[0]) - 1);
	while (i < len) {
		n = data[i++] % (CDROM_CDB + 1);
		if (n > len - i)
			n = len - i;
		memset(cdb, 0, sizeof(cdb));
		memcpy(cdb, data + i, n);
		i += n;
		cdrom_command(&c, cdb, &r);
		must_hold(&c, &r);
	}
	return 0;
}
