// Makes the tokenizers gpt2.json, llama3.json, qwen2.json and goldens.json.gz
// of this folder. See README.md.
//
//   npm install tokenizers@0.23.2      (anywhere outside the repository)
//   NODE_PATH=.../node_modules node make_goldens.mjs
import { createRequire } from 'node:module';
import fs from 'node:fs';
import zlib from 'node:zlib';
const { Tokenizer } = createRequire(process.env.NODE_PATH + '/')('tokenizers');
const here = new URL('.', import.meta.url);
const read = (name) => fs.readFileSync(new URL(name, here), 'utf8');
const root = '../../../testdata/';

// A generator of numbers, so that every run gives the same file.
let seed = 12345;
const rnd = (n) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 4294967296) * n);
};
const pick = (a) => a[rnd(a.length)];

// ---- byte-level BPE, trained on a little text

const byteChar = (() => {
  const t = [];
  let next = 256;
  for (let b = 0; b < 256; b++) {
    const self = (b >= 33 && b <= 126) || (b >= 161 && b !== 173);
    t.push(String.fromCodePoint(self ? b : next++));
  }
  return t;
})();
const spell = (s) => Array.from(Buffer.from(s), (b) => byteChar[b]);

function train(text, regex, count) {
  const words = new Map();
  for (const [w] of text.matchAll(regex)) words.set(w, (words.get(w) ?? 0) + 1);
  const list = [...words].map(([w, n]) => [spell(w), n]);
  const merges = [];
  while (merges.length < count) {
    const pairs = new Map();
    for (const [w, n] of list)
      for (let i = 1; i < w.length; i++) {
        const k = w[i - 1] + ' ' + w[i];
        pairs.set(k, (pairs.get(k) ?? 0) + n);
      }
    let best = null;
    for (const [k, n] of pairs) if (!best || n > best[1] || (n === best[1] && k < best[0])) best = [k, n];
    if (!best || best[1] < 2) break;
    const [a, b] = best[0].split(' ');
    merges.push([a, b]);
    for (const e of list) {
      const w = e[0];
      for (let i = 1; i < w.length; i++) if (w[i - 1] === a && w[i] === b) w.splice(i - 1, 2, a + b);
    }
  }
  return merges;
}

const poly = `Größe über naïve café façade señor año où déjà élève Straße
Привет мир, это тест. Добрый день! Привет мир, это тест.
你好世界,今天天气很好。你好世界,今天天气很好。東京は日本の首都です。ありがとうございます。
안녕하세요 세계 안녕하세요 세계 좋은 아침입니다
مرحبا بالعالم مرحبا بالعالم שלום עולם שלום עולם नमस्ते दुनिया नमस्ते दुनिया
1234567890 1234567890 2024-01-02 3.14159 100,000 007 1999 2000 2001
I'm you're he's we've they'll I'd don't I'M YOU'RE HE'S WE'VE THEY'LL I'D DON'T
for (int i = 0; i < n; i++) {\n\treturn x[i] += 1;\n}\n\n\nif (a == b) { c(); }\r\n\r\n
😀 😀😀 👨‍👩‍👧‍👦 👨‍👩‍👧‍👦 ❤️ ❤️ 🇩🇪 🇩🇪 ... !!! ??? --- === *** ### aaaa aaaaaaaa aaaaaaaaaaaaaaaa
`;
const text = read(root + 'text/tinystories_calib.txt') + poly.repeat(20);
const gpt2Regex = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`;
const llama3Regex = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const qwen2Regex = llama3Regex.replace('{1,3}', '');
const js = (r) => new RegExp(r.replace(/\(\?i:([^)]*)\)/, (_, alts) =>
  alts.split('|').map((a) => a.replace(/[a-z]/g, (c) => `[${c}${c.toUpperCase()}]`)).join('|')), 'gu');

function vocabulary(merges, singles) {
  const vocab = {};
  for (const s of singles) vocab[s] = Object.keys(vocab).length;
  for (const [a, b] of merges) if (!(a + b in vocab)) vocab[a + b] = Object.keys(vocab).length;
  return vocab;
}
const word = (id, content, more) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...more });
const byteLevel = (add_prefix_space, trim_offsets, use_regex) => ({ type: 'ByteLevel', add_prefix_space, trim_offsets, use_regex });
const model = (vocab, merges, more) => ({ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges, ...more });
const whole = { version: '1.0', truncation: null, padding: null };
// GPT-2 orders its single bytes: the printable first.
const singles = [...byteChar].sort((a, b) => a.codePointAt(0) - b.codePointAt(0));

function gpt2() {
  const merges = train(text, js(gpt2Regex), 700);
  const vocab = vocabulary(merges, singles);
  const id = Object.keys(vocab).length;
  vocab['<|endoftext|>'] = id;
  return { ...whole, added_tokens: [word(id, '<|endoftext|>', { normalized: true })], normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
    model: { ...model(vocab, merges.map((m) => m.join(' '))), type: undefined, continuing_subword_prefix: '', end_of_word_suffix: '' } };
}

function llama3() {
  const merges = train(text, js(llama3Regex), 700);
  // ignore_merges matters where a vocabulary holds words that no merges reach.
  for (const w of ['zebra', ' Supercalifragilistic', '你好世界吗']) merges.push([null, spell(w).join('')]);
  const vocab = vocabulary(merges.map(([a, b]) => (a === null ? ['', b] : [a, b])), singles);
  const reached = merges.filter(([a]) => a !== null);
  const base = Object.keys(vocab).length;
  const special = ['<|begin_of_text|>', '<|end_of_text|>', '<|reserved_special_token_0|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>', '<|reserved_special_token_1|>', '<|reserved_special_token_10|>'];
  const bos = { id: '<|begin_of_text|>', ids: [base], tokens: ['<|begin_of_text|>'] };
  const one = [{ SpecialToken: { id: bos.id, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }];
  return { ...whole, added_tokens: special.map((s, i) => word(base + i, s)), normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: llama3Regex }, behavior: 'Isolated', invert: false }, byteLevel(false, true, false)] },
    post_processor: { type: 'Sequence', processors: [byteLevel(true, false, true), { type: 'TemplateProcessing', single: one, pair: [...one, { SpecialToken: { id: bos.id, type_id: 1 } }, { Sequence: { id: 'B', type_id: 1 } }], special_tokens: { [bos.id]: bos } }] },
    decoder: byteLevel(true, true, true), model: model(vocab, reached, { ignore_merges: true }) };
}

function qwen2() {
  const merges = train(text.normalize('NFC'), js(qwen2Regex), 700);
  const vocab = vocabulary(merges, singles);
  const base = Object.keys(vocab).length;
  const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
  const plain = ['<tool_call>', '</tool_call>'];
  return { ...whole, added_tokens: [...special.map((s, i) => word(base + i, s)), ...plain.map((s, i) => word(base + 3 + i, s, { special: false }))],
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: qwen2Regex }, behavior: 'Isolated', invert: false }, byteLevel(false, false, false)] },
    post_processor: byteLevel(false, false, false), decoder: byteLevel(false, false, false), model: model(vocab, merges.map((m) => m.join(' '))) };
}

// ---- strings

const pieces = ['a', 'aa', 'the', ' the', 'Lily', ' ', '  ', '   ', '\n', '\r\n', '\n\n', '\t', ' \n', '\n ', '\r', '\u0085', '\u00a0', '\u3000', '\u2028', '\u200b', '\u200d',
  "'s", "'S", "'ſ", "'re", "'LL", "'ve", "'d", "'", '’s', '1', '12', '123', '1234', '12345', '٣٤', '½', 'Ⅷ', '²', '.', ',', '!', '...', '?!', '-', '_', '<', '>', '|', '/', '{', '}', '$',
  'é', 'e\u0301', 'ñ', 'n\u0303', 'ß', 'ẞ', 'ſ', 'İ', 'ı', 'Å', '\u212b', 'o\u0323\u0302', 'o\u0302\u0323', '\u1100\u1161', '\u1100\u1161\u11a8', '가', '각', '한국어', '你好', '世界', '日本', 'が', 'か\u3099', 'ｶﾞ',
  'Привет', ' мир', 'مرحبا', 'שלום', 'नमस्ते', 'ไทย', '😀', '👍🏽', '👨‍👩‍👧‍👦', '❤️', '🇩🇪', '\ufe0f', '\ufeff', '\ufffd', '\u0000', '\u0001', '\u007f', '▁', '▁▁', 'x▁y', '𝔘𝔫𝔦', 'ﬁ', '\u{e000}', '\u{10ffff}', 'zebra', ' Supercalifragilistic', '你好世界吗',
  '<s>', '</s>', '<unk>', '<0x0A>', '<|endoftext|>', '<|begin_of_text|>', '<|eot_id|>', '<|reserved_special_token_1|>', '<|reserved_special_token_10|>', '<|im_start|>', '<|im_end|>', '<tool_call>', '<|', '|>', 'WORD', 'LEFT', 'RIGHT', 'NormMe', 'Ġ', 'Ċ', 'Ã©'];

function cases() {
  const list = ['', ' ', '  ', '\n', '\t', 'a', ' a', 'a ', ' a ', '\u0085', '\u00a0', '\u3000', 'Hello, world!', 'Once upon a time, there was a little girl named Lily.'];
  for (const n of [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 50, 63, 64, 65, 100, 127, 128, 150, 199, 200]) list.push('a'.repeat(n));
  for (const s of ['z', ' ', '\n', '1', '!', 'é', '你', '😀', 'ab', "'s", '\t ', '▁', '\r\n', 'e\u0301', 'the ', '\u3000'])
    for (const n of [2, 3, 17, 64, 130]) list.push(s.repeat(n), 'x' + s.repeat(n), s.repeat(n) + 'x');
  list.push("I'm you're he's we've they'll I'd don't", "I'M YOU'RE HE'S WE'VE THEY'LL I'D", "it'ſ 'ſ x'ſy", "'''s'tt're've'm'll'd", "' s 'x 'rex");
  list.push('a\u0085b', 'a\u00a0b', 'a\u3000b', 'a \u0085 b', 'a\u00a0\u00a0b', ' \u3000 x', 'x\u3000\n\u3000y', '\u00a0\u00a0\u00a0', 'a \u00a0', '\u2028x', 'a\u200bb', '\u1680x');
  list.push('tab\tsep', '\t\tif x:\n\t\t\treturn', 'trailing   ', 'trailing\n\n\n', '   leading', '\r\nmixed\rnew\nlines\n\r', 'a\n\n\nb', 'a \n \n b', 'a  \r\n  b', '\n\n   \n\n x', 'x \n', '\n x', ' \r', '!\n\n!', '!\r\n \r\n!', ' !!\n', '  !!');
  list.push('1 12 123 1234 12345 123456 1234567', '3.14159', '1,000,000', '１２３４', '٠١٢٣٤٥٦٧٨٩', '½⅓¾', 'ⅧⅨⅩ', 'x²+y³', '1a2b3c', ' 1', '  12', '12 ', '2024-01-02T03:04:05Z');
  list.push('e\u0301', 'E\u0301cole', 'n\u0303', 'o\u0323\u0302', 'o\u0302\u0323', '\u1100\u1161\u11a8\u1102', 'か\u3099', '\u212b\u2126', 'q\u0307\u0323', 'a\u0301\u0300\u0302\u0323', 'ﬁ ﬂ', '\u0344', '\u0958', '\ufb1d', '\u2adc', 'x' + '\u0301'.repeat(9), 'e' + '\u0301'.repeat(40) + 'x', 'o' + '\u0302\u0323\u0301'.repeat(30), '\u0301\u0301a', 'a' + '\u0316'.repeat(31) + '\u0301');
  list.push('👨‍👩‍👧‍👦', '👍🏽👍', '🏳️‍🌈', '❤️', '🇩🇪🇫🇷', '1️⃣', 'a😀b', '😀 😀', '🤷🏽‍♀️!');
  list.push('你好,世界!今天天气很好。', '東京は日本の首都です。', 'カタカナ ひらがな', '안녕하세요 세계', 'Привет, мир!', 'مرحبا بالعالم', 'שלום עולם', 'नमस्ते दुनिया', 'ภาษาไทย', 'Größe Straße', 'Ελληνικά', 'ⴰⵣⵓⵍ', '𝔘𝔫𝔦𝔠𝔬𝔡𝔢', 'ꓡꓲꓢꓴ');
  list.push('<s>', '</s>', '<s>Hello</s>', 'Hello<s>World', '<s> Hello', ' <s> ', '<s><s></s>', '<s>a<unk>b</s>c', '<unk>', 'a<0x0A>b', '<0x41>', '<|endoftext|>', 'a<|endoftext|>b', 'a <|endoftext|> b', '<|endoftext|><|endoftext|>', '<|begin_of_text|>x<|eot_id|>', '<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>', '<|reserved_special_token_1|><|reserved_special_token_10|>', '<|reserved_special_token_1', '<|im_start|>user\nHi<|im_end|>\n', '<tool_call>{"a": 1}</tool_call>', '<|im_start', '<|<|im_end|>');
  list.push('a WORD b', 'aWORDb', 'WORD', 'WORDs', '(WORD)', 'éWORD', '1WORD', '_WORD', 'WORD\u0301', 'WORD\u200d', 'WORDWORD', 'WORD WORD', 'a  LEFT  b', 'aLEFTb', ' \n LEFT', 'a  RIGHT  b', 'RIGHT   RIGHT', 'RIGHT   LEFT', 'LEFT LEFT', 'RIGHT \u3000\u0085x', 'a NormMe b', 'NormMe', 'normme', 'aNormMeb', 'NormMeNormMe', 'RIGHT  a LEFTRIGHT');
  list.push('▁', '▁a', 'a▁b', '▁▁a', ' ▁ a', 'a ▁', 'zebra zebras', ' Supercalifragilistic!', '你好世界吗', 'ĠthisĠis', 'Ã©', '\u0000', 'a\u0000b', '\u0001\u001f\u007f\u0080\u009f', '\ufeffx', '\ufffd', '\u{e000}\u{10ffff}', 'x\u00adx', '\u{1f9ff}\u{2a700}');
  const ranges = [[32, 126], [32, 126], [32, 126], [0, 255], [0x100, 0x2ff], [0x300, 0x36f], [0x370, 0x5ff], [0x900, 0x97f], [0x1100, 0x11ff], [0x2000, 0x206f], [0x2190, 0x26ff], [0x3000, 0x30ff], [0x4e00, 0x4fff], [0xac00, 0xafff], [0xfe00, 0xfeff], [0x1f300, 0x1f64f]];
  for (let i = 0; i < 1000; i++) {
    let s = '';
    for (let n = 1 + rnd(i % 5 === 0 ? 25 : 9); n > 0; n--) {
      if (rnd(4) > 0) s += pick(pieces);
      else { const [a, b] = pick(ranges); s += String.fromCodePoint(a + rnd(b - a + 1)); }
    }
    list.push(s);
  }
  list.push(read(root + 'text/tinystories_eval.txt').slice(0, 1500), poly);
  return [...new Set(list)];
}

// ---- oracle

const unique = (id) => [word(id, 'WORD', { single_word: true, special: false }), word(id + 1, 'LEFT', { lstrip: true }), word(id + 2, 'RIGHT', { rstrip: true }), word(id + 3, 'NormMe', { normalized: true, special: false })];
const metaspace = (prepend_scheme, split) => ({ type: 'Metaspace', replacement: '▁', prepend_scheme, split });
const spaces = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };

const stories = JSON.parse(read(root + 'stories260K/tokenizer.json'));
const baby = JSON.parse(read('babyllama-105.json'));
const made = { gpt2: gpt2(), llama3: llama3(), qwen2: qwen2() };
for (const [name, j] of Object.entries(made)) fs.writeFileSync(new URL(name + '.json', here), JSON.stringify(j, null, 0).replace('"vocab"', '\n"vocab"').replace('"merges"', '\n"merges"') + '\n');
const bases = { stories260K: stories, 'babyllama-105': baby, ...made };
const count = (j) => Math.max(...Object.values(j.model.vocab), ...j.added_tokens.map((t) => t.id)) + 1;
const more = (j) => ({ added_tokens: [...j.added_tokens, ...unique(count(j))] });

// Each golden: a base file and the top-level (or model) keys it overrides.
const variants = [
  ['stories260K', {}], ['babyllama-105', {}], ['gpt2', {}], ['llama3', {}], ['qwen2', {}],
  ['stories260K', more(stories)], ['gpt2', more(made.gpt2)], ['llama3', more(made.llama3)], ['qwen2', more(made.qwen2)],
  ['stories260K', { normalizer: null, pre_tokenizer: metaspace('first', false) }],
  ['stories260K', { normalizer: null, pre_tokenizer: metaspace('always', true), decoder: metaspace('always', true), ...more(stories) }],
  ['stories260K', { normalizer: null, pre_tokenizer: metaspace('never', true), decoder: metaspace('never', true) }],
  ['stories260K', { normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁', add_prefix_space: true }, decoder: { type: 'Metaspace', replacement: '▁', add_prefix_space: true }, model: { byte_fallback: false, fuse_unk: false } }],
  ['stories260K', { normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' }, pre_tokenizer: { type: 'Split', pattern: { String: '▁' }, behavior: 'MergedWithPrevious', invert: false }, decoder: { type: 'Sequence', decoders: [spaces, { type: 'ByteFallback' }, { type: 'Fuse' }] } }],
  ['stories260K', { normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, { type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: '▁' }] }, decoder: null, model: { byte_fallback: false, unk_token: null } }],
  ['gpt2', { pre_tokenizer: byteLevel(true, true, true), decoder: { type: 'Sequence', decoders: [byteLevel(true, true, true), { type: 'Strip', content: ' ', start: 2, stop: 0 }] } }],
  ['gpt2', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(false, true, true)] } }],
  ['gpt2', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: false }, { type: 'Split', pattern: { Regex: '\\s' }, behavior: 'MergedWithNext', invert: true }, byteLevel(true, true, false)] }, decoder: { type: 'Strip', content: 'a', start: 1, stop: 0 } }],
  ['llama3', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: llama3Regex + '|x{9}' }, behavior: 'Isolated', invert: false }, byteLevel(false, true, false)] } }], // not a known pattern any more
  ['llama3', { pre_tokenizer: { type: 'Sequence', pretokenizers: [
    { type: 'Split', pattern: { Regex: "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" }, behavior: 'Isolated', invert: false }, byteLevel(false, true, false)] } }],
  ['qwen2', { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: '[\\p{L}\\p{N}]+' }, behavior: 'Removed', invert: true }, { type: 'Split', pattern: { Regex: 'a|\\d' }, behavior: 'Contiguous', invert: false }, byteLevel(false, true, false)] }, model: { ignore_merges: true } }],
];

const texts = cases();
// Variants get the chosen strings and 300 of the drawn ones; the trained text only the bases.
const out = { texts, tokenizers: [] };
for (const [base, set] of variants) {
  const j = structuredClone(bases[base]);
  for (const [k, v] of Object.entries(set)) j[k] = k === 'model' ? { ...j.model, ...v } : v;
  const t = Tokenizer.fromString(JSON.stringify(j));
  const plain = Tokenizer.fromString(JSON.stringify({ ...j, added_tokens: [] }));
  // Where all added tokens are special, EncodePlain encodes as if there were none.
  const plainTested = j.added_tokens.every((a) => a.special);
  const g = { base, set, ids: [], text: [], skipped: [], plain: [], plainTested, decode: [] };
  for (const s of Object.keys(set).length ? texts.slice(0, -702) : texts) {
    const ids = (await t.encode(s, null, { addSpecialTokens: true })).getIds();
    g.ids.push(ids);
    const text = await t.decode(ids, false), skipped = await t.decode(ids, true);
    g.text.push(text === s ? 0 : text); // 0: the string itself
    g.skipped.push(skipped === text ? 0 : skipped); // 0: as text
    if (!plainTested) continue;
    const p = (await plain.encode(s, null, { addSpecialTokens: false })).getIds();
    if (`${p}` !== `${(await t.encode(s, null, { addSpecialTokens: false })).getIds()}`) g.plain.push([g.ids.length - 1, p]);
  }
  // Ids that no text gives: cut-off bytes, unknown ids, special tokens anywhere.
  const n = count(j) + 3;
  for (let i = 0; i < 100; i++) {
    const low = rnd(2) ? Math.min(n, 262) : n;
    const ids = Array.from({ length: 1 + rnd(12) }, () => rnd(low));
    g.decode.push([ids, await t.decode(ids, false), await t.decode(ids, true)]);
  }
  out.tokenizers.push(g);
}
fs.writeFileSync(new URL('goldens.json.gz', here), zlib.gzipSync(JSON.stringify(out), { level: 9 }));
console.log(texts.length, 'strings,', out.tokenizers.length, 'tokenizers');
