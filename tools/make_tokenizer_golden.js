// Makes tests/data/tokenizer/reference.jsonl and tests/data/unicode/word.ranges.txt by asking huggingface/tokenizers
// 0.22.2, through the npm package @anush008/tokenizers 0.6.0 (its native binding):
//   npm install --prefix DIR @anush008/tokenizers@0.6.0 && NODE_PATH=DIR/node_modules node tools/make_tokenizer_golden.js
// Each line of reference.jsonl is a small random tokenizer.json, as a string, and what it does with 24 random texts or
// pairs: ids, type ids, special mask, byte offsets, and both decodings. Texts are drawn from what is hard: marks in
// wrong order, CJK, characters whose length changes, added tokens side by side. Same seed, same file.
'use strict';
const { Tokenizer, whitespacePreTokenizer } = require('@anush008/tokenizers');
const fs = require('fs');
const path = require('path');
const data = path.join(__dirname, '..', 'tests', 'data');
const N_TOKENIZERS = 48, N_TEXTS = 24;

let seed = 20261123;
const rnd = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 4294967296;
const below = n => Math.floor(rnd() * n);
const pick = a => a[below(a.length)];
const maybe = p => rnd() < p;

const ATOMS = [...'abcdeABC éÉüß.,!?\'-_#$[]()0129', ' ', '  ', '\t', '\n', '\r', '\u0001', '\u00a0', '\u3000', '\u200b',
    '\u200d', '\u00ad', '\ufeff', '\ufffd', '\u0301', '\u0323', '\u0316', '\u0345', '\u0334', '\u0338', '\u0344',
    '\u0f73', '\u0f71', '\u0f72', '\u302e', '\u302f', '\u0e38', '\u0e48', '博', '推', '㐀', '\uf900', '\u{2b920}',
    '\u{2b820}', '\u{2f800}', '한', '국', 'ㅎ', 'İ', 'ı', 'Σ', 'ς', 'ẞ', 'Ǆ', 'ǅ', 'ﬁ', '\u2126', '\u212b', '\u0958',
    '\u0915\u093c', '\u0e31', '\u{1d15e}', '\u{1d165}', '\u{1d16d}', '\u{16ff0}', '\u{11938}', '\u{1e900}', '\u{10400}',
    '😀', '👩🏽', '\u{e0020}', '\u{f0000}', '\u0085', '\u000b', '\u2028', '»', '·', '¿', '‿', '٣', '²', '½', '[CLS]',
    '[SEP]', '[sep]', '[UNK]', '<x>', 'foo', 'Foo', 'ing', '##', '##ing', 'tok', '\u0aff', '\u08d4', '\u1dfb', 'ÀÁ',
    'a\u0300\u0301'];
function text() {
    let s = '';
    for (let n = pick([0, 1, 2, 3, 5, 8, 13, 30]); n > 0; n--) {
        const r = rnd();
        if (r < 0.87) s += pick(ATOMS);
        else if (r < 0.97) {
            let c;
            do c = 1 + below(0x2ffff); while (c >= 0xd800 && c < 0xe000);
            s += String.fromCodePoint(c);
        } else s += pick(ATOMS).repeat(pick([2, 20, 110]));
    }
    return s;
}

function normalizer(depth = 0) {
    const r = below(8);
    if (r < 4) return { type: 'BertNormalizer', clean_text: maybe(0.6), handle_chinese_chars: maybe(0.6),
        strip_accents: pick([null, true, false]), lowercase: maybe(0.5) };
    if (r < 7 || depth > 2) return { type: ['Lowercase', 'NFD', 'StripAccents'][r % 3] };
    return { type: 'Sequence', normalizers: Array.from({ length: 1 + below(3) }, () => normalizer(depth + 1)) };
}
function preTokenizer(depth = 0) {
    const r = below(6);
    if (r < 4 || depth > 1) return { type: ['BertPreTokenizer', 'BertPreTokenizer', 'Whitespace', 'WhitespaceSplit'][r % 4] };
    if (r == 4 && depth == 0) return null;
    return { type: 'Sequence', pretokenizers: Array.from({ length: 1 + below(3) }, () => preTokenizer(depth + 1)) };
}
function vocabulary(prefix) {
    const vocab = {};
    let id = 0;
    const add = s => { if (!(s in vocab)) vocab[s] = id++; };
    ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].forEach(add);
    for (const s of ATOMS) if (s.trim() && s != '[sep]' && maybe(0.7)) { add(s); if (maybe(0.5)) add(prefix + s); }
    for (let i = 0; i < 40; i++) {
        let s = '';
        for (let k = 1 + below(4); k > 0; k--) s += pick([...'abcdeABCéü#019', 'ing', '博', '한']);
        add(maybe(0.5) ? s : prefix + s);
    }
    return vocab;
}
function addedTokens() {
    const names = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '<x>', 'foo', 'Foo', 'a', 'b c', 'é', '[s', '[sep]', 'ng',
        '.', '博', 'ab', 'ABC', '..'];
    const out = new Map();
    for (let i = below(10); i > 0; i--) {
        const content = pick(names);
        out.set(content, { id: 0, content, single_word: maybe(0.3), lstrip: maybe(0.3), rstrip: maybe(0.3),
            normalized: maybe(0.4), special: maybe(0.5) });
    }
    return [...out.values()];
}
function postProcessor() {
    const r = below(5), special = () => ({ SpecialToken: { id: pick(['[CLS]', 'X']), type_id: below(3) } });
    const sequence = id => ({ Sequence: { id, type_id: below(3) } });
    const some = n => Array.from({ length: below(n) }, special);
    if (r == 0) return null;
    if (r == 1) return { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] };
    if (r == 2) return { type: 'RobertaProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2], trim_offsets: false,
        add_prefix_space: true };
    return { type: 'TemplateProcessing', single: [...some(3), sequence('A'), ...some(3)],
        pair: [...some(2), sequence('A'), ...some(3), sequence('B'), ...some(2)],
        special_tokens: { '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
            X: { id: 'X', ids: [3, 4, 2], tokens: ['a', 'b', 'c'] } } };
}
function decoder(prefix) {
    const wordPiece = () => ({ type: 'WordPiece', prefix: pick([prefix, '##']), cleanup: maybe(0.5) });
    return pick([null, wordPiece(), wordPiece(), { type: 'Sequence', decoders: [wordPiece(), wordPiece()] }]);
}
function configuration() {
    const prefix = pick(['##', '##', '##', '', '_']), vocab = vocabulary(prefix);
    const model = maybe(0.2) ? { type: 'WordLevel', vocab, unk_token: '[UNK]' } : { type: 'WordPiece', unk_token: '[UNK]',
        continuing_subword_prefix: prefix, max_input_chars_per_word: pick([100, 100, 5, 12]), vocab };
    return { version: '1.0', truncation: null, padding: null, added_tokens: addedTokens(),
        normalizer: maybe(0.1) ? null : normalizer(), pre_tokenizer: preTokenizer(), post_processor: postProcessor(),
        decoder: decoder(prefix), model };
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
    for (let i = 0; i < N_TOKENIZERS; i++) {
        const json = JSON.stringify(configuration()), tokenizer = Tokenizer.fromString(json), cases = [];
        for (let k = 0; k < N_TEXTS; k++)
            cases.push(await run(tokenizer, text(), maybe(0.3) ? text() : null, maybe(0.4) ? 13 + below(20) : 0, maybe(0.3)));
        lines.push(JSON.stringify({ tokenizer: json, cases }));
    }
    fs.writeFileSync(path.join(data, 'tokenizer', 'reference.jsonl'), lines.join('\n') + '\n');
}

function wordRanges() {
    const words = whitespacePreTokenizer(), out = [], hex = c => c.toString(16).toUpperCase().padStart(4, '0');
    for (let c = 0, from = -1; c <= 0x110000; c++) {
        const scalar = c < 0xd800 || (c > 0xdfff && c < 0x110000);
        const is = scalar && words.preTokenizeString('a' + String.fromCodePoint(c) + 'a').length == 1;
        if (is && from < 0) from = c;
        if (is || from < 0) continue;
        out.push(hex(from) + (c - 1 > from ? '..' + hex(c - 1) : ''));
        from = -1;
    }
    fs.writeFileSync(path.join(data, 'unicode', 'word.ranges.txt'), out.join('\n') + '\n');
}

wordRanges();
reference();
