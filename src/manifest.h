/* manifest: what a model's files and tensors were once, to compare with later. JSON:
 *
 *   {"kind": "pith-manifest", "version": 1, "block": 65536,
 *    "files": [{"name": "config.json", "bytes": 601, "sha256": "<64 hex digits>"}, ...],
 *    "tensors": [{"name": "a.weight", "dtype": "F32", "shape": [2,3], "xxh3": "<16 hex digits>",
 *                 "blocks": "<16 hex digits for each block>"}, ...]}
 *
 * xxh3 is XXH3 with 64 bits over all bytes of a tensor, as xxhsum -H3 prints it; blocks, of tensors over 64 KiB, is that
 * of each 64 KiB. Tensors stand by name: the same model cut into other shards has the same list. Files are those that
 * pith reads: weights, their index, config and tokenizer. */
#ifndef MANIFEST_H
#define MANIFEST_H
#include "base/outfile.h"
#include "verify.h"

typedef struct manifest manifest;

/* After the pass: writes and finishes o. */
int manifest_write(const verify *v, outfile *o, pith_err *e);

manifest *manifest_open(const char *path, pith_err *e);
/* After the pass: tells what differs. A file of weights whose tensors are all equal is only a remark: it is cut, ordered
 * or described in another way. */
int manifest_compare(verify *v, const manifest *m, pith_err *e);
void manifest_close(manifest *m);

#endif
