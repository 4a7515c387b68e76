"""Classifies a text and reads weights into numpy, through the C library alone (ctypes, nothing to build).

    python3 pith_numpy.py path/to/model "A wonderful film."
    python3 pith_numpy.py path/to/model --tensor classifier.weight
"""
import ctypes as c
import ctypes.util
import os
import sys


class Err(c.Structure):
    _fields_ = [("msg", c.c_char * 1024)]


class Text(c.Structure):
    _fields_ = [("text", c.c_char_p), ("len", c.c_size_t), ("pair", c.c_char_p), ("pair_len", c.c_size_t)]


class Result(c.Structure):
    _fields_ = [("scores", c.POINTER(c.c_float)), ("logits", c.POINTER(c.c_float)), ("label", c.c_int), ("n_tokens", c.c_size_t),
                ("n_full", c.c_size_t), ("n_windows", c.c_size_t), ("truncated", c.c_int), ("n_replaced", c.c_size_t)]


class Tensor(c.Structure):
    _fields_ = [("name", c.c_char_p), ("dtype", c.c_char_p), ("shape", c.POINTER(c.c_uint64)), ("rank", c.c_size_t), ("nbytes", c.c_uint64),
                ("offset", c.c_uint64), ("file", c.c_size_t), ("index", c.c_size_t), ("data", c.c_void_p)]


P, E = c.c_void_p, c.POINTER(Err)
FUNCTIONS = {  # name: result, arguments
    "pith_model_open": (P, [c.c_char_p, P, E]), "pith_model_close": (None, [P]), "pith_session_new": (P, [P, E]),
    "pith_session_free": (None, [P]), "pith_model_n_labels": (c.c_size_t, [P]), "pith_model_label": (c.c_char_p, [P, c.c_size_t]),
    "pith_classify": (c.c_int, [P, c.POINTER(Text), c.c_size_t, P, c.POINTER(Result), E]),
    "pith_weights_open": (P, [c.c_char_p, P, E]), "pith_weights_close": (None, [P]),
    "pith_weights_find": (c.c_int, [P, c.c_char_p, c.POINTER(Tensor)]),
    "pith_weights_read_f32": (c.c_int, [P, c.c_size_t, c.c_uint64, c.c_size_t, P, E]),
}
pith = c.CDLL(os.environ.get("PITH_LIBRARY") or ctypes.util.find_library("pith") or "libpith.so.0")
for name, (result, arguments) in FUNCTIONS.items():
    getattr(pith, name).restype, getattr(pith, name).argtypes = result, arguments


def classify(model, text):
    """{label: score} of one text."""
    e, raw = Err(), text.encode()
    m = pith.pith_model_open(os.fsencode(model), None, e)
    s = m and pith.pith_session_new(m, e)
    try:
        n = pith.pith_model_n_labels(m) if m else 0
        scores, logits = (c.c_float * n)(), (c.c_float * n)()
        r = Result(scores=scores, logits=logits)
        if not s or pith.pith_classify(s, Text(raw, len(raw)), 1, None, r, e):
            raise RuntimeError(e.msg.decode())
        return {pith.pith_model_label(m, i).decode(): scores[i] for i in range(n)}
    finally:
        pith.pith_session_free(s)
        pith.pith_model_close(m)


def tensor(path, name):
    """A tensor of a file or a directory, as a float32 array."""
    import numpy
    e, t = Err(), Tensor()
    w = pith.pith_weights_open(os.fsencode(path), None, e)
    try:
        if not w:
            raise RuntimeError(e.msg.decode())
        if pith.pith_weights_find(w, name.encode(), t):
            raise KeyError(name)
        x = numpy.empty([t.shape[i] for i in range(t.rank)], numpy.float32)
        if pith.pith_weights_read_f32(w, t.index, 0, x.size, x.ctypes.data, e):
            raise RuntimeError(e.msg.decode())
        return x
    finally:
        pith.pith_weights_close(w)


if __name__ == "__main__":
    if sys.argv[2:3] == ["--tensor"]:
        x = tensor(sys.argv[1], sys.argv[3])
        print(x.shape, x.min(), x.max())
    else:
        for label, score in classify(sys.argv[1], sys.argv[2]).items():
            print(label, "%.4f" % score)
