"""What transformers computes for some prompts, as a recording for `pith verify MODEL --against FILE`.

    python3 tools/record.py path/to/model "A wonderful film." "The capital of France is" >expected.json
"""
import json
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

path, prompts = sys.argv[1], sys.argv[2:]
causal = "CausalLM" in AutoConfig.from_pretrained(path).architectures[0]
auto = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
tokenizer, model, out = AutoTokenizer.from_pretrained(path), auto.from_pretrained(path, torch_dtype=torch.float32).eval(), []
for prompt in prompts:
    x = tokenizer(prompt, return_tensors="pt")
    n, logits = x["input_ids"].shape[1], model(**x).logits[0].detach()
    out.append({"prompt": prompt, "ids": x["input_ids"][0].tolist()})
    if causal:
        out[-1]["top"] = [[int(i), float(v)] for v, i in zip(*logits[-1].topk(32))]
        out[-1]["new_ids"] = model.generate(**x, max_new_tokens=16, do_sample=False, repetition_penalty=1.0)[0, n:].tolist()
    else:
        out[-1].update(logits=logits.tolist(), label=model.config.id2label[int(logits.argmax())])
json.dump({"kind": "pith-recording", "version": 1, "by": "transformers", "prompts": out}, sys.stdout)
