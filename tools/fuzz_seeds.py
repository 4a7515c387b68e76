#!/usr/bin/env python3
"""Writes the first inputs of a fuzzer, made here or taken from tests/, before any fuzzing.
usage: fuzz_seeds.py NAME DIRECTORY (from the source tree's root)"""
import glob
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

CUT = b"\xfe"
count = 0


def put(data):
    global count
    if isinstance(data, str):
        data = data.encode()
    with open(f"{OUT}/seed-{count:04}", "wb") as f:
        f.write(data)
    count += 1


def read(path):
    with open(path, "rb") as f:
        return f.read()


def generated(script):
    """What a corpus generator of tests/ writes."""
    folder = tempfile.mkdtemp()
    subprocess.run([sys.executable, f"tests/corpora/{script}", folder], check=True, stdout=subprocess.DEVNULL)
    paths = [p for p in sorted(glob.glob(folder + "/**", recursive=True)) if os.path.isfile(p) and os.path.getsize(p) <= 8000]
    return paths


def header(entries):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def safetensors():
    for path in generated("gen_safetensors_bad.py"):
        if path.endswith(".safetensors"):
            put(read(path))
    types = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
             "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}
    at, entries = 0, {"__metadata__": {"format": "pt", "é": "\\"}}
    for t, bits in types.items():
        entries[t] = {"dtype": t, "shape": [4], "data_offsets": [at, at + bits // 2]}
        at += bits // 2
    put(header(entries) + bytes(at))


def index():
    put('{"metadata":{"total_size":2},"weight_map":{"a":"x","b":"y"}}')
    put('{"weight_map":{"a":"x","b":"x"}}')
    put('{"metadata":{"total_size":-1e300},"weight_map":{"a":"x","b":"../y","c":"/etc","d":"z"}}')


def models():
    """Configs of the small models; the byte in front is the number of their weights in fuzz_config.c."""
    names = re.findall(r'"([\w.-]+)"', re.search(r"models\[\] = \{(.*?)\}", read("tests/fuzz_config.c").decode()).group(1))
    kinds = {}
    for path in sorted(glob.glob("tests/golden/models/*/config*.json")):
        d = json.loads(read(path))
        here = path.split("/")[3]
        same = [i for i, n in enumerate(names) if n == here] or [i for i, n in enumerate(names) if n.split("-")[0] == d["model_type"].split("-")[0]] or [5]
        kinds[path] = (same[0], json.dumps(d, separators=(",", ":")))
    return kinds


def config():
    for number, text in models().values():
        put(bytes([number]) + text.encode())


def settings():
    for path in sorted(glob.glob("tests/golden/models/*/generation_config.json") + glob.glob("models/bundled/*/generation_config.json")):
        put(b"\0" + read(path) + CUT + read(os.path.dirname(path) + "/config.json"))
    put(b'\0{"do_sample":true,"temperature":0.7,"top_k":5,"top_p":0.9,"min_p":0.1,"typical_p":0.9,"repetition_penalty":1.1,"max_new_tokens":9,"eos_token_id":[1,2],"bos_token_id":1,"num_beams":4,"stop_strings":["a"]}')
    modules = '[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}%s]'
    last = ',{"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}'
    rest = ['{"word_embedding_dimension":64,"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false,"include_prompt":true}', '{"embedding_dimension":64,"pooling_mode":"max"}',
            '{"pooling_mode":["mean"],"pooling_mode_lasttoken":true}']
    for i, r in enumerate(rest):
        put(b"\1" + CUT.join(x.encode() for x in [modules % ("" if i else last), r, '{"max_seq_length":100,"do_lower_case":false}', '{"prompts":{"q":"query: "},"default_prompt_name":"q"}']))


def strings(path):
    """The string constants of a C test, joined as the compiler joins them."""
    text = read(path).decode()
    for m in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', text):
        joined = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', m.group(0)))
        try:
            yield joined.encode().decode("unicode_escape").encode("latin-1", "ignore")
        except UnicodeDecodeError:
            pass


def tokenizers():
    for path in ("tests/data/tokenizer/reference.jsonl", "tests/data/tokenizer/reference_bpe.jsonl"):
        for line in read(path).splitlines():
            yield json.loads(line)["tokenizer"].encode()


def tokenizer():
    for text in tokenizers():
        if len(text) < 6000:
            put(text)
    for s in list(strings("tests/test_tokenizer_files.c")) + list(strings("tests/fuzz_text.c")):
        if s.startswith(b"{") and len(s) > 20:
            put(s)


def text():
    texts = ["some text [SEP] café", "a<x> b   cd\n\n", "ab abab  \u00e9\u0301 \u535a\u5ba2 \U0001f600", "it's we'll 123 4567\r\n x", "\u2581a \u2581", "", " ", "\ufb01\u212b\u1e9b\u0323 \uac00\u1100\u1161", "abcabcabc ab.e"]
    for k in range(10):
        for i, t in enumerate(texts):
            if (i + k) % 3 == 0:
                put(bytes([k, 0xa5 * i & 255]) + t.encode() + (CUT + b"second ab" if i % 2 else b""))
        put(bytes([k, 0]) + b"bad \xff\xc3 utf\xe2\x82 8")


def piece(s, score, kind):
    s = s.encode()
    m = b"\x0a" + bytes([len(s)]) + s + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind])
    return b"\x0a" + bytes([len(m)]) + m


def spm():
    m = "\u2581"
    pieces = b"".join(piece(*p) for p in [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("<0xC3>", 0, 6), ("<0xA9>", 0, 6), (m, -5, 1), ("a", -6, 1), ("b", -7, 1), ("ab", -1, 1), (m + "a", -2, 1), ("<user>", 0, 4)])
    for kind in (1, 2):
        trainer = b"\x12\x02\x18" + bytes([kind])
        put(pieces + trainer)
        put(CUT + b'{"tokenizer_class":"LlamaTokenizer","legacy":false,"add_bos_token":true,"add_eos_token":true,"bos_token":{"content":"<s>"},"added_tokens_decoder":{"11":{"content":"<x>","special":true}}}' + CUT + pieces + trainer)
    full = b"".join(piece(f"<0x{i:02X}>", 0, 6) for i in range(256))
    put(pieces + full + b"\x12\x02\x18\x01")


def vocab():
    put(b"\0" + CUT.join([b'{"tokenizer_class":"BertTokenizer","do_lower_case":true}', b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nab\n", b'{"unk_token":"[UNK]"}', b'{"<new>":8}']))
    put(b"\0" + CUT + b"[UNK]\r\n[SEP]\r\na\r\n")
    put(b"\1" + CUT.join([b'{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true}', '{"a":0,"b":1,"ab":2,"\u0120":3,"\u0120a":4,"<|endoftext|>":5}'.encode(), "#version: 0.2\na b\n\u0120 a\n".encode()]))
    put(b"\1" + CUT.join([b'{"tokenizer_class":"Qwen2TokenizerFast","added_tokens_decoder":{"7":{"content":"<|im_start|>","special":true}}}', b'{"a":0,"b":1,"ab":2}', b"a b\r\n"]))


def jinja_sources():
    d = json.loads(read("tests/data/jinja_cases.json"))
    for v in d.values():
        for case in v if isinstance(v, list) else []:
            for s in case if isinstance(case, list) else case.values() if isinstance(case, dict) else []:
                if isinstance(s, str) and ("{{" in s or "{%" in s):
                    yield s


def jinja():
    put("\1{% for m in messages %}{{ m.role | upper }}{% endfor %}")
    for i, s in enumerate(sorted(set(jinja_sources()))):
        put(bytes([i & 3]) + s.encode())


def chat():
    template = "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    put(json.dumps({"chat_template": template, "bos_token": "<s>", "eos_token": {"content": "</s>"}}))
    put(json.dumps({"chat_template": [{"name": "default", "template": template}, {"name": "tool_use", "template": "{{ tools | tojson }}{{ x }}"}]}).encode() + CUT + CUT + b'{"eos_token":"</s>"}' + CUT
        + b'[{"role":"user","content":"hi"}]' + CUT + b'[{"type":"function","function":{"name":"f","parameters":{}}}]' + CUT + b'{"x":12345678901234567890}')
    put(b"{}" + CUT + template.encode() + CUT + CUT + b'[{"role":"a<b","content":"1"},{"role":"tool","content":[{"type":"text","text":"x"}]}]')
    put(CUT + b"{{ raise_exception('no') }}{{ strftime_now('%Y') }}")


def checkpoints(alone):
    """torch: as it is, with checksums put right, its pickle in a new zip and in a legacy stream; or the pickle alone."""
    for path in generated("gen_bad_bin.py") + sorted(glob.glob("tests/golden/torch/*.bin")):
        if not path.endswith(".bin") or os.path.getsize(path) > 4000:
            continue
        if not alone:
            put(b"\0" + read(path))
        if zipfile.is_zipfile(path):
            try:
                with zipfile.ZipFile(path) as z:
                    body = z.read(next(n for n in z.namelist() if n.endswith("data.pkl")))
            except Exception:
                continue
            for kind in (1,) if alone else (2, 3):
                put(bytes([kind]) + body)
            if not alone:
                put(b"\1" + read(path))


def torch():
    checkpoints(False)


def pickle():
    checkpoints(True)


def csv():
    for t in ["text,label\na,1\n", 'a,"b ""c""\r\nd",e\r\n\r\n1,2,3', '\ufeffx,y\n"",\n', '"open', "a\tb\n\tc\n", '"a"b,c\n']:
        for how in (0, 1, 6):
            put(bytes([how]) + t.encode())


def rows():
    put(b"\0one\ntwo\r\n\nthree")
    put(b'\x0d{"text":"a \\u00e9\\ud83d\\ude00","pair":"b","label":1}\n\n{"text":7}\n{"label":"x","text":"y","pair":null}\n[1]\nbad\n')
    put(b'\x0etext,pair,label\n"a ""b""",c,1\nshort\n"x\ny",z,"w"\n')
    put(b"\x0ftext\tpair\tlabel\na\tb\t1\n")
    put(b"\x12a,b\nc,d\n")
    put(b"\x01\xef\xbb\xbf{\"text\":\"bom\"}\n")


def json_():
    for s in ["{}", "[1,2.5,-3e2,true,false,null,\"a\\u00e9\\n\\ud83d\\ude00\"]", '{"a":{"b":[{}]},"a":"twice","\\u0061":1}', "[1,2,3]", " 1 ", '"x"', "[" * 40 + "]" * 40, "[0.1,1e308,1e-320,123456789012345678]"]:
        put(s)
    for number, t in list(models().values())[:3]:
        put(t)


def head():
    for how in range(16):
        put(bytes([how]) + b"/v1/chat%20x?a=b" + CUT + b"Host: a\r\nContent-Length: 12\r\nAccept: */*\r\n")
    put(b"\1*" + CUT + b"Host:a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n")
    put(b"\1http://h/%2e%2e/" + CUT + b"Host:a\r\nTransfer-Encoding: gzip\r\nContent-Length: 99999999999999999999\r\n folded\r\n")
    put(b"\0/" + CUT + b"\r\n\r\nHost: a\r\n\r\n")


def manifest():
    put(json.dumps({"kind": "pith-manifest", "version": 1, "block": 65536, "files": [{"name": "config.json", "bytes": 601, "sha256": "0123456789abcdef" * 4}],
                    "tensors": [{"name": "a.weight", "dtype": "F32", "shape": [2, 3], "xxh3": "0123456789abcdef"}, {"name": "b", "dtype": "F32", "shape": [20000], "xxh3": "0123456789abcdef", "blocks": "0123456789abcdef" * 2}]}))


def recording():
    put(json.dumps({"kind": "pith-recording", "version": 1, "by": "pith 0.1.0", "model_type": "llama", "prompts": [
        {"prompt": "a", "ids": [1, 2], "logits": [0.5, -1e-30, 3.4e38], "label": "x", "hash": "0123456789abcdef"},
        {"ids": [3], "logits": {"7": 1.5, "3": 0.25}, "new_ids": [4, 5], "text": "\u00e9"}, {"ids": [0], "hidden": [1, 2]}]}))
    put('{"kind":"other"}')
    for s in strings("tests/cli_verify.bats"):
        if b"ids" in s and s.startswith(b"{"):
            put(b'{"kind":"pith-recording","prompts":[' + s + b"]}")


def api():
    chat = {"model": "writer", "messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "max_completion_tokens": 5, "temperature": 0.5, "n": 2,
            "logprobs": True, "top_logprobs": 2, "stop": ["x", "y"], "seed": 7, "logit_bias": {"5": -100}, "chat_template_kwargs": {"think": "no"}, "user": "u", "stream_options": None}
    bodies = [[chat, dict(chat, stream=True, stream_options={"include_usage": True})],
              [{"prompt": "one", "echo": True, "max_tokens": 3, "logprobs": 2}, {"prompt": ["a", "b"], "n": 2, "stream": True}, {"prompt": [5, 6, 7], "best_of": 1}, {"prompt": [[5], [6, 7]], "stop": "z", "top_k": 3, "min_p": 0.1}],
              [{"inputs": "a film"}, {"inputs": ["a", "b"], "raw_scores": True}, {"inputs": [["a", "b"], ["c"]], "truncate": True, "truncation_direction": "Right"}],
              [{"inputs": "a film", "label": "1"}, {"inputs": "dull", "truncate": True}],
              [{"inputs": ["a", "b"], "normalize": False, "dimensions": 8}, {"inputs": [[5, 6]]}],
              [{"query": "q", "texts": ["a", "b"], "return_text": True, "raw_scores": True}],
              [{"inputs": ["a b", "c"], "add_special_tokens": False}],
              [{"ids": [5, 6, 7], "skip_special_tokens": False}, {"ids": [[1, 2], [3]]}],
              [{"input": ["a", "b"], "model": "classifier"}],
              [{"input": "a", "encoding_format": "base64"}, {"input": [[5, 6]], "dimensions": 4}]]
    for route, list_ in enumerate(bodies):
        for b in list_:
            for how in (0, 1, 2, 3, 4):
                put(bytes([route, how]) + json.dumps(b, separators=(",", ":")).encode())
    for route in range(10, 16):
        put(bytes([route, 0]))


if len(sys.argv) != 3:
    sys.exit(__doc__)
OUT = sys.argv[2]
os.makedirs(OUT, exist_ok=True)
globals()["json_" if sys.argv[1] == "json" else sys.argv[1]]()
