package gguf

// pre is how texts are cut before byte-level BPE, by the name that tokenizer.ggml.pre gives it: GGUF files hold no more.
// The rules are those of the models' tokenizer.json.
type pre struct {
	split        []string // regular expressions whose matches are pieces
	digits       bool     // each digit is a piece
	gpt2         bool     // then GPT-2's rule
	falcon       bool     // signs by themselves, GPT-2's rule, digits by three
	nfc          bool     // texts are composed first
	ignoreMerges bool     // a piece that is a token is that token
	bos          bool     // begin-of-text goes before a text where the file does not say
}

const (
	words3  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	words1  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	letters = `A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃`
	cased   = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	cased1  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var deepSeek3 = pre{split: []string{`\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`,
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}}

var pres = map[string]pre{
	"gpt-2": {gpt2: true}, "roberta-bpe": {gpt2: true}, "falcon": {falcon: true}, "modern-bert": {gpt2: true, nfc: true}, "phi-2": {gpt2: true}, "olmo": {gpt2: true, nfc: true}, "jina-es": {gpt2: true}, "mpt": {gpt2: true, nfc: true},
	"llama-bpe": {split: []string{words3}, ignoreMerges: true, bos: true}, "llama3": {split: []string{words3}, ignoreMerges: true, bos: true}, "llama-v3": {split: []string{words3}, ignoreMerges: true, bos: true},
	"dbrx": {split: []string{words3}}, "smaug-bpe": {split: []string{words3}, ignoreMerges: true},
	"qwen2": {split: []string{words1}, nfc: true}, "deepseek-r1-qwen": {split: []string{words1}, nfc: true}, "stablelm2": {split: []string{words1}},
	"deepseek-v3": deepSeek3, "hunyuan-dense": deepSeek3, "chatglm-bpe": {split: []string{words3}}, "glm4": {split: []string{words3}}, "bloom": {split: []string{` ?[^(\s|.,!?…。，、।۔،)]+`}},
	"deepseek-coder": {split: []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, `[一-龥ࠀ-一가-퟿]+`}, digits: true},
	"deepseek-llm":   {split: []string{`[\r\n]`, `\s?[` + letters + `]+`, `\s?[!-/:-~！-／：-～‘-‟　-。]+`, `\s+$`, `[一-龥ࠀ-一가-퟿]+`}, digits: true},
	"smollm":         {digits: true, gpt2: true}, "starcoder": {digits: true, gpt2: true}, "refact": {digits: true, gpt2: true}, "codeshell": {digits: true, gpt2: true}, "command-r": {digits: true, gpt2: true, nfc: true},
	"tekken": {split: []string{cased1}, ignoreMerges: true, bos: true}, "gpt-4o": {split: []string{cased}, ignoreMerges: true},
}
