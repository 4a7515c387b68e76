/* Rotary frequencies against the formulas of transformers 4.57, run in float32 with torch 1.13; angles against libm. */
#include "util.h"
#include "compute/rope.h"
#include <math.h>

static const struct {
    const char *name;
    rope_config config;
    size_t length;
    float scale;
    float freq[16];
} cases[] = {
    {"default", {.type = ROPE_DEFAULT, .dim = 16, .theta = 10000}, 0, 1.0f,
     {0x1p+0f, 0x1.43d136p-2f, 0x1.99999ap-4f, 0x1.030dc6p-5f, 0x1.47ae14p-7f, 0x1.9e7c7p-9f, 0x1.0624dep-10f, 0x1.4b96cp-12f}},
    {"default, dim 20", {.type = ROPE_DEFAULT, .dim = 20, .theta = 500000}, 0, 1.0f,
     {0x1p+0f, 0x1.13adb4p-2f, 0x1.28dea6p-4f, 0x1.3fb09cp-6f, 0x1.5843a6p-8f, 0x1.72ba42p-10f, 0x1.8f399cp-12f, 0x1.ade9d4p-14f, 0x1.cef5dcp-16f, 0x1.f28c4cp-18f}},
    {"linear", {.type = ROPE_LINEAR, .dim = 16, .theta = 10000, .factor = 3}, 0, 1.0f,
     {0x1.555556p-2f, 0x1.afc19ep-4f, 0x1.111112p-5f, 0x1.5967b2p-7f, 0x1.b4e81ap-9f, 0x1.1452f6p-10f, 0x1.5d867ep-12f, 0x1.ba1e56p-14f}},
    {"dynamic, within", {.type = ROPE_DYNAMIC, .dim = 16, .theta = 10000, .factor = 2, .max_positions = 64}, 64, 1.0f,
     {0x1p+0f, 0x1.43d136p-2f, 0x1.99999ap-4f, 0x1.030dc6p-5f, 0x1.47ae14p-7f, 0x1.9e7c7p-9f, 0x1.0624dep-10f, 0x1.4b96cp-12f}},
    {"dynamic, past", {.type = ROPE_DYNAMIC, .dim = 16, .theta = 10000, .factor = 2, .max_positions = 64}, 150, 1.0f,
     {0x1p+0f, 0x1.0cbe62p-2f, 0x1.1a1f28p-4f, 0x1.282a6cp-6f, 0x1.36e8a8p-8f, 0x1.4662c8p-10f, 0x1.56a222p-12f, 0x1.67b088p-14f}},
    {"llama3", {.type = ROPE_LLAMA3, .dim = 24, .theta = 500000, .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_positions = 8192}, 0, 1.0f,
     {0x1p+0f, 0x1.571288p-2f, 0x1.cbc2aap-4f, 0x1.34119p-5f, 0x1.9cd9d2p-7f, 0x1.14a2e4p-8f, 0x1.132ba4p-11f, 0x1.f0d27p-15f, 0x1.4ce6ecp-16f, 0x1.be2188p-18f, 0x1.2aefa4p-19f, 0x1.909caap-21f}},
    {"llama3, dim 32", {.type = ROPE_LLAMA3, .dim = 32, .theta = 500000, .factor = 32, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_positions = 8192}, 0, 1.0f,
     {0x1p+0f, 0x1.c2ef78p-2f, 0x1.8d276p-3f, 0x1.5dc95ap-4f, 0x1.34119p-5f, 0x1.0f5386p-6f, 0x1.ddee9ep-8f, 0x1.a4ee4p-9f, 0x1.c26c4p-12f, 0x1.46831ap-16f, 0x1.1f91fp-17f, 0x1.fa8b86p-19f, 0x1.be2188p-20f, 0x1.88ec2p-21f, 0x1.5a0f4ep-22f, 0x1.30c94ep-23f}},
    {"yarn", {.type = ROPE_YARN, .dim = 16, .theta = 10000, .factor = 4, .original_max_positions = 64, .beta_fast = 32, .beta_slow = 1, .truncate = 1}, 0, 0x1.237d380000000p+0f,
     {0x1p+0f, 0x1.e5b9dp-3f, 0x1.999998p-5f, 0x1.030dc6p-7f, 0x1.47ae14p-9f, 0x1.9e7c7p-11f, 0x1.0624dep-12f, 0x1.4b96cp-14f}},
    {"yarn, long", {.type = ROPE_YARN, .dim = 24, .theta = 1000000, .factor = 4, .original_max_positions = 32768, .beta_fast = 32, .beta_slow = 1, .truncate = 1}, 0, 0x1.237d380000000p+0f,
     {0x1p+0f, 0x1.43d136p-2f, 0x1.999998p-4f, 0x1.030dc6p-5f, 0x1.47ae12p-7f, 0x1.50c51ep-9f, 0x1.47ae16p-11f, 0x1.2223ecp-13f, 0x1.a36e26p-16f, 0x1.094564p-17f, 0x1.4f8b6p-19f, 0x1.a86f02p-21f}},
    {"yarn, not truncated", {.type = ROPE_YARN, .dim = 32, .theta = 150000, .factor = 32, .original_max_positions = 4096, .beta_fast = 32, .beta_slow = 1, .truncate = 0}, 0, 0x1.58b90c0000000p+0f,
     {0x1p+0f, 0x1.e62d44p-2f, 0x1.cda7f4p-3f, 0x1.b65f3ep-4f, 0x1.a04328p-5f, 0x1.3cc8dep-6f, 0x1.bd508p-8f, 0x1.127006p-9f, 0x1.dea878p-12f, 0x1.415b8cp-15f, 0x1.31265p-16f, 0x1.21c258p-17f, 0x1.132518p-18f, 0x1.05448ap-19f, 0x1.f02e5p-21f, 0x1.d727d6p-22f}},
    {"yarn, mscale", {.type = ROPE_YARN, .dim = 16, .theta = 10000, .factor = 40, .original_max_positions = 4096, .beta_fast = 32, .beta_slow = 1, .truncate = 1, .mscale = 1, .mscale_all_dim = 0.5}, 0, 0x1.27dd660000000p+0f,
     {0x1p+0f, 0x1.43d136p-2f, 0x1.99999ap-4f, 0x1.87d1ap-6f, 0x1.4fdf3ap-8f, 0x1.bd9292p-11f, 0x1.a36e2ep-16f, 0x1.094566p-17f}},
    {"yarn, attention_factor", {.type = ROPE_YARN, .dim = 16, .theta = 10000, .factor = 40, .original_max_positions = 4096, .beta_fast = 32, .beta_slow = 1, .truncate = 1, .attention_factor = 1.25}, 0, 0x1.4000000000000p+0f,
     {0x1p+0f, 0x1.43d136p-2f, 0x1.99999ap-4f, 0x1.87d1ap-6f, 0x1.4fdf3ap-8f, 0x1.bd9292p-11f, 0x1.a36e2ep-16f, 0x1.094566p-17f}},
};

/* Within an ulp: torch's own power is not always rounded to nearest. */
static int close_to(float got, float want) { return fabsf(got - want) <= fabsf(want) * 0x1p-22f; }

static void test_frequencies(void **state)
{
    (void)state;
    size_t equal = 0, n = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float freq[16], scale;
        rope_frequencies(&cases[i].config, cases[i].length, freq, &scale);
        if (!close_to(scale, cases[i].scale)) fail_msg("%s: scale %a, expected %a", cases[i].name, scale, cases[i].scale);
        for (size_t k = 0; k < cases[i].config.dim / 2; k++, n++) {
            equal += memcmp(&freq[k], &cases[i].freq[k], sizeof *freq) == 0;
            if (!close_to(freq[k], cases[i].freq[k]))
                fail_msg("%s: frequency %zu is %a, expected %a", cases[i].name, k, freq[k], cases[i].freq[k]);
        }
    }
    printf("# %zu of %zu frequencies equal to the bit\n", equal, n);
    assert_true(equal * 10 >= n * 9);
}

static void test_angles(void **state)
{
    (void)state;
    static const size_t positions[] = {0, 1, 2, 100, 1023, 4095, 32767, 131071, 1000003};
    double worst = 0;
    for (size_t p = 0; p < sizeof positions / sizeof positions[0]; p++)
        for (int k = 0; k < 64; k++) {
            float freq = (float)pow(10000, -k / 64.0), c, s;
            rope_angles(&freq, 1, 1, positions[p], &c, &s);
            double x = (double)((float)positions[p] * freq), dc = fabs(c - cos(x)), ds = fabs(s - sin(x));
            worst = dc > worst ? dc : worst;
            worst = ds > worst ? ds : worst;
        }
    printf("# largest error %.2e\n", worst);
    assert_true(worst < 0x1p-24);
}

static void test_rotate(void **state)
{
    (void)state;
    float freq[3] = {1, 0.1f, 0.01f}, c[3], s[3], x[6] = {1, 2, 3, 4, 5, 6};
    rope_angles(freq, 3, 1, 7, c, s);
    rope_rotate(c, s, 3, x);
    for (int i = 0; i < 3; i++) {
        double a = 7 * (double)freq[i], lo = i + 1, hi = i + 4;
        assert_true(fabs(x[i] - (lo * cos(a) - hi * sin(a))) < 1e-5);
        assert_true(fabs(x[i + 3] - (hi * cos(a) + lo * sin(a))) < 1e-5);
    }
    /* the scale multiplies both */
    float c2[3], s2[3];
    rope_angles(freq, 3, 2, 7, c2, s2);
    for (int i = 0; i < 3; i++) assert_true(c2[i] >= 2 * c[i] && c2[i] <= 2 * c[i] && s2[i] >= 2 * s[i] && s2[i] <= 2 * s[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_angles),
        cmocka_unit_test(test_rotate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
