#!/usr/bin/env python3
"""Finds raw arithmetic on numbers that were read from a file.

The convention it reads by: where strangers' bytes are parsed, a uint64_t is a number from the file, and a size_t is the size
of something that lies in memory. So every +, * and << (also as += *= <<=) that has a uint64_t in it (a variable, a field, an
element, what a function returns; also behind a cast) is a violation, unless it goes through base/checked.h.
Exceptions stand in a list, "file:function:name  reason"; one that nothing needs any more is a violation too.
usage: arithmetic.py ALLOWED FILE...    prints violations, one a line"""
import os
import re
import sys

TOKEN = re.compile(
    r'\s+|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*'
    r'|->|<<=|>>=|\.\.\.|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|##|.', re.S)
WORD = re.compile(r"[A-Za-z_]\w*$")
NUMBER = "uint64_t"
OPERATORS = {"*", "+", "<<", "*=", "+=", "<<="}
KEYWORDS = {"return", "sizeof", "case", "else", "do", "if", "while", "for", "switch"}
TYPES = {"size_t", "uint64_t", "uint32_t", "uint16_t", "uint8_t", "int64_t", "int32_t", "uintptr_t", "ptrdiff_t", "off_t",
         "ssize_t", "unsigned", "int", "long", "char", "double", "float", "void", "const"}
CLOSER = {"(": ")", "[": "]", "{": "}"}
OPENER = {v: k for k, v in CLOSER.items()}


def tokens(path):
    out, line = [], 1
    with open(path, encoding="utf-8") as f:
        for m in TOKEN.finditer(f.read()):
            t = m.group()
            if not t.isspace() and not t.startswith(("//", "/*")):
                out.append((t, line))
            line += t.count("\n")
    return out


def pair(toks, i, step):
    """Index of the bracket that belongs to the one at i."""
    mine, other, depth = toks[i][0], (CLOSER if step > 0 else OPENER)[toks[i][0]], 0
    while True:
        depth += (toks[i][0] == mine) - (toks[i][0] == other)
        if not depth:
            return i
        i += step


def declared(toks):
    """Names declared with the type: {name: how often it must be subscripted to be a number, where several
    structs have it: each way}, {functions}."""
    names, functions = {}, set()
    for i, (t, _) in enumerate(toks):
        if t != NUMBER:
            continue
        j = i + 1
        while j < len(toks):
            depth = 0
            while toks[j][0] in ("*", "const", "restrict"):
                depth += toks[j][0] == "*"
                j += 1
            name, k = toks[j][0], j + 1
            if not WORD.match(name):
                break
            if toks[k][0] == "(":
                if not depth:
                    functions.add(name)
                break
            while toks[k][0] == "[":
                depth += 1
                k = pair(toks, k, 1) + 1
            names.setdefault(name, set()).add(depth)
            if toks[k][0] == "=":
                nested = 0
                while nested or toks[k][0] not in (",", ";", ")"):
                    nested += (toks[k][0] in CLOSER) - (toks[k][0] in OPENER)
                    k += 1
            # another declarator, and not the next parameter, which begins with a type of its own
            if toks[k][0] != "," or toks[k + 1][0] in TYPES or (WORD.match(toks[k + 1][0]) and (WORD.match(toks[k + 2][0]) or toks[k + 2][0] == "*")):
                break
            j = k + 1
    return names, functions


def headers(path, seen):
    if path in seen:
        return seen
    seen.append(path)
    with open(path, encoding="utf-8") as f:
        for name in re.findall(r'#\s*include "([^"]+)"', f.read()):
            for root in ("src/", ""):
                if os.path.exists(root + name):
                    headers(root + name, seen)
                    break
    return seen


def blocks(toks):
    """Outermost { }: (where its head begins, its brace, its end)."""
    i = head = 0
    while i < len(toks):
        if toks[i][0] == "{":
            end = pair(toks, i, 1)
            yield head, i, end
            i = head = end
        elif toks[i][0] in (";", "}"):
            head = i + 1
        i += 1


def is_cast(toks, i):
    """Is the ( at i the beginning of a cast to a number?"""
    inside = [t for t, _ in toks[i + 1:pair(toks, i, 1)]]
    return bool(inside) and all(t in TYPES or t == "*" for t in inside)


def is_unary(toks, i):
    t = toks[i - 1][0]
    if WORD.match(t):
        return t in KEYWORDS or t in TYPES
    if t == ")":
        open_ = pair(toks, i - 1, -1)
        return is_cast(toks, open_) or toks[open_ - 1][0] in KEYWORDS - {"sizeof"}
    return not (t == "]" or t[0].isdigit() or t[0] in "\"'" or t in ("++", "--"))


def operand_before(toks, i):
    j, depth = i - 1, 0
    if toks[j][0] in ("++", "--"):
        j -= 1
    while toks[j][0] == "]":
        j, depth = pair(toks, j, -1) - 1, depth + 1
    if toks[j][0] == ")":
        j = pair(toks, j, -1) - 1
        if WORD.match(toks[j][0]) and toks[j][0] not in KEYWORDS:
            return toks[j][0], "call", 0
        return None
    if not WORD.match(toks[j][0]):
        return None
    kind, name = ("field" if toks[j - 1][0] in (".", "->") else "variable"), toks[j][0]
    if toks[j - 1][0] == "*" and is_unary(toks, j - 1):
        depth += 1
    return name, kind, depth


def operand_after(toks, i):
    j, depth = i + 1, 0
    while True:
        t = toks[j][0]
        if t == "(":
            if not is_cast(toks, j):
                return None
            if {"double", "float"} & {x for x, _ in toks[j:pair(toks, j, 1)]}:
                return None
            j = pair(toks, j, 1) + 1
        elif t in ("*", "&", "-", "~", "!", "++", "--"):
            depth += (t == "*") - (t == "&")
            j += 1
        else:
            break
    if not WORD.match(toks[j][0]) or toks[j][0] == "sizeof":
        return None
    name, kind, k = toks[j][0], "variable", j + 1
    while True:
        t = toks[k][0]
        if t == "[":
            depth, k = depth + 1, pair(toks, k, 1) + 1
        elif t in (".", "->"):
            name, kind, depth, k = toks[k + 1][0], "field", 0, k + 2
        elif t == "(":
            return name, "call", 0
        else:
            return name, kind, depth


def check(path):
    fields, functions, toks = {}, set(), tokens(path)
    for seen in headers(path, []):
        other = tokens(seen)
        for head, brace, end in blocks(other):
            if ")" not in [t for t, _ in other[head:brace]]:
                for name, depths in declared(other[brace:end])[0].items():
                    fields.setdefault(name, set()).update(depths)
        functions |= declared(other)[1]
    for head, brace, end in blocks(toks):
        words = [t for t, _ in toks[head:brace]]
        if ")" not in words:
            continue
        last = brace - 1
        function = toks[pair(toks, last, -1) - 1][0] if toks[last][0] == ")" else "?"
        local = declared(toks[head:end + 1])[0]
        known = {"field": fields, "variable": local}
        for i in range(brace, end):
            op = toks[i][0]
            if op not in OPERATORS or is_unary(toks, i):
                continue
            for found in (operand_before(toks, i), operand_after(toks, i)):
                if found and (found[0] in functions if found[1] == "call" else found[2] in known[found[1]].get(found[0], ())):
                    yield toks[i][1], function, found[0], op


def main():
    allowed, used = {}, set()
    with open(sys.argv[1], encoding="utf-8") as f:
        for number, text in enumerate(f, 1):
            if text.strip() and not text.startswith("#"):
                key, _, reason = text.strip().partition(" ")
                if not reason.strip():
                    print(f"{sys.argv[1]}:{number}: {key} has no reason")
                allowed[key] = number
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        for line, function, name, op in check(path):
            key = f"{path}:{function}:{name}"
            used.add(key)
            if key not in allowed:
                print(f"{key}  line {line}, {op}: {lines[line - 1].strip()[:120]}")
    for key in sorted(set(allowed) - used):
        print(f"{sys.argv[1]}:{allowed[key]}: {key} is allowed, and is not there any more")


main()
