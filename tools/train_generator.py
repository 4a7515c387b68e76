#!/usr/bin/python3
"""train_generator.py: trains the text generator in models/bundled/reviews from raw text: its byte-level BPE and a small LLaMA;
writes a Hugging Face directory (BF16) with a model card. Not part of pith itself.

  command       /usr/bin/python3 tools/train_generator.py DATA_DIR models/bundled/reviews
  DATA_DIR      imdb_train.csv.xz
  goldens       the same command with --golden tests/golden/reviews.json reads the directory back and trains nothing
  requirements  Debian packages python3-torch python3-numpy (torch 1.13, numpy 1.24; no transformers, no tokenizers)
  run time      22 minutes on one thread of a 2-core server CPU with bfloat16 units, shared with other work; the shipped
                run was stopped once and continued with --state at step 900
  result        BF16 weights, 1,000 held-out training reviews: 4.1587 nats a token, 1.1489 nats a byte (1.657 bits)
"""
import os, sys
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1" if "--threads" not in sys.argv else sys.argv[sys.argv.index("--threads") + 1])
import argparse, collections, csv, ctypes, heapq, json, lzma, math, random, re, struct, time, unicodedata
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

EOT, T0 = "<|endoftext|>", time.time()                                   # id 0: begins every review, so it also ends the one before
THETA, EPS, CONTEXT = 10000.0, 1e-5, 512

def log(text):
    print("[%5.0f s] %s" % (time.time() - T0, text), flush=True)

def read_texts(path):
    """The reviews of a .csv.xz file with a column text; the HTML line break of this data set becomes a newline."""
    csv.field_size_limit(1 << 24)
    with lzma.open(path, "rt", encoding="utf-8", newline="") as f:
        return [r["text"].replace("<br />", "\n") for r in csv.DictReader(f)]

# --- Byte-level BPE: ByteLevel pre-tokenizer and BPE model of HF tokenizers ---------------------------------------------------
def byte_symbols():
    """GPT-2's printable character for each byte: itself where it is visible Latin-1, else the next one from U+0100 on."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in own]
    return {**{b: chr(b) for b in own}, **{b: chr(256 + i) for i, b in enumerate(rest)}}

def char_class(letter):
    """Inside of a [...] of all characters whose Unicode category begins with the letter."""
    out, start = [], None
    for c in range(sys.maxunicode + 2):
        inside = c <= sys.maxunicode and unicodedata.category(chr(c))[0] == letter
        if inside and start is None:
            start = c
        elif not inside and start is not None:
            out.append("\\U%08x-\\U%08x" % (start, c - 1))
            start = None
    return "".join(out)

def word_pattern():
    """GPT-2's pattern; \\s is written out, as Python's counts U+001C to U+001F as white space and Unicode does not."""
    L, N, S = char_class("L"), char_class("N"), "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
    return re.compile("'s|'t|'re|'ve|'m|'ll|'d| ?[%s]+| ?[%s]+| ?[^%s%s%s]+|[%s]+(?![^%s])|[%s]+" % (L, N, S, L, N, S, S, S))

def join(s, pair):
    """Symbol sequence s with every occurrence of the pair joined, from the left."""
    out, i = [], 0
    while i < len(s):
        n = 2 if i + 1 < len(s) and (s[i], s[i + 1]) == pair else 1
        out.append("".join(s[i:i + n]))
        i += n
    return out

def train_merges(word_count, n_merges):
    """Most frequent pair first; ties are broken by the symbols' text, so the result depends on the counts alone."""
    words, pair_count, where = [], collections.Counter(), collections.defaultdict(set)
    for w, n in sorted(word_count.items()):
        if n >= 2:
            for p in zip(w, w[1:]):
                pair_count[p] += n
                where[p].add(len(words))
            words.append((list(w), n))
    heap, merges = [(-n, p) for p, n in pair_count.items()], []
    heapq.heapify(heap)
    while len(merges) < n_merges:
        n, pair = heapq.heappop(heap)
        if -n != pair_count[pair]:                       # stale: a newer entry, or none, says what is left
            continue
        merges.append(pair)
        changed = set()
        for i in where.pop(pair):
            s, n = words[i]
            out = join(s, pair)
            words[i] = out, n
            for p in zip(s, s[1:]):
                pair_count[p] -= n
            for p in zip(out, out[1:]):
                pair_count[p] += n
                where[p].add(i)
            changed.update(zip(s, s[1:]), zip(out, out[1:]))
        for p in changed:
            if pair_count[p] > 0:
                heapq.heappush(heap, (-pair_count[p], p))
    return merges

class BPE:
    def __init__(self, merges):
        self.merges, self.symbol, self.pattern = merges, byte_symbols(), word_pattern()
        self.vocab = [EOT] + [self.symbol[b] for b in range(256)] + [a + b for a, b in merges]
        self.ids = {t: i for i, t in enumerate(self.vocab)}
        self.rank = {p: i for i, p in enumerate(merges)}
        self.cache = {}

    def words(self, text):
        return self.pattern.findall(text)

    def spell(self, word):
        return "".join(self.symbol[b] for b in word.encode("utf-8"))

    def word(self, word):
        s = list(self.spell(word))
        while len(s) > 1:
            pair = min(zip(s, s[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
            if pair not in self.rank:
                break
            s = join(s, pair)
        return [self.ids[t] for t in s]

    def encode(self, text):
        out = []
        for w in self.words(text):
            if w not in self.cache:
                self.cache[w] = self.word(w)
            out += self.cache[w]
        return out

    def decode(self, ids):
        byte = {c: b for b, c in self.symbol.items()}
        return bytes(byte[c] for i in ids if i for c in self.vocab[i]).decode("utf-8", "replace")

def train_bpe(texts, size):
    bpe, count = BPE([]), collections.Counter()
    for t in texts:
        count.update(bpe.words(t))
    return BPE(train_merges({bpe.spell(w): n for w, n in count.items()}, size - 257))

# --- Model: LlamaForCausalLM, tensor names and arithmetic of transformers -----------------------------------------------------
class RMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS))

def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin

class Layer(nn.Module):
    def __init__(self, dim, heads, kv_heads, hidden):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, dim // heads
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(dim), RMSNorm(dim)
        a, m = self.self_attn, self.mlp = nn.Module(), nn.Module()
        a.q_proj, a.o_proj = linear(dim, dim), linear(dim, dim)
        a.k_proj, a.v_proj = linear(dim, kv_heads * self.size), linear(dim, kv_heads * self.size)
        m.gate_proj, m.up_proj, m.down_proj = linear(dim, hidden), linear(dim, hidden), linear(hidden, dim)

    def forward(self, x, cos, sin, mask):
        B, T, D = x.shape
        a, m, h, r = self.self_attn, self.mlp, self.input_layernorm(x), self.heads // self.kv_heads
        q = rotate(a.q_proj(h).view(B, T, self.heads, self.size).transpose(1, 2), cos, sin)
        k = rotate(a.k_proj(h).view(B, T, self.kv_heads, self.size).transpose(1, 2), cos, sin)
        v = a.v_proj(h).view(B, T, self.kv_heads, self.size).transpose(1, 2)
        # The r query heads of a key head become r * T rows of one product: nothing is copied.
        w = torch.matmul(q.reshape(B, self.kv_heads, r * T, self.size) / math.sqrt(self.size), k.transpose(2, 3))
        w = F.softmax(w.view(B, self.kv_heads, r, T, T) + mask, -1).view(B, self.kv_heads, r * T, T)
        c = torch.matmul(w.to(v.dtype), v).view(B, self.heads, T, self.size)
        x = x + a.o_proj(c.transpose(1, 2).reshape(B, T, D))
        h = self.post_attention_layernorm(x)
        return x + m.down_proj(F.silu(m.gate_proj(h)) * m.up_proj(h))

class Generator(nn.Module):
    def __init__(self, vocab, dim, layers, heads, kv_heads, hidden):
        super().__init__()
        m = self.model = nn.Module()
        m.embed_tokens = nn.Embedding(vocab, dim)
        m.layers = nn.ModuleList(Layer(dim, heads, kv_heads, hidden) for _ in range(layers))
        m.norm = RMSNorm(dim)
        self.size = dim // heads
        for n, p in self.named_parameters():
            if p.dim() > 1:
                out = n.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, 0, 0.02 if "embed" in n else (0.2 if out else 0.7) / math.sqrt(p.shape[1]))

    def forward(self, ids, last=False):
        """Logits of all positions, or of the last one only."""
        m, T = self.model, ids.shape[1]
        x = m.embed_tokens(ids)
        turn = torch.outer(torch.arange(T, dtype=x.dtype), THETA ** (-torch.arange(0, self.size, 2, dtype=x.dtype) / self.size))
        turn = torch.cat((turn, turn), -1)
        cos, sin, mask = turn.cos(), turn.sin(), torch.full((T, T), -1e9, dtype=x.dtype).triu(1)
        if torch.is_autocast_cpu_enabled():
            cos, sin, mask = cos.bfloat16(), sin.bfloat16(), mask.bfloat16()
        for l in m.layers:
            x = l(x, cos, sin, mask)
        return F.linear(m.norm(x[:, -1:] if last else x), m.embed_tokens.weight)

# --- Training -----------------------------------------------------------------------------------------------------------------
def orthogonal(g):
    """Nearest semi-orthogonal matrix of each of a stack, nearly: five Newton-Schulz steps in bfloat16 (Jordan 2024, Muon)."""
    x = g.transpose(1, 2) if g.shape[1] > g.shape[2] else g
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        s = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * (s @ s)) @ x
    return (x.transpose(1, 2) if g.shape[1] > g.shape[2] else x).float()

class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal before the step; for the weight matrices of the layers."""
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr, "momentum": 0.95, "decay": 0.1})

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            shapes = collections.defaultdict(list)
            for p in g["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - g["momentum"])
                shapes[p.shape].append((p, p.grad.lerp(m, g["momentum"])))
            for (rows, cols), group in shapes.items():
                for (p, _), u in zip(group, orthogonal(torch.stack([u for _, u in group]))):
                    p.mul_(1 - g["lr"] * g["decay"]).add_(u, alpha=-g["lr"] * math.sqrt(max(1, rows / cols)))

def optimizers(model, a):
    matrices = [p for n, p in model.named_parameters() if p.dim() > 1 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() == 1 or "embed" in n]
    return [Muon(matrices, a.lr_matrix), torch.optim.AdamW(others, lr=a.lr, betas=(0.9, 0.95), weight_decay=0.0)]

def pack(docs, order):
    return np.concatenate([np.append(np.uint16(0), docs[i]) for i in order]).astype(np.int64)

def batch(stream, i, tokens, block):
    """Inputs and targets of the i-th run of `tokens` tokens, cut into blocks."""
    c = torch.from_numpy(stream[i * tokens:(i + 1) * tokens + 1])
    return c[:-1].view(-1, block), c[1:].view(-1, block)

def loss_of(model, x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = model(x)
    return F.cross_entropy(z.float().view(-1, z.shape[-1]), y.reshape(-1))

def validate(model, stream, limit=None):
    """Nats summed over a packed stream in blocks of CONTEXT tokens, in float32, and the number of tokens predicted."""
    nats, count = 0.0, 0
    with torch.no_grad():
        for at in range(0, min(len(stream) - 1, limit or len(stream)), CONTEXT):
            c = torch.from_numpy(stream[at:at + CONTEXT + 1])
            z = model(c[None, :-1])[0]
            nats += F.cross_entropy(z, c[1:], reduction="sum").item()
            count += len(c) - 1
    return nats, count

def train(model, docs, val, a, save):
    """Learning rate: a short rise, level, then straight to 0 over the last share. Blocks are long in the last share only.
    With --state the run can be stopped and continued; --steps may be changed as long as the fall has not begun."""
    opts, first, stream, epoch, spent = optimizers(model, a), 0, None, -1, 0.0
    if a.state and os.path.exists(a.state):
        saved = torch.load(a.state)
        model.load_state_dict(saved["model"])
        for o, s in zip(opts, saved["opts"]):
            o.load_state_dict(s)
        first, spent = saved["step"], saved["spent"]
    base, losses = saved["base"] if first else [[g["lr"] for g in o.param_groups] for o in opts], []
    per_epoch = (sum(len(d) + 1 for d in docs) - 1) // a.tokens
    log("%d steps of %d tokens from step %d; an epoch is %d steps" % (a.steps, a.tokens, first, per_epoch))
    for step in range(first, a.steps):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = list(range(len(docs)))
            random.Random(a.seed * 1000 + epoch).shuffle(order)
            stream = pack(docs, order)
        scale = min(1, (step + 1) / 50, (a.steps - step) / (a.fall * a.steps))
        for o, b in zip(opts, base):
            for g, lr in zip(o.param_groups, b):
                g["lr"] = lr * scale
        block = a.block if step < a.steps * (1 - a.long) else CONTEXT
        loss = loss_of(model, *batch(stream, step % per_epoch, a.tokens, block))
        for o in opts:
            o.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts:
            o.step()
        losses.append(loss.item())
        if (step + 1) % 25 == 0:
            log("step %d/%d  loss %.4f  rate %.2f  block %d" % (step + 1, a.steps, np.mean(losses[-25:]), scale, block))
        if (step + 1) % a.save_every == 0:
            nats, n = validate(model, val, 16384)
            log("step %d  validation loss %.4f (first %d tokens)" % (step + 1, nats / n, n))
            if a.state:
                torch.save({"model": model.state_dict(), "opts": [o.state_dict() for o in opts], "base": base, "step": step + 1,
                            "spent": spent + time.time() - T0}, a.state + ".new")
                os.replace(a.state + ".new", a.state)
                save(step + 1)
    return spent + time.time() - T0

def sample(model, bpe, prompt, seed, n, temperature=0.8, top_p=0.95, penalty=1.1):
    """Text after the prompt, for the model card: repetition penalty, temperature, then the smallest set that holds top_p."""
    rng, ids = np.random.default_rng(seed), [0] + bpe.encode(prompt)
    while len(ids) < n and (len(ids) == 1 or ids[-1]):
        with torch.no_grad():
            z = model(torch.tensor([ids]), last=True)[0, 0].double().numpy()
        seen = np.unique(ids)
        z[seen] = np.where(z[seen] > 0, z[seen] / penalty, z[seen] * penalty)
        p = np.exp((z - z.max()) / temperature)
        best = np.argsort(-p)
        keep = best[:int(np.searchsorted(np.cumsum(p[best]) / p.sum(), top_p)) + 1]
        ids.append(int(rng.choice(keep, p=p[keep] / p[keep].sum())))
    return bpe.decode(ids)

# --- Hugging Face directory ---------------------------------------------------------------------------------------------------
def dump(path, obj):
    with open(path, "w", encoding="utf-8") as f:
        f.write(obj if isinstance(obj, str) else json.dumps(obj, indent=2, ensure_ascii=False) + "\n")

def write_safetensors(path, tensors):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for k in sorted(tensors):
        blobs.append(tensors[k].bfloat16().contiguous().view(torch.int16).numpy().tobytes())
        header[k] = {"dtype": "BF16", "shape": list(tensors[k].shape), "data_offsets": [at, at + len(blobs[-1])]}
        at += len(blobs[-1])
    j = json.dumps(header, separators=(",", ":")).encode()
    j += b" " * (-len(j) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(j)) + j + b"".join(blobs))

def read_safetensors(path):
    """BF16 tensors as float32: the upper half of the word."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    out = {}
    for k, t in header.items():
        if k != "__metadata__":
            half = np.frombuffer(data[slice(*t["data_offsets"])], dtype="<u2").astype(np.uint32) << 16
            out[k] = torch.from_numpy(half.view(np.float32).reshape(t["shape"]).copy())
    return out

def write_directory(out, model, bpe, a, card):
    os.makedirs(out, exist_ok=True)
    write_safetensors(out + "/model.safetensors", model.state_dict())
    dump(out + "/config.json", {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 0,
        "head_dim": a.dim // a.heads, "hidden_act": "silu", "hidden_size": a.dim, "initializer_range": 0.02,
        "intermediate_size": a.hidden, "max_position_embeddings": CONTEXT, "mlp_bias": False, "model_type": "llama",
        "num_attention_heads": a.heads, "num_hidden_layers": a.layers, "num_key_value_heads": a.kv_heads, "pretraining_tp": 1,
        "rms_norm_eps": EPS, "rope_scaling": None, "rope_theta": THETA, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "transformers_version": "4.52.4", "use_cache": True, "vocab_size": len(bpe.vocab)})
    dump(out + "/generation_config.json", {
        "bos_token_id": 0, "eos_token_id": 0, "do_sample": True, "temperature": 0.8, "top_p": 0.95, "repetition_penalty": 1.1,
        "transformers_version": "4.52.4"})
    token = {"content": EOT, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    begin = [{"SpecialToken": {"id": EOT, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    again = [{"SpecialToken": {"id": EOT, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
    dump(out + "/tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [dict({"id": 0}, **token)], "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": {"type": "Sequence", "processors": [level, {
            "type": "TemplateProcessing", "single": begin, "pair": begin + again,
            "special_tokens": {EOT: {"id": EOT, "ids": [0], "tokens": [EOT]}}}]},
        "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(bpe.vocab)}, "merges": [p + " " + q for p, q in bpe.merges]}})
    names = {"bos_token": EOT, "eos_token": EOT, "unk_token": EOT}
    dump(out + "/special_tokens_map.json", names)
    dump(out + "/tokenizer_config.json", dict(names, **{
        "added_tokens_decoder": {"0": token}, "add_prefix_space": False, "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT, "tokenizer_class": "PreTrainedTokenizerFast"}))
    dump(out + "/README.md", card)

def read_directory(path):
    """The model in float64 with the weights as shipped, and its tokenizer."""
    with open(path + "/config.json", encoding="utf-8") as f:
        c = json.load(f)
    with open(path + "/tokenizer.json", encoding="utf-8") as f:
        bpe = BPE([tuple(m.split(" ")) for m in json.load(f)["model"]["merges"]])
    model = Generator(c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["num_key_value_heads"],
                      c["intermediate_size"])
    model.load_state_dict(read_safetensors(path + "/model.safetensors"))
    return model.double(), bpe

# --- Goldens for pith's tests -------------------------------------------------------------------------------------------------
PROMPTS = ["This movie", "The acting was", "I", "Café Müller, 1999: it's \"great\", isn't it?\n\nNo.", "  I don't think that",
           "The worst film I have ever seen. It", "My wife and I watched this on television last night, and we both thought that the plot",
           "\u4f60\u597d \U0001f600 10/10"]

def write_goldens(path, model, bpe, n=40):
    """For each prompt: ids (with the leading <|endoftext|>), logits of the last position, and the greedy continuation with the
    margin of each choice over the next best; all computed in float64 from the rounded weights."""
    cases = []
    with torch.no_grad():
        for prompt in PROMPTS:
            ids = [0] + bpe.encode(prompt)
            now, margins, first = list(ids), [], None
            for _ in range(n):
                z = model(torch.tensor([now]), last=True)[0, 0]
                first = z if first is None else first
                top = torch.topk(z, 2).values
                margins.append(round(float(top[0] - top[1]), 6))
                now.append(int(z.argmax()))
                if now[-1] == 0:
                    break
            cases.append({"prompt": prompt, "ids": ids, "logits": [round(v, 5) for v in first.tolist()], "greedy": now[len(ids):],
                          "margins": margins, "text": bpe.decode(now[len(ids):])})
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"what": "models/bundled/reviews in float64 from its BF16 weights; made by tools/train_generator.py --golden",\n "cases": [\n')
        f.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]}\n")

# --- Command ------------------------------------------------------------------------------------------------------------------
def arguments(argv=None):
    p = argparse.ArgumentParser(description="Train the text generator that ships with pith, from raw data.")
    for name in ("data_dir", "out_dir"):
        p.add_argument(name, metavar=name.upper())
    for name, default, text in (
            ("threads", 1, "torch threads"), ("seed", 1, ""), ("vocab", 4096, "tokens"), ("dim", 256, ""), ("layers", 4, ""),
            ("heads", 4, ""), ("kv-heads", 2, ""), ("hidden", 512, ""), ("steps", 2800, ""), ("tokens", 2048, "in a step"),
            ("block", 256, "tokens of context at first"), ("lr", 3e-3, "peak, embeddings and norms (AdamW)"),
            ("lr-matrix", 0.02, "peak, matrices of the layers (Muon)"), ("fall", 0.675, "last share of the steps, in which the rates fall to 0"),
            ("long", 0.2, "last share of the steps, with blocks of %d tokens" % CONTEXT), ("val", 1000, "reviews held out"),
            ("save-every", 150, "steps between checkpoints")):
        p.add_argument("--" + name, type=type(default), default=default, help=text + " (default %(default)s)")
    p.add_argument("--state", help="file that keeps the state of the run, to continue from")
    p.add_argument("--golden", metavar="FILE", help="train nothing: write goldens of the model in OUT_DIR")
    return p.parse_args(argv)

CARD = """---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
---
# reviews: a small LLaMA that writes English film reviews
A `LlamaForCausalLM` with {params:.2f} M parameters ({layers} layers, width {dim}, {heads} query and {kv_heads} key-value heads, hidden {hidden}, {vocab} tokens
of a byte-level BPE, tied embeddings, at most {context} tokens of context, weights in BF16). It continues a text as if it were a review of a film. It was
trained from random weights for pith; no pretrained model took part.

## Loss
Of the BF16 weights as shipped, on {val} training reviews that were held out, in blocks of {context} tokens: **{loss:.4f} nats a token** (perplexity
{ppl:.1f}), **{byte:.4f} nats a byte** ({bits:.3f} bits).

## Sample
Prompt `This movie`, temperature 0.8, top-p 0.95, repetition penalty 1.1, at most 160 tokens, numpy seed 1, by the training script, as it came
(a program with another random number generator writes another review):

{sample}

## Data
IMDB Large Movie Review Dataset, training half ({reviews} reviews; the labels are not used): Maas, Daly, Pham, Huang, Ng and Potts, *Learning Word
Vectors for Sentiment Analysis*, ACL 2011. `<br />` became a newline beforehand; nothing else was changed. The BPE was learnt from the same texts.

## Training
    /usr/bin/python3 tools/train_generator.py DATA_DIR models/bundled/reviews

writes everything here, this card included (Debian packages python3-torch and python3-numpy; {threads} CPU thread(s) of a busy machine, {minutes:.0f} minutes,
seed {seed}). {steps} steps of {tokens} tokens: {seen:.2f} M tokens, {epochs:.2f} epochs. Every review is preceded by `<|endoftext|>` and they are packed
to blocks of {block} tokens, of {context} in the last {long:.0%} of the steps. bfloat16 arithmetic on float32 weights; Muon for the matrices of the layers, AdamW
for the rest; the rates are level and fall to 0 over the last {fall:.0%}.

## Use and limits
For demonstrations, tests and benchmarks of an inference engine. `<|endoftext|>` (id 0) begins a text, which `tokenizer.json` sees to, and ends it.
It has seen {seen:.1f} M tokens of film reviews and nothing else: the text looks like a review and says little that holds together; facts, names and quotations are
invented, and real names may turn up beside opinions that nobody holds. No instructions, no other subjects, no other languages; beyond {context} tokens
it was not trained. It repeats the bias and the language of the reviews, insults included. Not for reviews that people are meant to believe.

Licence: MIT, for the weights and the vocabulary. The data set is not included and has its own terms.
"""

def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    libc = ctypes.CDLL(None)                             # keep freed memory: fresh pages for every tensor cost a quarter of the time
    libc.mallopt(-4, 0)                                  # M_MMAP_MAX
    libc.mallopt(-1, 2**31 - 1)                          # M_TRIM_THRESHOLD
    torch.manual_seed(a.seed)
    if a.golden:
        return write_goldens(a.golden, *read_directory(a.out_dir))
    texts = read_texts(os.path.join(a.data_dir, "imdb_train.csv.xz"))
    random.Random(0).shuffle(texts)
    held, texts = texts[:a.val], texts[a.val:]
    bpe = read_directory(a.out_dir)[1] if a.state and os.path.exists(a.state) else train_bpe(texts, a.vocab)
    log("vocabulary: %d tokens" % len(bpe.vocab))
    docs = [np.array(bpe.encode(t), dtype=np.uint16) for t in texts]
    val = pack([bpe.encode(t) for t in held], range(len(held)))
    size = sum(len(t.encode("utf-8")) for t in texts)
    log("%d reviews, %d tokens, %.2f bytes to a token" % (len(docs), sum(map(len, docs)), size / sum(map(len, docs))))
    model = Generator(a.vocab, a.dim, a.layers, a.heads, a.kv_heads, a.hidden)
    params = sum(p.numel() for p in model.parameters())
    log("%.2f M parameters" % (params / 1e6))
    spent = train(model, docs, val, a, lambda step: write_directory(a.out_dir, model, bpe, a, "# reviews: checkpoint of step %d\n" % step))
    model.load_state_dict({k: v.bfloat16().float() for k, v in model.state_dict().items()})
    nats, n = validate(model, val)
    per_byte = nats / sum(len(t.encode("utf-8")) for t in held)
    log("weights as written: validation loss %.4f a token, %.4f a byte (%.3f bits)" % (nats / n, per_byte, per_byte / math.log(2)))
    text = sample(model, bpe, "This movie", 1, 160)
    log("sample:\n" + text)
    card = CARD.format(params=params / 1e6, loss=nats / n, ppl=math.exp(nats / n), byte=per_byte, bits=per_byte / math.log(2), minutes=spent / 60,
                       seen=a.steps * a.tokens / 1e6, epochs=a.steps * a.tokens / sum(len(d) + 1 for d in docs), context=CONTEXT,
                       reviews=len(docs), sample="\n".join("> " + l for l in text.split("\n")), **vars(a))
    write_directory(a.out_dir, model, bpe, a, card)
    log("wrote " + a.out_dir)

if __name__ == "__main__":
    main()
