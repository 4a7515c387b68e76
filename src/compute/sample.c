#include "compute/sample.h"
#include "base/fixed.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- random numbers ---- */

static uint64_t rotl(uint64_t x, int n) { return x << n | x >> (64 - n); }

/* Steele, Lea and Flood 2014. */
void sample_seed(uint64_t random[4], uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        random[i] = z ^ z >> 31;
    }
}

/* xoshiro256**, Blackman and Vigna 2018. */
double sample_random(uint64_t random[4])
{
    uint64_t *s = random, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return (double)(out >> 11) * 0x1p-53;
}

/* ---- memory and settings ---- */

/* Position `at` of a list by key, smallest first; of equal keys the lowest position. */
typedef struct sample_item {
    double key;
    size_t at;
} item;

int sample_work_init(sample_work *w, size_t vocab, pith_err *e)
{
    *w = (sample_work){.vocab = vocab};
    w->x = mem_alloc(vocab * sizeof *w->x);
    w->p = mem_alloc(vocab * sizeof *w->p);
    w->id = mem_alloc(vocab * sizeof *w->id);
    w->heap = mem_alloc(vocab * sizeof *w->heap);
    if (w->x && w->p && w->id && w->heap) return 0;
    sample_work_free(w);
    return err_nomem(e, vocab * (sizeof(item) + 12), "sampling");
}

void sample_work_free(sample_work *w)
{
    mem_free(w->x);
    mem_free(w->p);
    mem_free(w->id);
    mem_free(w->heap);
    *w = (sample_work){0};
}

static int in_range(const char *name, float v, double min, double max, pith_err *e)
{
    if ((double)v >= min && (double)v <= max) return 0;
    return err_set(e, "%s must be from %g to %g, found %g", name, min, max, (double)v);
}

/* The limits keep every score finite. */
static int check(const pith_sampling *o, size_t vocab, pith_err *e)
{
    const double large = 1e6;
    if (in_range("temperature", o->temperature, 0, 1e30, e) || in_range("top_p", o->top_p, 0, 1, e) ||
        in_range("min_p", o->min_p, 0, 1, e) || in_range("typical_p", o->typical_p, 0, 1, e) ||
        in_range("repetition_penalty", o->repetition_penalty, 1 / large, large, e) ||
        in_range("presence_penalty", o->presence_penalty, -large, large, e) ||
        in_range("frequency_penalty", o->frequency_penalty, -large, large, e))
        return -1;
    for (size_t i = 0; i < o->n_bias; i++) {
        const pith_logit_bias *b = &o->bias[i];
        if (b->id < 0 || (size_t)b->id >= vocab)
            return err_set(e, "logit_bias: token %d is outside the model's vocabulary of %zu", b->id, vocab);
        if (!(b->bias >= -1e9f && b->bias <= 1e9f) && b->bias != -INFINITY)
            return err_set(e, "logit_bias: token %d: expected a number from -1e9 to 1e9, or -inf, found %g", b->id,
                           (double)b->bias);
    }
    return 0;
}

int sample_init(sample_state *s, const pith_sampling *o, size_t vocab, pith_err *e)
{
    *s = (sample_state){.o = *o, .vocab = vocab};
    s->o.bias = NULL, s->o.n_bias = 0;
    if (check(o, vocab, e)) return -1;
    sample_seed(s->random, o->seed);
    if (o->n_bias) {
        pith_logit_bias *own = mem_alloc(o->n_bias * sizeof *own);
        if (!own) return err_nomem(e, o->n_bias * sizeof *own, "logit_bias");
        memcpy(own, o->bias, o->n_bias * sizeof *own);
        s->o.bias = own, s->o.n_bias = o->n_bias;
    }
    if (o->repetition_penalty == 1 && o->presence_penalty == 0 && o->frequency_penalty == 0) return 0;
    s->count = mem_zero(vocab, sizeof *s->count);
    s->seen = mem_alloc(vocab * sizeof *s->seen);
    if (s->count && s->seen) return 0;
    sample_free(s);
    return err_nomem(e, vocab * sizeof *s->count, "penalties");
}

void sample_free(sample_state *s)
{
    mem_free((void *)(uintptr_t)s->o.bias);
    mem_free(s->count);
    mem_free(s->seen);
    *s = (sample_state){0};
}

void sample_see(sample_state *s, int32_t id, int answer)
{
    if (!s->count) return;
    if (!s->count[id]) {
        s->seen[s->n_seen++] = id;
        s->count[id] = 1;
    }
    if (answer && s->count[id] < UINT32_MAX) s->count[id]++;
}

/* ---- selection ---- */

static int before(item a, item b) { return a.key < b.key || (a.key == b.key && a.at < b.at); }

static void sift(item *h, size_t n, size_t i)
{
    item x = h[i];
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && before(h[c + 1], h[c])) c++;
        if (!before(h[c], x)) break;
        h[i] = h[c];
    }
    h[i] = x;
}

static void heapify(item *h, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) sift(h, n, i);
}

static item pop(item *h, size_t *n)
{
    item top = h[0];
    h[0] = h[--*n];
    if (*n) sift(h, *n, 0);
    return top;
}

/* The k highest of x [n], 0 < k <= n, as a heap whose root is the lowest of them; of equal ones the first are kept. */
static void highest(item *h, size_t k, const float *x, size_t n)
{
    for (size_t i = 0; i < k; i++) h[i] = (item){(double)x[i], SIZE_MAX - i}; /* the last of equals is lowest */
    heapify(h, k);
    for (size_t i = k; i < n; i++)
        if ((double)x[i] > h[0].key) {
            h[0] = (item){(double)x[i], SIZE_MAX - i};
            sift(h, k, 0);
        }
}

/* ---- steps; each keeps candidates in order of ids and returns how many are left ---- */

/* w->p = exp(x), and their sum. The highest score is 0. */
static double exponentials(const kernel_set *k, sample_work *w, size_t n)
{
    double sum = 0;
    memcpy(w->p, w->x, n * sizeof *w->p);
    k->vexp(w->p, n);
    for (size_t i = 0; i < n; i++) sum += (double)w->p[i];
    return sum;
}

static void keep(sample_work *w, size_t *to, size_t i)
{
    w->x[*to] = w->x[i];
    w->id[(*to)++] = w->id[i];
}

static size_t top_k(sample_work *w, size_t n, size_t k)
{
    size_t to = 0;
    if (!k || k >= n) return n;
    highest(w->heap, k, w->x, n);
    float least = (float)w->heap[0].key;
    for (size_t i = 0; i < n; i++)
        if (w->x[i] >= least) keep(w, &to, i);
    return to;
}

/* Kept are those before which, from the most probable on, less than `mass` of the probability lies. */
static size_t top_p(const kernel_set *k, sample_work *w, size_t n, double mass)
{
    if (mass >= 1 || n < 2) return n;
    double sum = exponentials(k, w, n), seen = 0;
    /* All that are no more probable than this have at most 1 - mass together: they go unsorted. */
    double least = (1 - mass) * sum / (double)n;
    size_t to = 0, m = 0;
    for (size_t i = 0; i < n; i++)
        if ((double)w->p[i] > least || w->x[i] >= 0) w->heap[m++] = (item){-(double)w->p[i], i};
    heapify(w->heap, m);
    item last = pop(w->heap, &m);
    for (seen -= last.key; m && seen < mass * sum; seen -= last.key) last = pop(w->heap, &m);
    for (size_t i = 0; i < n; i++)
        if (!before(last, (item){-(double)w->p[i], i})) keep(w, &to, i);
    return to;
}

static size_t min_p(const kernel_set *k, sample_work *w, size_t n, float ratio)
{
    size_t to = 0;
    if (ratio <= 0) return n;
    exponentials(k, w, n);
    for (size_t i = 0; i < n; i++)
        if (w->p[i] >= ratio || w->x[i] >= 0) keep(w, &to, i);
    return to;
}

/* Meister et al. 2022. */
static size_t typical(const kernel_set *k, sample_work *w, size_t n, double mass)
{
    if (mass >= 1 || n < 2) return n;
    double sum = exponentials(k, w, n), log_sum = fixed_log(sum), entropy = 0, seen = 0;
    for (size_t i = 0; i < n; i++)
        if (w->p[i] > 0) entropy -= (double)w->p[i] / sum * ((double)w->x[i] - log_sum);
    for (size_t i = 0; i < n; i++) w->heap[i] = (item){fabs(log_sum - (double)w->x[i] - entropy), i};
    heapify(w->heap, n);
    item last = {0};
    size_t m = n, to = 0;
    do {
        last = pop(w->heap, &m);
        seen += (double)w->p[last.at];
    } while (m && seen < mass * sum);
    for (size_t i = 0; i < n; i++)
        if (fabs(log_sum - (double)w->x[i] - entropy) <= last.key) keep(w, &to, i);
    return to;
}

static int32_t draw(const kernel_set *k, sample_work *w, size_t n, double u)
{
    double sum = exponentials(k, w, n), seen = 0;
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        seen += (double)w->p[i];
        if (w->p[i] > 0) last = i;
        if (seen > u * sum) break;
    }
    return w->id[last];
}

/* ---- the next token ---- */

static void penalise(const sample_state *s, float *x)
{
    const pith_sampling *o = &s->o;
    for (size_t i = 0; i < o->n_bias; i++) x[o->bias[i].id] += o->bias[i].bias;
    for (size_t i = 0; i < s->n_seen; i++) {
        float *y = &x[s->seen[i]];
        uint32_t times = s->count[s->seen[i]] - 1;
        if (o->repetition_penalty != 1) *y = *y < 0 ? *y * o->repetition_penalty : *y / o->repetition_penalty;
        if (times) *y -= (float)times * o->frequency_penalty + o->presence_penalty;
    }
}

int sample_check(const float *logits, size_t vocab, pith_err *e)
{
    for (size_t i = 0; i < vocab; i++)
        if (!(logits[i] <= 3.4028235e38f))
            return err_set(e, "the model's logit of token %zu is %s; are the weights damaged? (pith inspect --stats)", i,
                           isnan(logits[i]) ? "NaN" : "infinite");
    return 0;
}

int sample_next(sample_state *s, const kernel_set *k, sample_work *w, const float *logits, int32_t *id, pith_err *e)
{
    size_t n = s->vocab, best = 0, m = 0;
    if (sample_check(logits, n, e)) return -1;
    memcpy(w->x, logits, n * sizeof *w->x);
    penalise(s, w->x);
    for (size_t i = 1; i < n; i++)
        if (w->x[i] > w->x[best]) best = i;
    if (w->x[best] == -INFINITY)
        return err_set(e, "no token is left to choose: every logit is -infinity, from the model or from logit_bias");
    *id = (int32_t)best;
    if (s->o.temperature == 0) return 0;
    float top = w->x[best];
    for (size_t i = 0; i < n; i++) {
        float x = (w->x[i] - top) / s->o.temperature;
        if (!(x > -INFINITY)) continue;
        w->x[m] = x;
        w->id[m++] = (int32_t)i;
    }
    m = top_k(w, m, s->o.top_k);
    m = top_p(k, w, m, (double)s->o.top_p);
    m = min_p(k, w, m, s->o.min_p);
    m = typical(k, w, m, (double)s->o.typical_p);
    /* typical may have dropped the best: the highest score is 0 again, so that its exponential cannot vanish. */
    top = -INFINITY;
    for (size_t i = 0; i < m; i++) top = w->x[i] > top ? w->x[i] : top;
    for (size_t i = 0; top < 0 && i < m; i++) w->x[i] -= top;
    *id = draw(k, w, m, sample_random(s->random));
    return 0;
}

void sample_logprobs(const kernel_set *k, sample_work *w, const float *logits, int32_t id, float *logprob, pith_logprob *top,
                     size_t n_top)
{
    float max = -INFINITY;
    for (size_t i = 0; i < w->vocab; i++) max = logits[i] > max ? logits[i] : max;
    for (size_t i = 0; i < w->vocab; i++) w->x[i] = logits[i] - max;
    double log_sum = fixed_log(exponentials(k, w, w->vocab));
    *logprob = (float)((double)w->x[id] - log_sum);
    if (!n_top) return;
    highest(w->heap, n_top, w->x, w->vocab);
    for (size_t m = n_top; m;) {
        item lowest = pop(w->heap, &m);
        top[m] = (pith_logprob){(int32_t)(SIZE_MAX - lowest.at), (float)(lowest.key - log_sum)};
    }
}
