/* diff: what differs between two sets of weights, tensor by tensor, as lines or as one JSON object. */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

/* Of the files or directories at a and b. Returns the exit status: 0 only if both hold the same tensors. */
int diff_run(const char *a, const char *b, int no_mmap, int as_json);

#endif
