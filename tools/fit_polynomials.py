#!/usr/bin/env python3
"""Fits the polynomials of src/compute/kernel_portable.inc (exp, tanh, erf) and prints them as C constants.

Remez exchange in 60 digits on an error weighted to what the kernel needs; after each fit the lowest coefficient still
free is rounded to float and the others are fitted again, so that what is printed is what was measured.
Needs python3-mpmath."""
import numpy as np
from mpmath import mp, mpf, matrix, lu_solve, exp, tanh, erf, erfc, log, cos, pi

mp.dps = 60


def remez(target, weight, powers, lo, hi, free_from, fixed):
    """Coefficients of x**powers[i], i >= free_from, minimising max |weight * (sum - target)| on [lo, hi]."""
    free = powers[free_from:]
    n = len(free) + 1
    pts = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * mpf(2 * i + 1) / (2 * n)) for i in range(n)]
    rest = lambda x: target(x) - sum(c * x**p for c, p in zip(fixed, powers))
    grid = [lo + (hi - lo) * mpf(i) / 1500 for i in range(1501)]
    tg = [rest(x) for x in grid]
    wg = [weight(x) for x in grid]
    for _ in range(12):
        a, b = matrix(n, n), matrix(n, 1)
        for i, x in enumerate(pts):
            for j, p in enumerate(free):
                a[i, j] = x**p
            a[i, n - 1] = (-1) ** i / weight(x)
            b[i] = rest(x)
        sol = lu_solve(a, b)
        err = [w * (sum(sol[j] * x**p for j, p in enumerate(free)) - t) for x, w, t in zip(grid, wg, tg)]
        # one extremum between sign changes
        ext, best = [], None
        for x, e in zip(grid, err):
            if best is not None and (e > 0) != (best[1] > 0):
                ext.append(best)
                best = None
            if best is None or abs(e) > abs(best[1]):
                best = (x, e)
        ext.append(best)
        while len(ext) > n:
            ext.pop(0 if abs(ext[0][1]) < abs(ext[-1][1]) else -1)
        if len(ext) < n:
            break
        new = [x for x, _ in ext]
        if max(abs(x - y) for x, y in zip(new, pts)) == 0:
            break
        pts = new
    return [sol[j] for j in range(n - 1)], max(abs(e) for e in err)


def fit(name, target, weight, powers, lo, hi, first=()):
    fixed = list(first)
    while len(fixed) < len(powers):
        c, e = remez(target, weight, powers, mpf(lo), mpf(hi), len(fixed), fixed)
        fixed.append(mpf(float(np.float32(float(c[0])))))
    print(f"/* {name}: weighted error 2^{float(log(e, 2)):.2f} */")
    print("  ", ", ".join(f"{float(c).hex()}f" for c in fixed))


h = log(mpf(2)) / 2 * mpf("1.0002")
fit("exp(r) = 1 + r*q(r)", lambda r: (exp(r) - 1) / r if r else mpf(1), lambda r: r / exp(r) if abs(r) > 1e-9 else mpf("1e-9"),
    [0, 1, 2, 3, 4, 5], -h, h, first=[mpf(1)])
t = mpf("0.625")
fit("tanh(x) = x + x*s*p(s), s = x*x", lambda s: (tanh(s**0.5) / s**0.5 - 1) / s, lambda s: s, [0, 1, 2, 3, 4], "1e-6", t * t)
m = mpf("0.9")
fit("erf(x) = x + x*p(s), s = x*x", lambda s: erf(s**0.5) / s**0.5 - 1, lambda s: s**0.5 / erf(s**0.5), [0, 1, 2, 3, 4, 5, 6], "1e-6", m * m)
fit("erf(a) = 1 - exp(-a*p(a))", lambda a: -log(erfc(a)) / a, lambda a: a * erfc(a) / erf(a), [0, 1, 2, 3, 4, 5, 6, 7], m, 4)
print(f"/* ln 2 */ {float(np.float32(float(log(mpf(2))))).hex()}")
