/*
 * What a test build lacks: HOSTILE_* of lib/sandbox/hostile.h.
 */

#ifndef HOSTILE
#define HOSTILE
#define HOSTILE_MASK 0
#endif
#include "lib/sandbox/hostile.h"

const unsigned int hostile_without = HOSTILE_MASK;
