#ifndef DEV_CDROM_H
#define DEV_CDROM_H

#include <stddef.h>
#include <stdint.h>

/*
 * A CD-ROM drive that understands SCSI: SPC-4 and MMC-5, reduced to what
 * firmware and systems ask of a drive that reads.  No input or output here:
 * what is to be read is said in the result, and the caller reads it.
 */
#define CDROM_BLOCK	     2048
#define CDROM_CDB	     32	   /* bytes of a command; unused ones are 0 */
#define CDROM_SENSE	     18	   /* bytes of sense data, fixed format */
#define CDROM_REPLY	     64	   /* most bytes of a reply */
#define CDROM_READ	     32768 /* most blocks of one READ: 64 MiB */

#define SCSI_GOOD	     0x00
#define SCSI_CHECK_CONDITION 0x02

/* The drive; the caller's to keep, cdrom.c's to look into. */
struct cdrom {
	uint64_t nblocks; /* of the medium; 0: there is none */
	int open;	  /* the tray is out */
	int locked;	  /* PREVENT ALLOW MEDIUM REMOVAL */
	int attention;	  /* a medium came and nobody was told yet */
	uint8_t event;	  /* GET EVENT STATUS NOTIFICATION: of the medium */
};

struct cdrom_result {
	uint8_t status;
	uint8_t sense_len; /* 0 or CDROM_SENSE */
	uint8_t sense[CDROM_SENSE];
	uint32_t reply_len; /* no more than the allocation length */
	uint8_t reply[CDROM_REPLY];
	/* Or: read `count' blocks from `lba' on, which the medium has. */
	uint64_t lba;
	uint32_t count; /* 0: nothing to read */
};

/* `bytes' is the size of the image; less than a block is no medium. */
void cdrom_init(struct cdrom *c, uint64_t bytes);
/*
 * What the drive must not forget when its process is replaced, as a number,
 * and back; any number will do.
 */
uint64_t cdrom_state(const struct cdrom *c);
void cdrom_restore(struct cdrom *c, uint64_t state);
/* What `now' and the news that only `before' had yet to tell are together. */
uint64_t cdrom_state_untold(uint64_t before, uint64_t now);
/* As after a reset: the medium may be removed. */
void cdrom_reset(struct cdrom *c);
/* Do one command.  All of `r' is set. */
void cdrom_command(struct cdrom *c, const uint8_t cdb[CDROM_CDB],
    struct cdrom_result *r);
/* In place of what `r' was: the medium could not be read. */
void cdrom_unreadable(struct cdrom_result *r);

#endif
