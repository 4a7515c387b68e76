// Makes tests/data/tokenizer/reference_bpe.jsonl as tools/make_tokenizer_golden.js makes its file, for what generators
// use: BPE and Unigram, and the components that go with them. Random small tokenizers, random texts.
//   npm install --prefix DIR @anush008/tokenizers@0.6.0 && NODE_PATH=DIR/node_modules node tools/make_bpe_golden.js
'use strict';
const { Tokenizer } = require('@anush008/tokenizers');
const fs = require('fs');
const path = require('path');
const N_TOKENIZERS = 48, N_TEXTS = 16;

let seed = 20261130;
const rnd = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 4294967296;
const below = n => Math.floor(rnd() * n);
const pick = a => a[below(a.length)];
const maybe = p => rnd() < p;

const LETTERS = [...'abcde ABé博한👍1_.,', '▁'];
const ATOMS = [...LETTERS, 'ab', 'abc', ' a', ' ab', '  ', '   ', '\n', '\r\n', '\t', "'s", "'LL", '12', '345', '½', '٣', '²',
    'e\u0301', 'a\u0323\u0301', '\u1100\u1161\u11a8', 'ﬁ', 'ﷺ', 'Å', 'ſ', 'K', '\u3000', '\u0085', '\u00a0', '<x>', '<unk>', '</s>',
    '<0x41>', '!?', '…', '\u200d', '😀', '한국', 'ǅ', 'ʰ', '\u{10d4a}', '\u180e', 'x', 'z', ' '];
function text() {
    let s = '';
    for (let n = pick([0, 1, 2, 3, 5, 8, 13, 30]); n > 0; n--) s += maybe(0.97) ? pick(ATOMS) : pick(ATOMS).repeat(pick([2, 9, 40]));
    return s;
}
const PATTERNS = ["'s|'t| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", '\\p{N}{1,3}', '(?i:\'s|\'ll)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s*[\\r\\n]+|\\s+',
    '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+', ' {2,}', '[^a-e]+', '(?<=a)b|c$', 'x*', '\\S+', '[^\\S]'];
const pattern = () => maybe(0.7) ? { Regex: pick(PATTERNS) } : { String: pick([' ', 'a', 'ab', '.', '博', '  ']) };
const behavior = () => pick(['Isolated', 'Removed', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
const several = (make, depth) => Array.from({ length: 1 + below(3) }, () => make(depth + 1));

function normalizer(depth = 0) {
    const r = below(11);
    if (r < 4) return { type: ['NFC', 'NFD', 'NFKC', 'NFKD'][r] };
    if (r == 4) return { type: pick(['Lowercase', 'StripAccents']) };
    if (r == 5) return { type: 'Strip', strip_left: maybe(0.5), strip_right: maybe(0.5) };
    if (r == 6) return { type: 'Prepend', prepend: pick(['▁', 'ab', 'é']) };
    if (r < 9 || depth > 1) return { type: 'Replace', pattern: pattern(), content: pick(['▁', '', 'ab', ' ', 'éa']) };
    return { type: 'Sequence', normalizers: several(normalizer, depth) };
}
function preTokenizer(bytes, depth = 0) {
    if (bytes) { // ByteLevel once, and anything before or after it
        const level = { type: 'ByteLevel', add_prefix_space: maybe(0.4), trim_offsets: true, use_regex: maybe(0.5) };
        if (maybe(0.4)) return level;
        const list = [level];
        if (maybe(0.7)) list.unshift(preTokenizer(false, 1));
        if (maybe(0.3)) list.push({ type: 'Split', pattern: { Regex: pick(['[0-9]', 'Ġ', 'a']) }, behavior: behavior(), invert: false });
        return { type: 'Sequence', pretokenizers: list };
    }
    const r = below(9);
    if (r == 0 && depth == 0) return null;
    if (r == 1) return { type: 'Digits', individual_digits: maybe(0.5) };
    if (r == 2) return { type: 'Punctuation', behavior: behavior() };
    if (r == 3) return { type: 'CharDelimiterSplit', delimiter: pick([' ', 'é', '▁']) };
    if (r == 4) return { type: pick(['Whitespace', 'WhitespaceSplit', 'BertPreTokenizer']) };
    if (r == 5 && depth == 0) return { type: 'Sequence', pretokenizers: several(d => preTokenizer(false, d), depth) };
    if (r < 7) return { type: 'Metaspace', replacement: pick(['▁', '▁', '_']), prepend_scheme: pick(['first', 'always', 'never']), split: maybe(0.6) };
    return { type: 'Split', pattern: pattern(), behavior: behavior(), invert: maybe(0.3) };
}

const byteLetters = (() => {
    const out = [];
    let n = 256;
    for (let b = 0; b < 256; b++) {
        const plain = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
        out.push(String.fromCodePoint(plain ? b : n++));
    }
    return out;
})();
const spelled = s => [...Buffer.from(s)].map(b => byteLetters[b]).join('');

function bpe(bytes) {
    const vocab = {}, merges = [];
    const add = s => { if (!(s in vocab)) vocab[s] = Object.keys(vocab).length; };
    const prefix = maybe(0.12) ? '##' : null, suffix = maybe(0.12) ? '</w>' : null;
    const fallback = !bytes && !prefix && !suffix && maybe(0.5);
    ['<unk>', '<s>', '</s>'].forEach(add);
    if (fallback) for (let b = 0; b < 256; b++) add('<0x' + b.toString(16).toUpperCase().padStart(2, '0') + '>');
    const letters = bytes ? byteLetters : LETTERS.filter(() => maybe(0.8));
    const pieces = [];
    for (const l of letters)
        for (const p of prefix ? ['', prefix] : [''])
            for (const s of suffix ? ['', suffix] : ['']) {
                add(p + l + s);
                if (!bytes || maybe(0.3)) pieces.push(p + l + s);
            }
    const common = bytes ? ATOMS.map(spelled) : ATOMS;
    for (let k = 0; k < 500 && merges.length < 60; k++) {
        let a = pick(pieces), b = pick(pieces);
        if (maybe(0.5)) { // a pair that occurs
            const c = [...pick(common)];
            if (c.length > 1) { const i = below(c.length - 1); a = c[i]; b = (prefix ?? '') + c[i + 1] + (suffix && i + 2 == c.length ? suffix : ''); }
        }
        if (!(a in vocab) || !(b in vocab) || (prefix && !b.startsWith(prefix)) || (suffix && a.endsWith(suffix)) || / /.test(a + b)) continue;
        const whole = a + (prefix ? b.slice(prefix.length) : b);
        if ([...whole].length > 9) continue;
        add(whole);
        pieces.push(whole);
        merges.push([a, b]);
    }
    const unk = bytes ? null : '<unk>';
    return { type: 'BPE', dropout: null, unk_token: unk, continuing_subword_prefix: prefix, end_of_word_suffix: suffix,
        fuse_unk: maybe(0.5), byte_fallback: fallback, ignore_merges: maybe(0.3), vocab,
        merges: maybe(0.5) ? merges : merges.map(m => m.join(' ')) };
}
function unigram() {
    const vocab = [['<unk>', 0], ['<s>', 0], ['</s>', 0]], seen = new Set();
    const add = (s, score) => { if (!seen.has(s)) vocab.push([s, score]); seen.add(s); };
    const fallback = maybe(0.5);
    if (fallback) for (let b = 0; b < 256; b++) add('<0x' + b.toString(16).toUpperCase().padStart(2, '0') + '>', -5);
    for (const l of LETTERS) if (maybe(0.7)) add(l, -2 - below(64) / 8);
    for (let k = 0; k < 50; k++) add((maybe(0.3) ? '▁' : '') + Array.from({ length: 1 + below(4) }, () => pick(LETTERS)).join(''), -1 - below(80) / 8);
    return { type: 'Unigram', unk_id: 0, vocab, byte_fallback: fallback };
}
function addedTokens() {
    const out = new Map();
    for (let i = below(6); i > 0; i--) {
        const content = pick(['<x>', '</s>', '<unk>', '<s>', 'abc', ' a', '12', '▁▁', 'É']);
        out.set(content, { id: 0, content, single_word: maybe(0.2), lstrip: maybe(0.3), rstrip: maybe(0.3),
            normalized: maybe(0.4), special: maybe(0.5) });
    }
    return [...out.values()];
}
// Trimming looks at what a token stands for, which is another thing than its piece where that is unknown.
function postProcessor(bytes) {
    const r = bytes ? below(6) : pick([0, 2]), level = () => ({ type: 'ByteLevel', add_prefix_space: maybe(0.5), trim_offsets: maybe(0.6), use_regex: true });
    const template = { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '<s>', type_id: 1 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } } };
    if (r == 0) return null;
    if (r == 1) return { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 1], trim_offsets: maybe(0.5), add_prefix_space: maybe(0.5) };
    if (r == 2) return template;
    if (r == 3) return { type: 'Sequence', processors: [level(), template] };
    return level();
}
function decoder(bytes, depth = 0) {
    const r = bytes && depth == 0 ? below(3) : below(9);
    if (bytes && depth == 0 && r < 2) return { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
    if (r == 0 && depth == 0) return null;
    if (r == 1) return { type: 'BPEDecoder', suffix: pick(['</w>', '▁']) };
    if (r == 2) return { type: 'Metaspace', replacement: '▁', prepend_scheme: pick(['first', 'always', 'never']), split: true };
    if (r == 3) return { type: 'ByteFallback' };
    if (r == 4) return { type: 'Fuse' };
    if (r == 5) return { type: 'Strip', content: pick([' ', 'a']), start: below(3), stop: 0 };
    if (r == 6) return { type: 'WordPiece', prefix: '##', cleanup: maybe(0.5) };
    if (depth > 0) return { type: 'Replace', pattern: pattern(), content: pick(['', ' ', 'ab']) };
    return maybe(0.4) ? { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' },
        { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] } : { type: 'Sequence', decoders: several(d => decoder(bytes, d), depth) };
}
function configuration() {
    const bytes = maybe(0.4), model = bytes || maybe(0.6) ? bpe(bytes) : unigram();
    return { version: '1.0', truncation: null, padding: null, added_tokens: addedTokens(), normalizer: maybe(0.35) ? null : bytes ? { type: pick(['NFC', 'NFD', 'NFKC', 'Lowercase']) } : normalizer(),
        pre_tokenizer: preTokenizer(bytes), post_processor: postProcessor(bytes), decoder: decoder(bytes), model };
}

// Byte position of each character: the binding gives offsets in characters.
function bytePositions(s) {
    const at = [0];
    for (const c of s ?? '') at.push(at[at.length - 1] + Buffer.byteLength(c));
    return at;
}
async function run(tokenizer, a, b, max, plain) {
    if (max) tokenizer.setTruncation(max, {}); else tokenizer.disableTruncation();
    const e = await tokenizer.encode(a, b === null ? undefined : b, { addSpecialTokens: !plain });
    const special = e.getSpecialTokensMask(), which = e.getSequenceIds(), at = [bytePositions(a), bytePositions(b)];
    const offsets = e.getOffsets().map((o, i) => special[i] ? [0, 0] : o.map(x => at[which[i]][x]));
    const ids = e.getIds();
    return { a, b, max, plain, ids, types: e.getTypeIds(), special, offsets, decoded: await tokenizer.decode(ids, false),
        decoded_skip: await tokenizer.decode(ids, true) };
}
async function reference() {
    const lines = [];
    while (lines.length < N_TOKENIZERS) {
        const json = JSON.stringify(configuration()), cases = [];
        try {
            const tokenizer = Tokenizer.fromString(json);
            for (let k = 0; k < N_TEXTS; k++)
                cases.push(await run(tokenizer, text(), maybe(0.2) ? text() : null, maybe(0.2) ? 13 + below(20) : 0, maybe(0.3)));
        } catch (e) {
            process.stderr.write(`left out: ${e.message}\n`);
            continue;
        }
        lines.push(JSON.stringify({ tokenizer: json, cases }));
    }
    fs.writeFileSync(path.join(__dirname, '..', 'tests', 'data', 'tokenizer', 'reference_bpe.jsonl'), lines.join('\n') + '\n');
}
reference();
