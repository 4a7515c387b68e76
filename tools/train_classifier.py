#!/usr/bin/python3
"""train_classifier.py: trains the sentiment classifier in models/bundled/sentiment from raw text: its WordPiece vocabulary, a
logistic-regression teacher, a small DistilBERT; writes a Hugging Face directory (F16) with a model card. Not part of pith itself.

  command       /usr/bin/python3 tools/train_classifier.py DATA_DIR models/bundled/sentiment
  DATA_DIR      imdb_train.csv.xz sst2_train.tsv.xz; only to report: imdb_test_2000.csv imdb_test.csv.xz sst2_dev.tsv
  requirements  Debian packages python3-torch python3-numpy (torch 1.13, numpy 1.24; no transformers, no tokenizers)
  run time      training 19 minutes on one thread of a 2-core server CPU otherwise almost idle (twice that when it is busy), evaluation 3-7
  result        F16 weights, at 512 / 256 tokens: imdb_test_2000 88.65% / 86.35%; all 25,000 IMDB test reviews 88.31% / 86.30%;
                SST-2 dev 82.91%; validation (1,500 held-out training reviews) 90.53%; teacher out of fold 91.8%
"""
import os, sys
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1" if "--threads" not in sys.argv else sys.argv[sys.argv.index("--threads") + 1])
import argparse, collections, csv, functools, heapq, json, lzma, math, random, string, struct, time, unicodedata
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)
LABELS, MAX_LEN, T0 = ["NEGATIVE", "POSITIVE"], 512, time.time()         # 512: [CLS] + 510 pieces + [SEP]

def log(text):
    print("[%5.0f s] %s" % (time.time() - T0, text), flush=True)

# --- Data ---------------------------------------------------------------------------------------------------------------------
def read_rows(path):
    """(texts, labels) of a .csv or .tsv file, plain or .xz, with columns text and label."""
    csv.field_size_limit(1 << 24)
    form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if ".tsv" in path else {}
    with (lzma.open if path.endswith(".xz") else open)(path, "rt", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, **form))
    return [r["text"] for r in rows], [int(r["label"]) for r in rows]

# --- Text to words: BertNormalizer (lowercase, accents stripped) and BertPreTokenizer of HF tokenizers ------------------------
CJK = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
       (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]       # 0x2B920, not 0x2B820: as HF tokenizers has it

@functools.lru_cache(None)
def clean(c):
    """clean_text and handle_chinese_chars: drop controls, white space to a blank, blanks around CJK."""
    if c in "\t\n\r" or unicodedata.category(c) in ("Zs", "Zl", "Zp"):
        return " "
    if c == "\ufffd" or unicodedata.category(c)[0] == "C":
        return ""
    return " " + c + " " if any(a <= ord(c) <= b for a, b in CJK) else c

@functools.lru_cache(None)
def fold(c):
    """After NFD: strip accents (Mn), lowercase, and set punctuation apart for the pre-tokenizer."""
    if unicodedata.category(c) == "Mn":
        return ""
    if c in string.punctuation or unicodedata.category(c)[0] == "P":
        return " " + c + " "
    return c.lower()

def words_of(text):
    return "".join(map(fold, unicodedata.normalize("NFD", "".join(map(clean, text))))).split()

# --- WordPiece ----------------------------------------------------------------------------------------------------------------
def merge(s, pair):
    """Piece sequence s with every occurrence of the pair joined, from the left."""
    out = []
    for p in s:
        if out and (out[-1], p) == pair:
            out[-1] = pair[0] + pair[1][2:]
        else:
            out.append(p)
    return out

def train_vocab(word_count, size, min_char=30):
    """Byte-pair style merges over counted words, written as WordPiece pieces ("##" continues a word).
    Ties are broken by the pieces' text, so the vocabulary depends on the counts alone."""
    chars = collections.Counter()
    for w, n in word_count.items():
        for i, c in enumerate(w):
            chars["##" + c if i else c] += n
    vocab = SPECIALS + sorted(c for c, n in chars.items() if n >= min_char)
    known, words = set(vocab), []
    pair_count, where = collections.Counter(), collections.defaultdict(set)
    for w, n in sorted(word_count.items()):
        s = [c if i == 0 else "##" + c for i, c in enumerate(w)]
        if n >= 2 and all(p in known for p in s):
            for p in zip(s, s[1:]):
                pair_count[p] += n
                where[p].add(len(words))
            words.append((s, n))
    heap = [(-n, p) for p, n in pair_count.items()]
    heapq.heapify(heap)
    while len(vocab) < size and heap:
        n, pair = heapq.heappop(heap)
        if -n != pair_count[pair]:                       # stale: a newer entry, or none, says what is left
            continue
        if pair[0] + pair[1][2:] not in known:
            vocab.append(pair[0] + pair[1][2:])
            known.add(vocab[-1])
        changed = set()
        for i in where.pop(pair):
            s, n = words[i]
            words[i] = out, n = merge(s, pair), n
            for p in zip(s, s[1:]):
                pair_count[p] -= n
            for p in zip(out, out[1:]):
                pair_count[p] += n
                where[p].add(i)
            changed.update(zip(s, s[1:]), zip(out, out[1:]))
        for p in changed:
            if pair_count[p] > 0:
                heapq.heappush(heap, (-pair_count[p], p))
    return vocab

def choose_vocab(word_count, size):
    """A vocabulary a quarter too large, cut to single characters and the pieces that greedy encoding uses most."""
    big, used = train_vocab(word_count, size + size // 4), collections.Counter()
    wp = WordPiece(big)
    for w, n in word_count.items():
        for i in wp.word(w):
            used[i] += n
    base = [i for i, p in enumerate(big) if p in SPECIALS or len(p.replace("##", "", 1)) == 1]
    rest = sorted(set(range(len(big))) - set(base), key=lambda i: (-used[i], i))
    return [big[i] for i in sorted(base + rest[:size - len(base)])]

class WordPiece:
    """Greedy longest match first; a word without a match, or longer than 100 characters, is [UNK]."""
    def __init__(self, vocab):
        self.ids = {p: i for i, p in enumerate(vocab)}
        self.cache = {}

    def word(self, w):
        out, i = [], 0
        while i < len(w) and len(w) <= 100:
            for j in range(len(w), i, -1):
                p = self.ids.get(w[i:j] if i == 0 else "##" + w[i:j])
                if p is not None:
                    break
            else:
                return [UNK]
            out.append(p)
            i = j
        return out or [UNK]

    def encode(self, text):
        """Piece ids without [CLS] and [SEP]."""
        out = []
        for w in words_of(text):
            if w not in self.cache:
                self.cache[w] = self.word(w)
            out += self.cache[w]
        return np.array(out, dtype=np.int64)

# --- Teacher: out-of-fold logistic regression on piece 1-3-grams, scaled by naive-Bayes log ratios (Wang & Manning 2012) ------
BITS = 22

def ngrams(x):
    """The distinct hashed 1-, 2- and 3-grams of one piece sequence."""
    m = np.uint64(0x9E3779B97F4A7C15)
    a = x.astype(np.uint64) + np.uint64(1)
    h2 = a[:-1] * np.uint64(1 << 20) + a[1:]
    h3 = h2[:-1] * np.uint64(1 << 20) + a[2:]
    h = np.concatenate([a, h2, h3]) * m
    return np.unique(((h ^ (h >> np.uint64(29))) * m) >> np.uint64(64 - BITS)).astype(np.int64)

class Teacher:
    def __init__(self, docs, labels, folds, steps, lr):
        feats = [ngrams(x) for x in docs]
        y = np.array(labels, dtype=np.float32)
        self.fold = np.arange(len(docs)) % folds
        self.weights, oof = [], np.zeros(len(docs))
        for f in range(folds):
            tr = np.flatnonzero(self.fold != f)
            w, b = self.fit([feats[i] for i in tr], y[tr], steps, lr)
            self.weights.append((w, b))
            for i in np.flatnonzero(self.fold == f):
                oof[i] = w[feats[i]].sum() + b
        grid = np.linspace(0.05, 3, 296)                 # one temperature for all folds, by the likelihood of oof
        nll = [np.logaddexp(0, -s * oof * (2 * y - 1)).mean() for s in grid]
        self.scale = grid[int(np.argmin(nll))]
        log("teacher: out-of-fold accuracy %.4f, log loss %.4f, scale %.2f" % (((oof > 0) == (y > 0)).mean(), min(nll), self.scale))

    @staticmethod
    def fit(feats, y, steps, lr):
        idx = np.concatenate(feats)
        lens = np.array([len(f) for f in feats])
        start = np.concatenate([[0], np.cumsum(lens)[:-1]])
        df = np.bincount(idx, minlength=1 << BITS)
        pos = np.bincount(idx, weights=np.repeat(y, lens), minlength=1 << BITS)
        p, q = 1 + pos, 1 + df - pos
        r = np.where(df < 2, 0, np.log(p / p.sum()) - np.log(q / q.sum())).astype(np.float32)
        # Full-batch Adam on the weights of the scaled features; few steps are the regularisation.
        rx, w, b = r[idx], np.full(1 << BITS, 0.02, dtype=np.float32), 0.0
        m, v, mb = np.zeros_like(w), np.zeros_like(w), 0.0
        for t in range(1, steps + 1):
            z = np.add.reduceat(w[idx] * rx, start) + b
            g = (1 / (1 + np.exp(-np.clip(z, -50, 50))) - y) / len(y)
            gw = (np.bincount(idx, weights=np.repeat(g, lens), minlength=1 << BITS) * r).astype(np.float32)
            m = 0.9 * m + 0.1 * gw
            v = 0.99 * v + 0.01 * gw * gw
            w -= lr * (m / (1 - 0.9 ** t)) / (np.sqrt(v / (1 - 0.99 ** t)) + 1e-7)
            mb = 0.9 * mb + 0.1 * g.sum()
            b -= 0.5 * mb
        return w * r, b

    def prob(self, doc, x):
        """P(positive) of a crop x of training document doc, by the fold that has not seen it."""
        w, b = self.weights[self.fold[doc]]
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, self.scale * (w[ngrams(x)].sum() + b)))))

# --- Model: DistilBertForSequenceClassification, tensor names and arithmetic of transformers ----------------------------------
def same_dropout(x, p, training):
    """Dropout with one mask for all positions of a sequence: as good here and far cheaper on a CPU."""
    if not training or p == 0:
        return x
    return x * (torch.rand(x.shape[0], 1, x.shape[2]) >= p).float() / (1 - p)

class Layer(nn.Module):
    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.heads = heads
        self.attention = nn.Module()
        for n in ("q_lin", "k_lin", "v_lin", "out_lin"):
            setattr(self.attention, n, nn.Linear(dim, dim))
        self.sa_layer_norm = nn.LayerNorm(dim, eps=1e-12)
        self.ffn = nn.Module()
        self.ffn.lin1 = nn.Linear(dim, hidden)
        self.ffn.lin2 = nn.Linear(hidden, dim)
        self.output_layer_norm = nn.LayerNorm(dim, eps=1e-12)

    def forward(self, x, bias, p, n_query):
        """n_query: how many leading positions to compute (the last layer needs only [CLS])."""
        B, T, D = x.shape
        split = lambda t: t.view(B, -1, self.heads, D // self.heads).transpose(1, 2)
        a, xq = self.attention, x[:, :n_query]
        q = split(a.q_lin(xq) / math.sqrt(D // self.heads))
        w = torch.matmul(q, split(a.k_lin(x)).transpose(2, 3)) + bias
        c = torch.matmul(F.softmax(w, -1), split(a.v_lin(x))).transpose(1, 2).reshape(B, -1, D)
        x = self.sa_layer_norm(same_dropout(a.out_lin(c), p, self.training) + xq)
        f = self.ffn.lin2(F.gelu(self.ffn.lin1(x)))
        return self.output_layer_norm(same_dropout(f, p, self.training) + x)

class Classifier(nn.Module):
    def __init__(self, vocab, dim, layers, heads, hidden):
        super().__init__()
        self.distilbert = nn.Module()
        e = self.distilbert.embeddings = nn.Module()
        e.word_embeddings = nn.Embedding(vocab, dim)
        e.position_embeddings = nn.Embedding(MAX_LEN, dim)
        e.LayerNorm = nn.LayerNorm(dim, eps=1e-12)
        self.distilbert.transformer = nn.Module()
        self.distilbert.transformer.layer = nn.ModuleList(Layer(dim, heads, hidden) for _ in range(layers))
        self.pre_classifier = nn.Linear(dim, dim)
        self.classifier = nn.Linear(dim, 2)
        for n, p in self.named_parameters():
            if n.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() > 1:
                nn.init.normal_(p, 0, 0.02 if "embeddings" in n else 0.5 / math.sqrt(p.shape[1]))

    def forward(self, ids, p=0.0):
        e = self.distilbert.embeddings
        x = e.word_embeddings(ids) + e.position_embeddings.weight[:ids.shape[1]]
        x = same_dropout(e.LayerNorm(x), p, self.training)
        bias = ((ids == PAD).float() * -1e9)[:, None, None, :]
        layers = self.distilbert.transformer.layer
        for i, l in enumerate(layers):
            x = l(x, bias, p, 1 if i == len(layers) - 1 else x.shape[1])
        h = F.relu(self.pre_classifier(x[:, 0]))
        return self.classifier(F.dropout(h, 2 * p, self.training))

# --- Batches, training, evaluation --------------------------------------------------------------------------------------------
def batches(items, tokens, rng=None):
    """Lists of (ids, target) of similar length, at most `tokens` padded positions each; shuffled if rng is given."""
    chunk = 4096 if rng else len(items)
    if rng:
        rng.shuffle(items)
    out = []
    for c in range(0, len(items), chunk):
        out.append([])
        for it in sorted(items[c:c + chunk], key=lambda t: len(t[0])):
            if len(it[0]) * (len(out[-1]) + 1) > tokens:
                out.append([])
            out[-1].append(it)
    if rng:
        rng.shuffle(out)
    return out

def collate(batch):
    ids = nn.utils.rnn.pad_sequence([torch.from_numpy(x) for x, _ in batch], batch_first=True, padding_value=PAD)
    return ids, torch.tensor([y for _, y in batch])

def crop(x, n, rng):
    if len(x) > n:
        r = rng.random()
        o = 0 if r < 0.4 else len(x) - n if r < 0.7 else rng.randint(0, len(x) - n)
        x = x[o:o + n]
    return x

def wrap(x, mask=0.0, rng=None):
    """[CLS] x [SEP], with a share of x replaced by [MASK]."""
    return np.concatenate([[CLS], np.where(rng.random(len(x)) < mask, MASK, x) if rng else x, [SEP]])

def accuracy(model, docs, labels, max_len):
    model.eval()
    right = 0
    with torch.no_grad():
        for b in batches([(wrap(x[:max_len - 2]), y) for x, y in zip(docs, labels)], 16384):
            ids, y = collate(b)
            right += int((model(ids).argmax(1) == y).sum())
    return right / len(docs)

def train(model, imdb, sst, teacher, val, a):
    rng, nrng = random.Random(a.seed), np.random.default_rng(a.seed)
    groups = [[], []]                                    # decayed: weight matrices, but not embeddings
    for k, p in model.named_parameters():
        groups[p.dim() < 2 or "embeddings" in k].append(p)
    opt = torch.optim.AdamW([{"params": g, "weight_decay": d} for g, d in zip(groups, (a.decay, 0.0))], lr=a.lr, betas=(0.9, 0.98))
    ema = {k: v.clone() for k, v in model.state_dict().items()}
    for epoch in range(a.epochs):
        model.train()
        n = a.crops[min(epoch, len(a.crops) - 1)]
        items = []
        for i, (x, y) in enumerate(zip(*imdb)):
            x = crop(x, n, rng)
            t = a.hard * (y + a.smooth * (0.5 - y)) + (1 - a.hard) * teacher.prob(i, x)
            items.append((wrap(x, a.mask, nrng), t))
        for x, y in zip(*sst):
            items.append((wrap(x, a.mask / 2, nrng), y + a.smooth * (0.5 - y)))
        bs = batches(items, a.tokens, rng)
        losses = []
        for i, b in enumerate(bs):
            done = (epoch + i / len(bs)) / a.epochs
            lr = a.lr * min(1, done / 0.05) * max(0.01, 1 - done)
            for g in opt.param_groups:
                g["lr"] = lr
            ids, t = collate(b)
            lp = F.log_softmax(model(ids, a.dropout), -1)
            loss = -(t * lp[:, 1] + (1 - t) * lp[:, 0]).mean()
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            with torch.no_grad():
                for k, v in model.state_dict().items():
                    ema[k].lerp_(v, 1 - a.ema)
            losses.append(loss.item())
            if (i + 1) % 200 == 0 or i + 1 == len(bs):
                log("epoch %d crop %d  %d/%d  loss %.4f  lr %.5f" % (epoch + 1, n, i + 1, len(bs), np.mean(losses[-200:]), lr))
        if val[0]:
            log("epoch %d  validation accuracy %.4f" % (epoch + 1, accuracy(model, *val, MAX_LEN)))
    model.load_state_dict(ema)

# --- Hugging Face directory ---------------------------------------------------------------------------------------------------
def dump(path, obj):
    with open(path, "w", encoding="utf-8") as f:
        f.write(obj if isinstance(obj, str) else json.dumps(obj, indent=2, ensure_ascii=False) + "\n")

def write_safetensors(path, tensors):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for k in sorted(tensors):
        blobs.append(tensors[k].contiguous().numpy().tobytes())
        header[k] = {"dtype": "F16", "shape": list(tensors[k].shape), "data_offsets": [at, at + len(blobs[-1])]}
        at += len(blobs[-1])
    j = json.dumps(header, separators=(",", ":")).encode()
    j += b" " * (-len(j) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(j)) + j + b"".join(blobs))

def write_directory(out, model, vocab, a, card):
    os.makedirs(out, exist_ok=True)
    write_safetensors(out + "/model.safetensors", {k: v.half() for k, v in model.state_dict().items()})
    dump(out + "/config.json", {
        "activation": "gelu", "architectures": ["DistilBertForSequenceClassification"], "attention_dropout": 0.0,
        "dim": a.dim, "dropout": a.dropout, "hidden_dim": a.hidden, "id2label": {str(i): l for i, l in enumerate(LABELS)},
        "initializer_range": 0.02, "label2id": {l: i for i, l in enumerate(LABELS)}, "max_position_embeddings": MAX_LEN,
        "model_type": "distilbert", "n_heads": a.heads, "n_layers": a.layers, "pad_token_id": PAD,
        "problem_type": "single_label_classification", "qa_dropout": 0.1, "seq_classif_dropout": 2 * a.dropout,
        "sinusoidal_pos_embds": False, "tie_weights_": True, "torch_dtype": "float16", "transformers_version": "4.52.4",
        "vocab_size": len(vocab)})
    added = [{"id": i, "content": s, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, s in enumerate(SPECIALS)]
    special = lambda s: {"SpecialToken": {"id": s, "type_id": 0}}
    sequence = lambda s, t: {"Sequence": {"id": s, "type_id": t}}
    dump(out + "/tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), sequence("A", 0), special("[SEP]")],
            "pair": [special("[CLS]"), sequence("A", 0), special("[SEP]"), sequence("B", 1),
                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {s: {"id": s, "ids": [i], "tokens": [s]} for s, i in (("[CLS]", CLS), ("[SEP]", SEP))}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {p: i for i, p in enumerate(vocab)}}})
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    dump(out + "/special_tokens_map.json", names)
    dump(out + "/tokenizer_config.json", dict(names, **{
        "added_tokens_decoder": {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in added},
        "clean_up_tokenization_spaces": True, "do_lower_case": True, "model_max_length": MAX_LEN, "strip_accents": None,
        "tokenize_chinese_chars": True, "tokenizer_class": "DistilBertTokenizer"}))
    dump(out + "/vocab.txt", "".join(p + "\n" for p in vocab))
    dump(out + "/README.md", card)

# --- Command ------------------------------------------------------------------------------------------------------------------
def arguments(argv=None):
    p = argparse.ArgumentParser(description="Train the sentiment classifier that ships with pith, from raw data.")
    for name in ("data_dir", "out_dir"):
        p.add_argument(name, metavar=name.upper())
    for name, default, text in (
            ("threads", 1, "torch threads"), ("seed", 1, ""), ("vocab", 8192, "pieces"), ("dim", 192, ""), ("layers", 2, ""),
            ("heads", 3, ""), ("hidden", 768, ""), ("epochs", 3, ""), ("tokens", 6144, "positions in a batch"), ("lr", 1e-3, "peak"),
            ("decay", 0.05, "of weight matrices"), ("dropout", 0.1, ""), ("mask", 0.15, "share of pieces replaced by [MASK]"),
            ("hard", 0.5, "weight of the label against the teacher's probability"), ("smooth", 0.05, "of hard labels"),
            ("ema", 0.998, "decay of the average of the weights"), ("folds", 5, "of the teacher"),
            ("val", 1500, "training reviews held out, for choices")):
        p.add_argument("--" + name, type=type(default), default=default, help=text + " (default %(default)s)")
    p.add_argument("--crops", type=int, nargs="+", default=[190, 254, 510], help="pieces, an epoch each")
    return p.parse_args(argv)

CARD = """---
license: mit
language: en
library_name: transformers
pipeline_tag: text-classification
---
# sentiment: a small DistilBERT for English film reviews
A `DistilBertForSequenceClassification` with {params:.2f} M parameters ({layers} layers, width {dim}, {heads} heads, hidden {hidden}, {vocab} WordPiece
pieces, at most 512 tokens, weights in F16). It says NEGATIVE or POSITIVE. It was trained from random weights for pith; no
pretrained model took part. Raw text goes in as it is (`<br />` included); `tokenizer.json` does all that the text needs.

## Accuracy
Of the F16 weights as shipped; text is cut after 510 (254) pieces:

| data | rows | 512 tokens | 256 tokens |
|---|---|---|---|
{table}

None of these rows was used for training or for a choice ({val} training reviews were held out).

## Data
- IMDB Large Movie Review Dataset, training half, 25,000 reviews: Maas, Daly, Pham, Huang, Ng and Potts,
  *Learning Word Vectors for Sentiment Analysis*, ACL 2011.
- SST-2 (GLUE), training part, 67,349 phrases: Socher, Perelygin, Wu, Chuang, Manning, Ng and Potts,
  *Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank*, EMNLP 2013.
- The vocabulary was learnt from the same texts.

## Training
    /usr/bin/python3 tools/train_classifier.py DATA_DIR models/bundled/sentiment

writes everything here, this card included (Debian packages python3-torch and python3-numpy; {threads} CPU thread(s), {minutes:.0f} minutes, seed {seed}).
The labels of the IMDB reviews are mixed with the out-of-fold probabilities of a logistic regression on piece 1-3-grams, scaled by
naive-Bayes log ratios and trained on the same reviews (Wang and Manning, ACL 2012). Crops of the reviews grow from epoch to epoch,
pieces are masked at random, and the weights are an exponential moving average.

## Use and limits
For demonstrations, tests and benchmarks, and for rough sentiment of English film reviews. It knows film reviews and nothing else: other
subjects or languages, irony, mixed or neutral texts get a confident answer all the same, as there is no neutral label. It carries the bias
of the reviews; names of actors, directors and films count as evidence. Text beyond 510 pieces is not read. Not for decisions about people.

Licence: MIT, for the weights and the vocabulary. The data sets are not included and have their own terms.
"""

def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rows = {}
    for key, name in (("imdb", "imdb_train.csv.xz"), ("sst", "sst2_train.tsv.xz"), ("IMDB test, fixed sample", "imdb_test_2000.csv"),
                      ("IMDB test, all", "imdb_test.csv.xz"), ("SST-2 dev", "sst2_dev.tsv")):
        rows[key] = read_rows(os.path.join(a.data_dir, name))
    word_count = collections.Counter(w for k in ("imdb", "sst") for t in rows[k][0] for w in words_of(t))
    vocab = choose_vocab(word_count, a.vocab)
    wp = WordPiece(vocab)
    data = {k: ([wp.encode(t) for t in texts], labels) for k, (texts, labels) in rows.items()}
    log("vocabulary: %d pieces, %.1f to a review" % (len(vocab), np.mean([len(x) for x in data["imdb"][0]])))
    order = list(range(len(data["imdb"][0])))
    random.Random(0).shuffle(order)
    X, Y = ([part[i] for i in order] for part in data["imdb"])
    val, imdb = (X[:a.val], Y[:a.val]), (X[a.val:], Y[a.val:])
    teacher = Teacher(*imdb, folds=a.folds, steps=20, lr=0.01)
    model = Classifier(len(vocab), a.dim, a.layers, a.heads, a.hidden)
    train(model, imdb, data["sst"], teacher, val, a)
    minutes = (time.time() - T0) / 60
    model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
    if a.val:
        log("averaged weights: validation accuracy %.4f" % accuracy(model, *val, MAX_LEN))
    table = []
    for k in list(data)[2:]:
        long, short = accuracy(model, *data[k], MAX_LEN), accuracy(model, *data[k], 256)
        table.append("| %s | %d | %.2f%% | %.2f%% |" % (k, len(data[k][0]), 100 * long, 100 * short))
        log(table[-1])
    params = sum(p.numel() for p in model.parameters()) / 1e6
    write_directory(a.out_dir, model, vocab, a, CARD.format(params=params, table="\n".join(table), minutes=minutes, **vars(a)))
    log("wrote " + a.out_dir)

if __name__ == "__main__":
    main()
