/* MurmurHash3 x64 128 by Austin Appleby, written anew: a fast hash without secrets, for records.
   Little-endian, as x86-64 and arm64 are. */

#include <stdint.h>
#include <string.h>

static const uint64_t FIRST = 0x87c37b91114253d5u, SECOND = 0x4cf5ad432745937fu;

static uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static uint64_t mixed_first(uint64_t k) { return rotate(k * FIRST, 31) * SECOND; }

static uint64_t mixed_second(uint64_t k) { return rotate(k * SECOND, 33) * FIRST; }

static uint64_t finished(uint64_t k) {
    k = (k ^ k >> 33) * 0xff51afd7ed558ccdu;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53u;
    return k ^ k >> 33;
}

/* Hash n bytes from seed 0. */
void hash(const uint8_t *bytes, int64_t n, uint64_t found[2]) {
    uint64_t a = 0, b = 0, block[2] = {0, 0};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        memcpy(block, bytes + i, 16);
        a = (rotate(a ^ mixed_first(block[0]), 27) + b) * 5 + 0x52dce729;
        b = (rotate(b ^ mixed_second(block[1]), 31) + a) * 5 + 0x38495ab5;
    }
    block[0] = block[1] = 0;
    if (i < n) memcpy(block, bytes + i, (size_t)(n - i));
    a ^= mixed_first(block[0]) ^ (uint64_t)n;
    b ^= mixed_second(block[1]) ^ (uint64_t)n;
    a += b;
    b += a;
    a = finished(a);
    b = finished(b);
    found[0] = a + b;
    found[1] = b + found[0];
}
