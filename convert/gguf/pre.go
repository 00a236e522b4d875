package gguf

// pre is how texts are cut before byte-level BPE, by the name that tokenizer.ggml.pre gives it: GGUF files hold no more.
// The rules are those of the models' tokenizer.json.
type pre struct {
	split        []string // regular expressions whose matches are pieces
	digits       bool     // each digit is a piece
	gpt2         bool     // then GPT-2's rule
	nfc          bool     // texts are composed first
	ignoreMerges bool     // a piece that is a token is that token
	bos          bool     // begin-of-text goes before a text where the file does not say
}

const (
	words3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	words1 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	cased  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	cased1 = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var pres = map[string]pre{
	"gpt-2": {gpt2: true}, "phi-2": {gpt2: true}, "olmo": {gpt2: true, nfc: true}, "jina-es": {gpt2: true}, "mpt": {gpt2: true, nfc: true},
	"llama-bpe": {split: []string{words3}, ignoreMerges: true, bos: true}, "llama3": {split: []string{words3}, ignoreMerges: true, bos: true}, "llama-v3": {split: []string{words3}, ignoreMerges: true, bos: true},
	"dbrx": {split: []string{words3}}, "smaug-bpe": {split: []string{words3}, ignoreMerges: true},
	"qwen2": {split: []string{words1}, nfc: true}, "deepseek-r1-qwen": {split: []string{words1}, nfc: true}, "stablelm2": {split: []string{words1}},
	"smollm": {digits: true, gpt2: true}, "starcoder": {digits: true, gpt2: true}, "refact": {digits: true, gpt2: true}, "codeshell": {digits: true, gpt2: true}, "command-r": {digits: true, gpt2: true, nfc: true},
	"tekken": {split: []string{cased1}, ignoreMerges: true, bos: true}, "gpt-4o": {split: []string{cased}},
}
