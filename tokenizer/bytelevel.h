/* bytelevel: GPT-2's letters for bytes: a printable Latin-1 byte stands for itself, the others for U+0100 and on. */
#ifndef TOKENIZER_BYTELEVEL_H
#define TOKENIZER_BYTELEVEL_H
#include <stddef.h>
#include <stdint.h>

/* The pattern that ByteLevel cuts with, where it does. */
#define BYTELEVEL_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* The letter of a byte, as UTF-8; returns its length, 1 or 2. */
size_t bytelevel_letter(unsigned char byte, char out[2]);
/* The byte that a letter stands for, or -1. */
int bytelevel_byte(uint32_t letter);

#endif
