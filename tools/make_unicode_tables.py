#!/usr/bin/env python3
"""Writes tokenizer/unicode_tables.h from the tables of what huggingface/tokenizers 0.22 does with every code point.

usage: tools/make_unicode_tables.py [GOLDEN/unicode] > tokenizer/unicode_tables.h

The reference mixes several versions of Unicode (8 for punctuation and Mn, 9 for combining classes, 16 for \\w, its
own for lowercase), so no version of utf8proc has these sets. The tables say which code points the reference treats
how; utf8proc only supplies decompositions and combining classes of those marked here, which never change once given.
\\w is in tests/data/unicode/word.ranges.txt: the code points c for which the reference's Whitespace pre-tokenizer
keeps "a" c "a" in one piece.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "shared" / "golden" / "unicode"
LEAF, MID, LAST = 64, 64, 0x110000
# Combining class 1 is what the golden probes against, so it cannot list its own; assigned before Unicode 9.
CLASS_1 = [(0x334, 0x338), (0x1CD4, 0x1CD4), (0x1CE2, 0x1CE8), (0x20D2, 0x20D3), (0x20D8, 0x20DA), (0x20E5, 0x20E6),
           (0x20EA, 0x20EB), (0x10A39, 0x10A39), (0x16AF0, 0x16AF4), (0x1BC9E, 0x1BC9E), (0x1D167, 0x1D169)]
# Not combining themselves: they decompose into marks that are.
DECOMPOSE_TO_MARKS = {0xF73, 0xF75, 0xF81}


def mapping(name):
    out = {}
    for line in open(GOLDEN / f"{name}.tsv", encoding="ascii"):
        code, _, to = line.rstrip("\n").partition("\t")
        out[int(code, 16)] = [int(x, 16) for x in to.split()]
    return out


def members(path):
    out = set()
    for line in open(path, encoding="ascii"):
        first, _, last = line.strip().partition("..")
        if first:
            out.update(range(int(first, 16), int(last or first, 16) + 1))
    return out


def check(ok, what):
    if not ok:
        sys.exit(f"make_unicode_tables.py: {what}: the golden tables changed, think again")


def blocks(values, size):
    """Cuts values into blocks; the distinct ones and the number of each."""
    seen, index = {}, []
    for i in range(0, len(values), size):
        index.append(seen.setdefault(tuple(values[i:i + size]), len(seen)))
    return list(seen), index


def lower_runs(lower):
    """(first, last, stride, delta) covering all single-character mappings."""
    keys, runs, i = sorted(c for c in lower if len(lower[c]) == 1), [], 0
    while i < len(keys):
        delta, best, stride = lower[keys[i]][0] - keys[i], 1, 1
        for s in (1, 2):
            k = 1
            while i + k < len(keys) and keys[i + k] == keys[i] + s * k and lower[keys[i + k]][0] - keys[i + k] == delta:
                k += 1
            if k > best:
                best, stride = k, s
        runs.append((keys[i], keys[i + best - 1], stride, delta))
        i += best
    return runs


def table(kind, name, rows):
    print(f"static const {kind} {name} = {{")
    line = "   "
    for r in rows:
        if len(line) + len(r) + 2 > 118:
            print(line)
            line = "   "
        line += f" {r},"
    print(line + "\n};")


clean, cased, strip = mapping("bert_clean_only"), mapping("bert_cased"), mapping("bert_strip_only")
nfd, nfkd, lower, accents = mapping("nfd"), mapping("nfkd"), mapping("lowercase"), mapping("strip_accents")
check(all(v in ([], [0x20]) for v in clean.values()), "clean_text")
check(all(v == [] for v in accents.values()), "StripAccents")
check([c for c, v in lower.items() if len(v) != 1] == [0x130] and lower[0x130] == [0x69, 0x307], "lowercase of U+0130")
check(not {x for v in lower.values() for x in v} & set(lower), "lowercase of lowercase")
combining = (members(GOLDEN / "nfd_nonstarter_gt1.ranges.txt") - DECOMPOSE_TO_MARKS) | {
    c for a, b in CLASS_1 for c in range(a, b + 1)}
CLASSES = [  # order = bit
    ("SPACE", members(GOLDEN / "onig_s.ranges.txt"), "White_Space"),
    ("PUNCTUATION", members(GOLDEN / "punctuation.ranges.txt"), "BERT's"),
    ("CLEAN_DROP", {c for c, v in clean.items() if not v}, "clean_text removes it"),
    ("CLEAN_SPACE", {c for c, v in clean.items() if v} | {0x20}, "clean_text makes it a space"),
    ("CJK", {c for c, v in cased.items() if clean.get(c) != v}, "handle_chinese_chars puts spaces around it"),
    ("MN", {c for c, v in strip.items() if not v and c not in nfd}, "strip_accents removes it after NFD"),
    ("MARK", set(accents), "StripAccents removes it"),
    ("WORD", members(HERE / "tests/data/unicode/word.ranges.txt"), "\\w"),
    ("DECOMPOSES", set(nfd), "NFD changes it"),
    ("COMBINING", combining, "combining class is not 0"),
    ("LOWER", set(lower), "lowercase changes it"),
    ("NUMERIC", members(GOLDEN / "digits_is_numeric.ranges.txt"), "Digits"),
    ("COMPAT", {c for c, v in nfkd.items() if nfd.get(c) != v}, "NFKD does not do what NFD does"),
]
flags = [sum((c in s) << bit for bit, (_, s, _) in enumerate(CLASSES)) for c in range(LAST)]
kinds = sorted(set(flags))
check(len(kinds) <= 62, "more kinds than printable letters")
leaves, leaf_index = blocks(flags, LEAF)
mids, top = blocks(leaf_index, MID)

print("/* Generated by tools/make_unicode_tables.py: what huggingface/tokenizers 0.22 takes each code point for.")
print(" * Do not edit. Included by unicode.c alone. */")
for bit, (name, s, what) in enumerate(CLASSES):
    check(f"UNICODE_{name} = 1 << {bit}" in (HERE / "tokenizer/unicode.h").read_text(), f"unicode.h lacks {name}")
print(f"\n/* Sets of UNICODE_ flags; a letter of `leaf` is an index here, counted from 'A'. */")
table("uint16_t", f"kind[{len(kinds)}]", [f"0x{k:04x}" for k in kinds])
print(f"\n/* kind of c: leaf[mid[top[c >> 12]][c >> 6 & 63]][c & 63] */")
print(f"static const char leaf[{len(leaves)}][{LEAF + 1}] = {{")
for b in leaves:
    print('    "' + "".join(chr(ord("A") + kinds.index(f)) for f in b).replace("\\", "\\\\") + '",')
print("};")
print(f"static const uint16_t mid[{len(mids)}][{MID}] = {{")
for b in mids:
    print("    {" + ",".join(map(str, b)) + "},")
print("};")
table("uint8_t", f"top[{len(top)}]", [str(t) for t in top])
runs = lower_runs(lower)
print("\n/* Lowercase: c in [first, last], c - first divisible by stride: c + delta. U+0130 is two characters, in unicode.c. */")
print("typedef struct lower_run {\n    uint32_t first, last;\n    int32_t stride, delta;\n} lower_run;")
table("lower_run", f"lower_runs[{len(runs)}]", ["{0x%x, 0x%x, %d, %d}" % r for r in runs])
