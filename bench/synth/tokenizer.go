package synth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// reserved is the number of special tokens at the end of a Llama-3 vocabulary.
const reserved = 256

// words are what the tokenizers know: each is one token when it follows a space.
var words = strings.Fields(`the a and to of in it is was he she they you that on for with as his her at be
	this had not but said what all were when we there can an one day time little big go up out so very have from or by`)

// tokenizer returns tokenizer.json and tokenizer_config.json: a BPE in the
// manner of Llama 2 (bytes as fallback) or Llama 3 (bytes as letters) that can
// encode any text. It knows a few words; the rest of the vocabulary is
// pronounceable words that the random model may say.
func (s Shape) tokenizer() (tokenizer, config any) {
	var v vocabulary
	space := "▁"
	room := s.Vocab
	if s.ByteLevel {
		space = "Ġ"
		room -= reserved
		for b := range 256 {
			v.add(string(byteLetter(byte(b))))
		}
	} else {
		v.add("<unk>", "<s>", "</s>")
		for b := range 256 {
			v.add(fmt.Sprintf("<0x%02X>", b))
		}
		v.add(space)
		for c := '!'; c <= '~'; c++ {
			v.add(string(c))
		}
	}
	var merges []string
	for _, word := range words {
		head := space
		for _, c := range word {
			if longer := head + string(c); !v.has(longer) && len(v.tokens) < room {
				v.add(longer)
				merges = append(merges, head+" "+string(c))
			}
			head += string(c)
		}
	}
	for n := 0; len(v.tokens) < room; n++ {
		v.add(space + syllables(n)) // nothing if it is a word already
	}
	if s.ByteLevel {
		return s.llama3(&v, merges)
	}
	return s.llama2(&v, merges)
}

type object = map[string]any

func (s Shape) llama2(v *vocabulary, merges []string) (tokenizer, config any) {
	tokenizer = object{
		"version": "1.0", "truncation": nil, "padding": nil,
		"added_tokens": special(0, v.tokens[:3]),
		"normalizer": object{"type": "Sequence", "normalizers": []object{
			{"type": "Prepend", "prepend": "▁"},
			{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"},
		}},
		"pre_tokenizer":  nil,
		"post_processor": beginWith("<s>", 1),
		"decoder": object{"type": "Sequence", "decoders": []object{
			{"type": "Replace", "pattern": object{"String": "▁"}, "content": " "},
			{"type": "ByteFallback"},
			{"type": "Fuse"},
			{"type": "Strip", "content": " ", "start": 1, "stop": 0},
		}},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": "<unk>", "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": true, "byte_fallback": true, "vocab": v, "merges": merges,
		},
	}
	config = object{
		"tokenizer_class": "LlamaTokenizer", "legacy": true, "sp_model_kwargs": object{}, "clean_up_tokenization_spaces": false,
		"add_bos_token": true, "add_eos_token": false, "model_max_length": s.Context,
		"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": nil,
	}
	return tokenizer, config
}

// llama3Pattern cuts text into pieces before BPE.
const llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

func (s Shape) llama3(v *vocabulary, merges []string) (tokenizer, config any) {
	specials := []string{"<|begin_of_text|>", "<|end_of_text|>"}
	for i := range reserved - len(specials) {
		specials = append(specials, fmt.Sprintf("<|reserved_special_token_%d|>", i))
	}
	bos, _ := s.specials()
	byteLevel := func(prefix, trim, regex bool) object {
		return object{"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": regex}
	}
	tokenizer = object{
		"version": "1.0", "truncation": nil, "padding": nil,
		"added_tokens": special(bos, specials),
		"normalizer":   nil,
		"pre_tokenizer": object{"type": "Sequence", "pretokenizers": []object{
			{"type": "Split", "pattern": object{"Regex": llama3Pattern}, "behavior": "Isolated", "invert": false},
			byteLevel(false, true, false),
		}},
		"post_processor": object{"type": "Sequence", "processors": []object{
			byteLevel(true, false, true),
			beginWith(specials[0], bos),
		}},
		"decoder": byteLevel(true, true, true),
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": true, "vocab": v, "merges": merges,
		},
	}
	config = object{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": true, "model_max_length": s.Context,
		"bos_token": specials[0], "eos_token": specials[1],
	}
	return tokenizer, config
}

// special returns entries of added_tokens.
func special(first int, tokens []string) []object {
	var list []object
	for i, t := range tokens {
		list = append(list, object{
			"id": first + i, "content": t, "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
		})
	}
	return list
}

// beginWith returns a post-processor that puts a token before every text.
func beginWith(token string, id int) object {
	begin := func(seq int) object { return object{"SpecialToken": object{"id": token, "type_id": seq}} }
	text := func(name string, seq int) object { return object{"Sequence": object{"id": name, "type_id": seq}} }
	return object{
		"type":           "TemplateProcessing",
		"single":         []object{begin(0), text("A", 0)},
		"pair":           []object{begin(0), text("A", 0), begin(1), text("B", 1)},
		"special_tokens": object{token: object{"id": token, "ids": []int{id}, "tokens": []string{token}}},
	}
}

// vocabulary is a list of distinct tokens; the index is the id.
type vocabulary struct {
	tokens []string
	seen   map[string]bool
}

func (v *vocabulary) has(token string) bool { return v.seen[token] }

// add appends those of tokens that are new.
func (v *vocabulary) add(tokens ...string) {
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	for _, t := range tokens {
		if !v.seen[t] {
			v.seen[t] = true
			v.tokens = append(v.tokens, t)
		}
	}
}

// MarshalJSON writes an object token -> id, in the order of the ids.
func (v *vocabulary) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for id, t := range v.tokens {
		key, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, ",%s:%d", key, id)
	}
	b.WriteByte('}')
	b.Bytes()[0] = '{'
	return b.Bytes(), nil
}

// syllables spells n as two syllables or more, a different word for each n.
func syllables(n int) string {
	const consonants, vowels = "bcdfghjklmnpqrstvwxz", "aeiou"
	word := ""
	for i := 0; i < 2 || n > 0; i++ {
		word += string([]byte{consonants[n/len(vowels)%len(consonants)], vowels[n%len(vowels)]})
		n /= len(vowels) * len(consonants)
	}
	return word
}

// byteLetter is the printable letter that stands for a byte in byte-level BPE
// (GPT-2): the byte itself where that is printable, otherwise the next letter
// from U+0100 on.
func byteLetter(b byte) rune {
	printable := func(c byte) bool { return c >= '!' && c <= '~' || c >= 0xa1 && c != 0xad }
	if printable(b) {
		return rune(b)
	}
	r := rune(0x100)
	for c := range b {
		if !printable(c) {
			r++
		}
	}
	return r
}
