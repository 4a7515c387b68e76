#!/usr/bin/python3
"""Checkpoints as torch.save writes them, each with what torch.load reads from it. Needs torch (made with 1.13).

  make_torch_fixtures.py OUT                     the fixtures of tests/golden/torch, tens of small files
  make_torch_fixtures.py --random N SEED OUT     N random state dicts, for tests that run where torch is
  make_torch_fixtures.py --model DIR OUT [legacy]  a model directory's safetensors as pytorch_model.bin, the rest copied;
                                                 more of them may follow, each after --model

Beside each file lies NAME.json: {"file", "key": where its tensors lie, "option": key to ask for or null, "verdict":
"ok" | "refused" | "either", "convert": "ok" | "refused", "why", "tensors": {name: {"dtype", "shape", "sha256" of the
bytes, row-major and little-endian, "same": the first name that is the same view, itself if empty}}}. The hashes are of
what torch itself read back from the file. `either` means: refused, or read right. What torch 1.13 cannot save but 2.x
does is laid out by `Apply` below, with the names 2.x uses.

The same torch gives the same bytes on every run: data comes from a fixed generator, and the addresses that the legacy
format uses as names of storages are replaced by a count."""
import argparse, collections, hashlib, io, json, os, pickle, random, shutil, struct, sys, tarfile, warnings, zipfile
import numpy as np
import torch

warnings.simplefilter("ignore")
NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
         torch.complex64: "C64"}
DTYPES = list(NAMES)

# The legacy format names storages by address.
address = torch._C.StorageBase._cdata.__get__
known = {}
torch.UntypedStorage._cdata = property(lambda s: known.setdefault(address(s), 94000000 + 64 * len(known)))


def data(dtype, n, seed):
    """n elements of random bytes: every bit pattern, NaN and infinities included. Booleans are 0 and 1."""
    size = torch.empty(0, dtype=dtype).element_size()
    b = random.Random(seed).getrandbits(8 * size * n).to_bytes(size * n, "little") if n else b""
    if dtype == torch.bool:
        b = bytes(x & 1 for x in b)
    # frombuffer keeps the buffer; a copy owns its storage, of exactly this size
    return torch.frombuffer(bytearray(b), dtype=dtype).clone() if n else torch.empty(0, dtype=dtype)


def raw(t):
    t = t.detach().contiguous()
    if t.dtype == torch.bfloat16:
        t = t.view(torch.int16)
    return t.numpy().tobytes()


def describe(tensors):
    """name -> what a reader must find, and which names are one view of one storage."""
    out, first = {}, {}
    for name, t in tensors.items():
        if not isinstance(t, torch.Tensor):
            continue
        out[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "sha256": hashlib.sha256(raw(t)).hexdigest()}
        view = (address(t.storage().untyped()), t.storage_offset(), tuple(t.shape), tuple(t.stride()))
        out[name]["same"] = first.setdefault(view, name) if t.numel() else name
    return out


def at_key(obj, key):
    for k in filter(None, key.split(".")):
        obj = obj[k]
    return obj


class Out:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.count = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def expect(self, name, file, tensors, **k):
        e = {"file": file, "key": "", "option": None, "verdict": "ok", "convert": "ok", "why": "", **k, "tensors": tensors}
        if e["verdict"] == "refused":
            e["convert"] = "refused"
        with open(self.path(name + ".json"), "w", encoding="ascii") as f:
            lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(t)}" for n, t in e.pop("tensors").items())
            f.write(json.dumps(e)[:-1] + ', "tensors": {\n' + lines + "}}\n")
        self.count += 1

    def save(self, name, obj, suffix=".bin", tensors=None, key="", how=None, **k):
        """Saves obj (with `how` in place of torch.save) and writes down what torch reads from it under `key`."""
        path = self.path(name + suffix)
        known.clear()
        torch.save(obj, path, **(how or {}))
        if tensors is None:
            tensors = {} if k.get("verdict") == "refused" else describe(at_key(torch.load(path, map_location="cpu"), key))
        self.expect(name, name + suffix, tensors, key=key, **k)
        return path

    def both(self, name, obj, **k):
        """In both containers."""
        self.save("zip_" + name, obj, **k)
        self.save("legacy_" + name, obj, how={"_use_new_zipfile_serialization": False}, **k)

    def bytes(self, name, b, suffix=".bin", **k):
        with open(self.path(name + suffix), "wb") as f:
            f.write(b)
        self.expect(name, name + suffix, k.pop("tensors", {}), **k)


class Named:
    """A global that need not exist here."""
    def __init__(self, module, name):
        self.module, self.name = module, name


class Apply:
    """Is saved as a call of fn."""
    def __init__(self, fn, *args):
        self.fn, self.args = fn, args


class Pickler(pickle._Pickler):
    def save(self, obj, save_persistent_id=True):
        if id(obj) in self.memo or not isinstance(obj, (Named, Apply)):
            return super().save(obj, save_persistent_id)
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        else:
            self.save(obj.fn)
            self.save(obj.args)
            self.write(pickle.REDUCE)
        self.memoize(obj)


class BY_HAND:
    """pickle_module of torch.save that knows these two."""
    Pickler, Unpickler, dump, load = Pickler, pickle.Unpickler, staticmethod(pickle.dump), staticmethod(pickle.load)


BY_HAND = {"pickle_module": BY_HAND}


# As torch 2.x has them; 1.13 needs them to read what is laid out so.
def _rebuild_tensor_v3(storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None):
    return torch.empty(0, dtype=dtype).set_(storage.untyped(), storage_offset, size, stride)


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    return torch.nn.Parameter(data, requires_grad)


for f in _rebuild_tensor_v3, _rebuild_parameter_with_state:
    f.__module__ = "torch._utils"
    setattr(torch._utils, f.__name__, f)


def v2(t, *more, fn=torch._utils._rebuild_tensor_v2):
    return Apply(fn, t.storage(), t.storage_offset(), tuple(t.shape), t.stride(), False, collections.OrderedDict(), *more)


def records(path, change=None, extra=(), method=zipfile.ZIP_STORED):
    """The zip file again, with members changed (name without folder -> bytes, None to leave out) or added, by torch's own
    writer or, deflated, by zipfile."""
    with zipfile.ZipFile(path) as z:
        members = [(n.split("/", 1), z.read(n)) for n in z.namelist()]
    prefix = members[0][0][0]
    members = [(n, (change or {}).get(n, b)) for (_, n), b in members if n != "version"]
    members = [(n, b) for n, b in members if b is not None] + list(extra)
    if method != zipfile.ZIP_STORED:
        with zipfile.ZipFile(path, "w", method) as z:
            for n, b in members + [("version", b"3\n")]:
                z.writestr(zipfile.ZipInfo(f"{prefix}/{n}", (1980, 1, 1, 0, 0, 0)), b, method)
        return
    w = torch._C.PyTorchFileWriter(path)
    for n, b in members:
        w.write_record(n, b, len(b))
    w.write_end_of_file()


# ---- the fixtures ----

def dtypes():
    out = collections.OrderedDict()
    for i, t in enumerate(DTYPES):
        name = NAMES[t].lower()
        out[name + ".vector"] = data(t, 37, i)
        out[name + ".matrix"] = data(t, 15, 100 + i).reshape(3, 5)
        out[name + ".scalar"] = data(t, 1, 200 + i)[0].clone()
        out[name + ".transposed"] = data(t, 12, 300 + i).reshape(3, 4).t()
    return out


def views():
    base = data(torch.float32, 120, 1)
    m, c = base.reshape(10, 12), data(torch.int16, 120, 2).reshape(2, 3, 4, 5)
    return collections.OrderedDict([
        ("whole", base), ("matrix", m), ("transposed", m.t()), ("offset", base[17:]), ("row", m[3]), ("column", m[:, 5]),
        ("steps", base[5:100:7]), ("block", m[2:7, 3:9]), ("block_transposed", m[2:7, 3:9].t()), ("corner", m[-1, -1]),
        ("expanded", m[4:5].expand(6, 12)), ("expanded_column", m[:, 2:3].expand(10, 4)),
        ("expanded_scalar", base[9].expand(2, 3, 2)), ("diagonal", m.diagonal()), ("windows", base.unfold(0, 8, 3)),
        ("empty", base[7:7]), ("empty_matrix", m[:, 12:]), ("empty_at_end", base[120:]), ("empty_rows", torch.empty(3, 0)[1:]), ("ones", base[3].reshape(1, 1, 1, 1)),
        ("ones_stride", m[4:5, ::5][:, 1:2]), ("permuted", c.permute(3, 1, 0, 2)), ("inner_step", c[:, :, ::2, 1::3]),
        ("channels_last", data(torch.uint8, 120, 3).reshape(2, 3, 4, 5).to(memory_format=torch.channels_last)),
        ("half_column", data(torch.float16, 49, 4).reshape(7, 7)[:, 3]),
        ("complex_transposed", data(torch.complex64, 6, 5).reshape(2, 3).t()),
        ("bool_steps", data(torch.bool, 64, 6)[1::3]), ("double_expanded", data(torch.float64, 2, 7)[1].expand(5)),
        ("rank8", data(torch.int8, 256, 8).reshape((2,) * 8).permute(7, 0, 6, 1, 5, 2, 4, 3))])


def shared():
    w, s = data(torch.bfloat16, 24, 10).reshape(4, 6), data(torch.float32, 40, 11)
    return collections.OrderedDict([
        ("embed.weight", w), ("head.weight", w), ("head.view", w[:]), ("head.transposed", w.t()), ("head.flat", w.reshape(24)),
        ("a", s[:20]), ("b", s[20:]), ("c", s[10:30]), ("b.again", s[20:40]), ("d", s[:20].reshape(4, 5)), ("all", s),
        ("alone", s.clone()), ("empty", s[:0]), ("empty.again", s[:0])])


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.norm = torch.nn.BatchNorm1d(3)
        self.tied = torch.nn.Linear(4, 3, bias=False)
        self.tied.weight = self.linear.weight
        with torch.no_grad():
            for i, p in enumerate(self.parameters()):
                p.copy_(torch.arange(p.numel()).reshape(p.shape) / 7 - i)


def extras():
    """What stands beside weights in checkpoints."""
    moments = {i: {"step": torch.tensor(7.0), "exp_avg": data(torch.float32, 4, 50 + i)} for i in range(2)}
    return {"epoch": 3, "global_step": 70000, "big": 2**40, "bigger": -2**70, "loss": 0.25, "nan": float("nan"), "none": None,
            "done": True, "open": False, "note": "best so far: \u00e9\u00e8 \U0001f389", "size": torch.Size([2, 3]), "dtype": torch.float16,
            "device": torch.device("cpu"), "list": [1, [2, [3, "x"]], []], "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
            "optimizer": {"state": moments, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}]}}


def nested(out):
    sd = collections.OrderedDict([("w", data(torch.float32, 6, 20).reshape(2, 3)), ("b", data(torch.float16, 3, 21))])
    for key in "state_dict", "model_state_dict", "model", "module", "params":
        out.save("nested_" + key, {**extras(), key: sd}, key=key)
    out.save("nested_plain", {"epoch": 1, "state_dict": dict(sd)}, key="state_dict", suffix=".pt")
    out.save("nested_last", {"state_dict": sd, **extras()}, key="state_dict", suffix=".pth",
             how={"_use_new_zipfile_serialization": False})
    other = {"w": data(torch.int64, 2, 22)}
    out.save("nested_option", {"ema": other, "state_dict": sd}, key="ema", option="ema")
    out.save("nested_unknown", {"ema": other, "epoch": 2}, key="ema", option="ema")
    out.save("nested_unknown_auto", {"ema": other, "epoch": 2}, verdict="refused", why="no key that is known")
    out.save("nested_wrong_option", {"state_dict": sd}, option="ema", verdict="refused", why="no such key")
    out.save("nested_option_number", {"state_dict": sd, "epoch": 3}, option="epoch", verdict="refused", why="not a dict")
    out.save("nested_tensor_names", collections.OrderedDict([("model", sd["w"]), ("params", sd["b"])]))
    out.save("mixed_root", {"w": sd["w"], "epoch": 3}, verdict="either", why="a number among the tensors",
             tensors=describe({"w": sd["w"]}))


def names(out):
    t = data(torch.uint8, 200, 30)
    odd = ["\u0432\u0435\u0441", "\u91cd\u307f.0", "\U0001f917", "a b", 'quote"\\', "line\nbreak\ttab\x01\x7f", "", "x" * 5000, ".", "..",
           "a/b", "\u202eabc", "\ufeff", "e\u0301", "\u00e9", "NUL", "\U0010ffff", "__metadata", "storage", "w" * 255, "w" * 256]
    out.both("names", {n: t[i : i + 3] for i, n in enumerate(odd)})
    out.save("name_metadata", {"__metadata__": t[:4].clone()}, convert="refused", why="safetensors keeps that name for itself")
    out.save("name_nul", {"a\0b": t[:4].clone()}, verdict="refused", why="a NUL in a name")
    out.save("name_surrogate", {"a\ud800b": t[:4].clone()}, verdict="refused", why="a name that is not Unicode")
    out.save("name_number", {0: t[:4].clone(), 1: t[4:6].clone()}, verdict="refused", why="names that are numbers")


def parameters(out):
    net = Net()
    out.both("module", net.state_dict())
    out.both("parameters", net.state_dict(keep_vars=True))
    p = torch.nn.Parameter(data(torch.float32, 6, 40).reshape(2, 3).t(), requires_grad=True)
    t = data(torch.float32, 4, 41).requires_grad_(True)
    out.save("requires_grad", {"p": p, "frozen": torch.nn.Parameter(data(torch.int32, 3, 43), requires_grad=False), "t": t})
    u = data(torch.float32, 6, 42).reshape(2, 3).t()
    noted = Apply(torch._tensor._rebuild_from_type_v2, torch._utils._rebuild_tensor_v2, torch.Tensor,
                  (u.storage(), 0, tuple(u.shape), u.stride(), False, collections.OrderedDict()), {"scale": 3, "tags": [1, "b"]})
    out.save("attributes", {"noted": noted, "plain": data(torch.float32, 2, 44)}, how=BY_HAND)
    out.save("with_state", {"p": Apply(torch._utils._rebuild_parameter_with_state, v2(data(torch.float32, 6, 45)), True,
                                       collections.OrderedDict(), {"tag": [1, 2]})}, how=BY_HAND)
    out.save("whole_module", torch.nn.Linear(2, 2), verdict="refused", why="a module, not its weights")


def layouts(out):
    """What other versions of torch write."""
    f = data(torch.float32, 24, 60)
    v1 = lambda t: Apply(torch._utils._rebuild_tensor, t.storage(), t.storage_offset(), tuple(t.shape), t.stride())
    sized = lambda t: Apply(torch._utils._rebuild_tensor_v2, t.storage(), t.storage_offset(), t.size(), t.stride(), False,
                            collections.OrderedDict())
    out.save("torch_0.3", {"w": v1(f.reshape(4, 6)), "t": v1(f.reshape(4, 6).t())}, how={**BY_HAND, "_use_new_zipfile_serialization": False})
    out.save("torch_size", {"w": sized(f.reshape(4, 6))}, how=BY_HAND)
    path = out.save("torch_2", {"w": f.reshape(4, 6), "b": f[5:9]})
    extra = [(".format_version", b"1"), (".storage_alignment", b"64"), ("byteorder", b"little"), (".data/serialization_id", b"1" * 40)]
    records(path, extra=extra)
    again = describe(torch.load(path))
    out.expect("torch_2", "torch_2.bin", again)
    v3 = lambda t, dtype: Apply(torch._utils._rebuild_tensor_v3, t.storage().untyped(), t.storage_offset(), tuple(t.shape), t.stride(),
                                False, collections.OrderedDict(), dtype)
    out.save("torch_v3", {"w": v3(f.reshape(4, 6)[:, 1:4], torch.float32), "i": v3(data(torch.int16, 5, 61), torch.int16)}, how=BY_HAND)
    unsigned, want = {}, {}
    for name, like, dtype in [("uint16", torch.int16, "U16"), ("uint32", torch.int32, "U32"), ("uint64", torch.int64, "U64"),
                              ("float8_e4m3fn", torch.int8, "F8_E4M3"), ("float8_e5m2", torch.int8, "F8_E5M2"),
                              ("float8_e4m3fnuz", torch.int8, "F8_E4M3FNUZ"), ("float8_e5m2fnuz", torch.int8, "F8_E5M2FNUZ"),
                              ("float8_e8m0fnu", torch.int8, "F8_E8M0")]:
        t = data(like, 12, 70).reshape(3, 4).t()
        unsigned[name] = v3(t, Named("torch", name))
        want[name] = {**describe({"": t})[""], "dtype": dtype, "same": name}
    # torch 1.13 has none of these types: the bytes are those of a type of the same width.
    out.save("torch_v3_types", unsigned, how=BY_HAND, tensors=want)
    c = data(torch.complex64, 4, 62)
    neg, conj = describe({"f": -f})["f"], describe({"c": c.conj().resolve_conj()})["c"]
    out.save("metadata_neg", {"f": v2(f, {"neg": True})}, how=BY_HAND, verdict="either", why="a negated view", tensors={"f": {**neg, "same": "f"}})
    out.save("metadata_conj", {"c": v2(c, {"conj": True})}, how=BY_HAND, verdict="either", why="a conjugated view",
             tensors={"c": {**conj, "same": "c"}})
    out.save("metadata_none", {"f": v2(f, None)}, how=BY_HAND, tensors=describe({"f": f}))
    out.save("metadata_empty", {"f": v2(f, {})}, how=BY_HAND, tensors=describe({"f": f}))


def containers(out):
    f = data(torch.float32, 8, 80)
    obj = {"w": f.reshape(2, 4), "b": f[3:]}
    old = {"_use_new_zipfile_serialization": False}
    torch.serialization.register_package(0, lambda s: "cuda:1" if s.nbytes() == 32 else None, lambda s, l: s if l == "cuda:1" else None)
    out.both("cuda", obj)
    torch.serialization._package_registry.pop(0)
    for p, verdict in (0, "refused"), (1, "refused"), (3, "either"), (4, "refused"), (5, "refused"):
        why = "pickle protocol %d" % p
        out.save("protocol_%d" % p, obj, how={"pickle_protocol": p}, verdict=verdict, why=why, tensors=describe(obj))
        out.save("legacy_protocol_%d" % p, obj, how={"pickle_protocol": p, **old}, verdict=verdict, why=why, tensors=describe(obj))
    path = out.save("deflated", obj, verdict="refused", why="deflate")
    records(path, method=zipfile.ZIP_DEFLATED)
    path = out.save("torchscript", obj, verdict="refused", why="TorchScript")
    records(path, extra=[("constants.pkl", b"\x80\x02).")])
    path = out.save("byteorder_big", obj, verdict="either", why="big-endian", tensors={})
    records(path, extra=[("byteorder", b"big")])
    want = {n: {**d, "sha256": hashlib.sha256(np.frombuffer(raw(obj[n]), ">f4").astype("<f4").tobytes()).hexdigest(), "same": n}
            for n, d in describe(obj).items()}
    out.expect("byteorder_big", "byteorder_big.bin", want, verdict="either", why="big-endian")
    out.bytes("tar", legacy_tar(f), verdict="refused", why="tar")
    out.save("suffix_pt", obj, suffix=".pt")
    out.save("suffix_pth", obj, suffix=".pth", how=old)
    out.save("suffix_ckpt", obj, suffix=".ckpt", verdict="either", why="a suffix that is not named")
    views_of_storages(out, f)


def views_of_storages(out, f):
    """Old legacy files have views of storages: a persistent id whose last item is (key, offset, size)."""
    class Viewing(pickle._Pickler):
        def save_pers(self, pid):
            super().save_pers(pid[:5] + (("7", 2, 6),) if pid[4] == 8 else pid)

    class module:
        Pickler, Unpickler, dump, load = Viewing, pickle.Unpickler, staticmethod(pickle.dump), staticmethod(pickle.load)
    out.save("legacy_storage_views", {"w": f.reshape(2, 4)[:, :2], "x": data(torch.int16, 3, 81)},
             how={"_use_new_zipfile_serialization": False, "pickle_module": module}, verdict="either", why="views of storages")


def legacy_tar(f):
    """The container before the stream: a tar of three files."""
    dump = lambda *x: b"".join(pickle.dumps(i, 2) for i in x)
    body = {"storages": dump(1, (1, "cpu", torch.FloatStorage)) + struct.pack("<q", 8) + raw(f) + dump([]),
            "tensors": dump(1, (2, 1, torch.FloatTensor)) + struct.pack("<iiqqq", 1, 0, 8, 1, 0), "pickle": dump({"w": 2})}
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=tarfile.PAX_FORMAT) as t:
        for n, x in body.items():
            info = tarfile.TarInfo(n)
            info.size = len(x)
            t.addfile(info, io.BytesIO(x))
    return b.getvalue()


def refused(out):
    f = data(torch.float32, 6, 90)
    zero = torch.zeros(2, 3)
    cases = [("complex128", {"w": torch.zeros(2, dtype=torch.complex128)}),
             ("quantized", {"w": torch.quantize_per_tensor(zero, 0.1, 0, torch.qint8)}),
             ("quantized_channels", {"w": torch.quantize_per_channel(zero, torch.ones(2), torch.zeros(2), 0, torch.quint8)}),
             ("sparse", {"w": zero.to_sparse()}), ("sparse_csr", {"w": torch.eye(3).to_sparse_csr()}),
             ("meta", {"w": torch.empty(2, 3, device="meta")}), ("numpy_array", {"w": np.arange(3)}),
             ("numpy_beside", {"state_dict": {"w": f}, "loss": np.float64(0.5)}),
             ("namespace", {"state_dict": {"w": f}, "args": argparse.Namespace(lr=0.1)}),
             ("set", {"state_dict": {"w": f}, "seen": {1, 2}}), ("bytes", {"state_dict": {"w": f}, "blob": b"abc"}),
             ("function", {"state_dict": {"w": f}, "fn": os.path.join}), ("list_root", [f, f]), ("tensor_root", f),
             ("number_root", 5), ("defaultdict", collections.defaultdict(int, {"w": f})), ("module_in_dict", {"model": torch.nn.ReLU()})]
    for name, obj in cases:
        out.save("refused_" + name, obj, verdict="refused", why=name)
    evil = {"state_dict": {"w": f}, "x": Apply(Named("os", "system"), "true")}
    for kind, how in ("zip", BY_HAND), ("legacy", {**BY_HAND, "_use_new_zipfile_serialization": False}):
        out.save("refused_evil_" + kind, evil, how=how, verdict="refused", why="os.system")
    out.save("refused_evil_name", {Named("builtins", "eval"): f}, how=BY_HAND, verdict="refused", why="eval as a key")
    out.save("empty_dict", {}, verdict="either", why="no tensors")
    out.save("none_value", {"w": f, "extra": None}, verdict="either", why="None among the tensors")
    out.save("storage_value", {"w": f, "s": f.storage()}, verdict="either", why="a storage among the tensors")
    out.save("nested_modules", {"encoder": {"w": f}, "decoder": {"w": f[:3]}}, verdict="either", why="dicts of dicts", tensors={})


def sharded(out):
    w = {f"layer.{i}.weight": data(torch.bfloat16, 20, 110 + i).reshape(4, 5) for i in range(5)}
    shards = ["pytorch_model-%05d-of-00002.bin" % i for i in (1, 2)]
    where = {n: shards[i > 2] for i, n in enumerate(w)}
    for folder, change in ("sharded", {}), ("sharded_misplaced", {"layer.0.weight": shards[1]}), ("sharded_missing", {"layer.9.weight": shards[0]}):
        os.makedirs(out.path(folder), exist_ok=True)
        for s in shards:
            torch.save({n: t for n, t in w.items() if where[n] == s}, os.path.join(out.path(folder), s))
        with open(os.path.join(out.path(folder), "pytorch_model.bin.index.json"), "w") as f:
            json.dump({"metadata": {"total_size": sum(t.numel() * 2 for t in w.values())}, "weight_map": {**where, **change}}, f, indent=1)
        if change:
            out.expect(folder, folder, {}, verdict="refused", why="the index does not fit the shards")
        else:
            read = {}
            for s in shards:
                read.update(torch.load(os.path.join(out.path(folder), s)))
            out.expect(folder, folder, describe(read))


def fixtures(out):
    torch.manual_seed(1)
    out.both("dtypes", dtypes())
    out.both("views", views())
    out.both("shared", shared())
    out.both("memo", {f"layers.{i}.weight": t for i, t in enumerate(data(torch.int32, 300, 120).split(1))})
    out.save("plain_dict", dict(shared()))
    parameters(out)
    nested(out)
    names(out)
    layouts(out)
    containers(out)
    refused(out)
    sharded(out)


# ---- random state dicts, and models ----

def any_view(r, dtype):
    """A random view of a random storage, or of one with others."""
    shape = [r.choice([0, 1, 1, 2, 3, 4, 5, 7]) if r.random() < 0.9 else r.randint(8, 300) for _ in range(r.choice([0, 1, 1, 2, 2, 2, 3, 4, 5]))]
    while np.prod(shape, dtype=object) > 20000:
        shape.pop()
    t = data(dtype, int(np.prod(shape, dtype=object)) if shape else 1, r.random()).reshape(shape)
    for _ in range(r.randint(0, 4)):
        d = r.randrange(t.dim()) if t.dim() else 0
        kind = r.choice(["permute", "slice", "select", "expand", "unsqueeze", "flat", "unfold"])
        if kind == "permute" and t.dim():
            order = list(range(t.dim()))
            r.shuffle(order)
            t = t.permute(order)
        elif kind == "slice" and t.dim() and t.shape[d]:
            a = r.randrange(t.shape[d])
            t = t.narrow(d, a, r.randint(0 if r.random() < 0.1 else 1, t.shape[d] - a))
            t = t[(slice(None),) * d + (slice(None, None, r.randint(1, 3)),)]
        elif kind == "select" and t.dim() and t.shape[d]:
            t = t.select(d, r.randrange(t.shape[d]))
        elif kind == "expand" and t.dim() and t.shape[d] == 1 and t.numel() < 1000:
            t = t.expand([r.randint(1, 5) if i == d else n for i, n in enumerate(t.shape)])
        elif kind == "unsqueeze" and t.dim() < 8:
            t = t.unsqueeze(d)
        elif kind == "flat" and t.is_contiguous():
            t = t.reshape(-1)
        elif kind == "unfold" and t.dim() and t.shape[d] > 2 and t.numel() < 500:
            t = t.unfold(d, 2, r.randint(1, 3))
    return t


def random_case(r, i, out):
    sd = collections.OrderedDict() if r.random() < 0.7 else {}
    for k in range(r.choice([0, 1, 2, 5, 20, 60]) + (r.random() < 0.95)):
        name = ".".join(r.choice(["layer", "w", "0", "attn", "\u00fc", "bias", "q_proj"]) for _ in range(r.randint(1, 5))) + f".{k}"
        old = [t for t in sd.values() if t.dim() and t.shape[0] > 1]
        t = any_view(r, r.choice(DTYPES))
        if old and r.random() < 0.3:
            t = r.choice(old)
            t = r.choice([t, t[1:], t[: t.shape[0] // 2], t.transpose(0, -1)])
        if t.dtype.is_floating_point and r.random() < 0.2 and not isinstance(t, torch.nn.Parameter):
            t = torch.nn.Parameter(t.detach(), requires_grad=r.random() < 0.5)
        sd[name] = t
    key = r.choice(["", "", "state_dict", "model", "params"])
    out.save("random_%d" % i, {**extras(), key: sd} if key else sd, key=key, suffix=r.choice([".bin", ".pt", ".pth"]),
             how={"_use_new_zipfile_serialization": r.random() < 0.6}, **({} if sd else {"verdict": "either", "why": "no tensors"}))


def model(source, target, legacy):
    """source's safetensors file or shards become pytorch_model.bin or its shards."""
    types = {v: k for k, v in NAMES.items()}
    os.makedirs(target, exist_ok=True)
    for n in sorted(os.listdir(source)):
        path = os.path.join(source, n)
        renamed = n.replace("model", "pytorch_model", 1).replace("safetensors", "bin")
        if n.endswith(".safetensors"):
            with open(path, "rb") as f:
                header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
                body = bytearray(f.read())
            sd = collections.OrderedDict()
            for name, x in header.items():
                if name != "__metadata__":
                    a, b = x["data_offsets"]
                    sd[name] = torch.frombuffer(body[a:b], dtype=types[x["dtype"]]).reshape(x["shape"]).clone()
            torch.save(sd, os.path.join(target, renamed), _use_new_zipfile_serialization=not legacy)
        elif n.endswith(".safetensors.index.json"):
            with open(path) as f, open(os.path.join(target, renamed), "w") as g:
                index = json.load(f)
                index["weight_map"] = {k: v.replace("model", "pytorch_model", 1).replace("safetensors", "bin") for k, v in index["weight_map"].items()}
                json.dump(index, g)
        else:
            shutil.copyfile(path, os.path.join(target, n))


def main(args):
    if args[:1] == ["--random"] and len(args) == 4:
        out = Out(args[3])
        for i in range(int(args[1])):
            random_case(random.Random(f"{args[2]}.{i}"), i, out)
        print(out.count)
    elif args[:1] == ["--model"] and len(args) >= 3:
        while args:
            n = 4 if args[3:4] == ["legacy"] else 3
            if args[0] != "--model" or len(args) < n:
                sys.exit(__doc__)
            model(args[1], args[2], n == 4)
            args = args[n:]
    elif len(args) == 1 and not args[0].startswith("-"):
        out = Out(args[0])
        fixtures(out)
        print(out.count)
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
