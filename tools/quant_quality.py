#!/usr/bin/env python3
"""What weights in 8 and 4 bits cost in quality: prints Markdown tables. Uses ./pith and the standard library.

usage: tools/quant_quality.py [--pith ./pith] [--shared ../shared] [--types q8,q4] [--tokens 4000] [--rows 2000]

Decoders: perplexity beside that of the weights as they are, the mean KL divergence from the distribution that those give,
and how often the likeliest token is the same, over every token of some texts. stories3M reads what it wrote itself, reviews
the reviews of the IMDB test set. Encoders: labels equal to those of the weights as they are, and accuracy, on the same set.
A row whose model or texts are not there is left out, saying so on stderr.
"""
import argparse
import array
import csv
import json
import math
import os
import subprocess
import sys
import tempfile


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


def stories(pith, model, tokens):
    """Ids of stories that the model tells at temperature 1; the same ones every time, on every machine."""
    out, n, seed = [], 0, 0
    while n < tokens:
        seed += 1
        text = run(pith, "generate", "-q", "-m", model, "-n", "250", "--temp", "1", "--top-k", "0", "--top-p", "1",
                   "--seed", str(seed), "Once upon a time", encoding="utf-8")
        out.append(json.loads(run(pith, "tokenize", "-q", "-m", model, "--ids", "--json-lines", input=json.dumps(text) + "\n", encoding="utf-8")))
        n += len(out[-1])
    return out


def reviews(pith, model, tokens, path):
    """Ids of the first reviews of the set, each cut at 256 tokens."""
    out, n = [], 0
    with open(path, encoding="utf-8", newline="") as f:
        rows = csv.DictReader(f)
        while n < tokens:
            text = next(rows)["text"]
            ids = json.loads(run(pith, "tokenize", "-q", "-m", model, "--ids", "--json-lines", input=json.dumps(text) + "\n", encoding="utf-8"))
            out.append(ids[:256])
            n += len(out[-1])
    return out


def logits(pith, model, texts, dtype, folder):
    """[(float, ...)]: one row of the vocabulary for every token of every text."""
    ids, out = os.path.join(folder, "ids.jsonl"), os.path.join(folder, "logits.f32")
    rows = []
    for text in texts:
        with open(ids, "w", encoding="utf-8") as f:
            print(json.dumps(text), file=f)
        run(pith, "logits", "-q", "-m", model, "--dtype", dtype, "--ids-file", ids, "--output", out)
        values = array.array("f")
        with open(out, "rb") as f:
            values.frombytes(f.read())
        if sys.byteorder == "big":
            values.byteswap()
        width = len(values) // len(text)
        rows += [values[i:i + width] for i in range(0, len(values), width)]
    return rows


def log_sum(row):
    top = max(row)
    return top + math.log(math.fsum(map(math.exp, [x - top for x in row])))


def decoder(pith, model, texts, types, name):
    with tempfile.TemporaryDirectory() as folder:
        ref = logits(pith, model, texts, "auto", folder)
        wanted = [t for text in texts for t in text[1:] + [-1]] # of each row; -1: the text ends
        base = [log_sum(r) for r in ref]
        share = [[math.exp(x - z) for x in r] for r, z in zip(ref, base)]
        scored = [i for i, t in enumerate(wanted) if t >= 0]
        perplexity = math.exp(math.fsum(base[i] - ref[i][wanted[i]] for i in scored) / len(scored))
        print(f"| {name} | as they are | {perplexity:.4f} | | | | |")
        for t in types:
            got = logits(pith, model, texts, t, folder)
            z = [log_sum(r) for r in got]
            ppl = math.exp(math.fsum(z[i] - got[i][wanted[i]] for i in scored) / len(scored))
            kl = sorted(math.fsum(p * (a - b) for p, a, b in zip(share[i], ref[i], got[i])) - base[i] + z[i] for i in range(len(ref)))
            same = sum(max(a) == a[b.index(max(b))] for a, b in zip(ref, got))
            print(f"| {name} | {t} | {ppl:.4f} | {100 * (ppl / perplexity - 1):+.2f}% | {math.fsum(kl) / len(kl):.6f} | {kl[len(kl) * 99 // 100]:.5f} | {100 * same / len(kl):.2f}% |", flush=True)


def encoder(pith, model, path, types, name, limit):
    with tempfile.TemporaryDirectory() as folder:
        part = os.path.join(folder, "part.csv")
        truth = []
        with open(path, encoding="utf-8", newline="") as f, open(part, "w", encoding="utf-8", newline="") as g:
            w = csv.writer(g)
            w.writerow(["text"])
            for i, row in enumerate(csv.DictReader(f)):
                if i < limit:
                    w.writerow([row["text"]])
                    truth.append(row["label"])
        ref = None
        for t in ["auto"] + types:
            out = run(pith, "classify", "-q", "-m", model, "--dtype", t, "--input", part, "--column", "text", "--json", encoding="utf-8")
            rows = [json.loads(line) for line in out.split("\n") if line]
            labels = [r["label"] for r in rows]
            right = 100 * sum(same_label(a, b) for a, b in zip(labels, truth)) / len(truth)
            if ref is None:
                ref, first, base = labels, right, [r["logits"] for r in rows]
                print(f"| {name} | as they are | {right:.2f}% | | | |")
                continue
            equal = 100 * sum(a == b for a, b in zip(labels, ref)) / len(ref)
            off = sum(abs(x - y) for r, b in zip(rows, base) for x, y in zip(r["logits"], b)) / sum(map(len, base))
            print(f"| {name} | {t} | {right:.2f}% | {right - first:+.2f} | {equal:.2f}% | {off:.4f} |", flush=True)


def same_label(label, truth):
    return truth in (label, {"NEGATIVE": "0", "POSITIVE": "1"}.get(label.upper(), label)) or label.lower().startswith(truth.lower())


def main():
    o = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    o.add_argument("--pith", default="./pith")
    o.add_argument("--shared", default=os.environ.get("PITH_SHARED", "../shared"))
    o.add_argument("--types", default="q8,q4")
    o.add_argument("--tokens", type=int, default=4000)
    o.add_argument("--rows", type=int, default=2000)
    a = o.parse_args()
    types, imdb = a.types.split(","), a.shared + "/data/imdb_test_2000.csv"
    print("| decoder | weights | perplexity | change | mean KL | 99% of KL below | same first token |\n|---|---|---|---|---|---|---|")
    for model, source in (a.shared + "/models/stories3M", None), ("models/bundled/reviews", imdb):
        if not os.path.exists(model) or source and not os.path.exists(source):
            print(f"left out: {model}: it or its texts are not there", file=sys.stderr)
            continue
        texts = reviews(a.pith, model, a.tokens, source) if source else stories(a.pith, model, a.tokens)
        decoder(a.pith, model, texts, types, os.path.basename(model))
    print("\n| encoder | weights | accuracy | change | labels equal | mean change of a logit |\n|---|---|---|---|---|---|")
    for model in a.shared + "/models/distilbert-imdb-sst2-small", "models/bundled/sentiment":
        if os.path.exists(model) and os.path.exists(imdb):
            encoder(a.pith, model, imdb, types, os.path.basename(model), a.rows)
        else:
            print(f"left out: {model}: it or its texts are not there", file=sys.stderr)


if __name__ == "__main__":
    main()
