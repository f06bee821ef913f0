#ifndef VM_ACPI_PM_H
#define VM_ACPI_PM_H

/*
 * The fixed hardware of ACPI 6.5, 4.8: the numbers that acpi_pm.c answers
 * to and acpi.c writes into the tables.
 */
#define ACPI_PM_BASE 0x600
#define ACPI_PM_LEN  0x10
#define ACPI_PM1_EVT 0x600 /* 2 bytes status, 2 bytes enable */
#define ACPI_PM1_CNT 0x604
#define ACPI_PM_TMR  0x608 /* 32 bits */
#define ACPI_SCI     9
#define ACPI_SLP_S5  5 /* SLP_TYP that means off */

#define RESET_PORT   0xcf9 /* pci.c */
#define RESET_VALUE  0x06

#endif
