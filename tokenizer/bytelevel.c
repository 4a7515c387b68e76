#include "tokenizer/bytelevel.h"
#include <stdbool.h>

static bool plain(unsigned b) { return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad && b <= 0xff); }

/* The bytes that are not plain, in order: 0x00-0x20, 0x7f-0xa0, 0xad. */
static unsigned rank(unsigned b) { return b <= 0x20 ? b : b <= 0xa0 ? b - 0x7f + 0x21 : 0x43; }

size_t bytelevel_letter(unsigned char byte, char out[2])
{
    unsigned c = plain(byte) ? byte : 0x100 + rank(byte);
    if (c < 0x80) return out[0] = (char)c, 1;
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    return 2;
}

int bytelevel_byte(uint32_t letter)
{
    if (letter <= 0xff) return plain(letter) ? (int)letter : -1;
    if (letter > 0x143) return -1;
    unsigned r = letter - 0x100;
    return (int)(r <= 0x20 ? r : r <= 0x42 ? r - 0x21 + 0x7f : 0xad);
}
