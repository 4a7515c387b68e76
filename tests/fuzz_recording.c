/* Any bytes are a recording of what a model computed. What is accepted, written and read again is the same. */
#define _POSIX_C_SOURCE 200809L
#include "cli/recording.h"
#include "fuzz.h"

static void same(const recorded *a, const recorded *b)
{
    demand(a->n_ids == b->n_ids && (!a->n_ids || !memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids)), "the same ids");
    demand(a->n == b->n && (!a->n || !memcmp(a->value, b->value, a->n * sizeof *a->value)), "the same numbers");
    demand(!a->id == !b->id && (!a->id || !memcmp(a->id, b->id, a->n * sizeof *a->id)), "of the same tokens");
    demand(a->n_new == b->n_new && (!a->n_new || !memcmp(a->new_ids, b->new_ids, a->n_new * sizeof *a->new_ids)), "the same continuation");
    demand(a->has_hash == b->has_hash && (!a->has_hash || a->hash == b->hash), "the same hash");
    demand(!a->prompt == !b->prompt && (!a->prompt || !strcmp(a->prompt, b->prompt)), "the same prompt");
    demand(!a->label == !b->label && (!a->label || !strcmp(a->label, b->label)), "the same label");
}

static char *write_all(const recording *r, size_t *n)
{
    char *s = NULL;
    FILE *f = open_memstream(&s, n);
    demand(f != NULL, "memory");
    recording_begin(f, "llama");
    for (size_t i = 0; i < recording_count(r); i++) recording_put(f, recording_at(r, i), i == 0);
    recording_end(f);
    fclose(f);
    return s;
}

void fuzz_one(const uint8_t *data, size_t n)
{
    pith_err e = {{0}};
    recording *r = NULL, *again = NULL;
    int bad = recording_load(fuzz_put("recording.json", data, n), &r, &e);
    demand_either(!bad, &e);
    if (!bad && r) {
        size_t len;
        char *text = write_all(r, &len);
        demand(recording_by(r) && recording_path(r), "it says what wrote it");
        bad = recording_load(fuzz_put("again.json", text, len), &again, &e);
        if (bad) fprintf(stderr, "%s\n", e.msg);
        demand(!bad && again && recording_count(r) == recording_count(again), "what is written is a recording");
        for (size_t i = 0; i < recording_count(r); i++) same(recording_at(r, i), recording_at(again, i));
        free(text);
    }
    recording_free(r);
    recording_free(again);
}
