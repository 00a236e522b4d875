package tokenizer

import (
	"encoding/json"
	"strings"
)

const (
	metaspaceDecoder = `{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`
	stripDecoder     = `,{"type":"Strip","content":" ","start":1,"stop":0}`
	byteDecoder      = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`
	nfcNormalizer    = `{"type":"NFC"}`
)

func sequence(kind, parts string) string { return `{"type":"Sequence","` + kind + `":[` + parts + `]}` }

func metaspacePre(scheme string) string {
	return `{"type":"Metaspace","replacement":"▁","prepend_scheme":"` + scheme + `","split":false}`
}

// bytePre is the ByteLevel pre-tokenizer with the class's add_prefix_space.
func bytePre(s *settings, regex bool) (string, error) {
	space, err := s.bool("add_prefix_space", false)
	text, _ := json.Marshal(map[string]any{"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": regex})
	return string(text), err
}

var endOfText = map[string]string{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}

// decoderClasses are those of language models.
var decoderClasses = map[string]family{
	"LlamaTokenizer": {tokens: map[string]string{"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}, build: func(s *settings, _ *file) (b built, err error) {
		b = built{fuse: true, bytes: true, keepUnk: true, decoder: metaspaceDecoder}
		space, err := s.bool("add_prefix_space", true)
		if err != nil {
			return b, err
		}
		legacy, err := s.bool("legacy", false)
		scheme := "never"
		if space {
			scheme = "first"
			b.decoder += stripDecoder
		}
		if space && legacy {
			scheme = "always"
		}
		b.pre, b.decoder = metaspacePre(scheme), sequence("decoders", b.decoder)
		return b, err
	}},
	"CodeLlamaTokenizer": {tokens: map[string]string{"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>",
		"prefix_token": "▁<PRE>", "middle_token": "▁<MID>", "suffix_token": "▁<SUF>", "eot_token": "▁<EOT>", "fill_token": "<FILL_ME>",
	}, more: strings.Fields("prefix_token middle_token suffix_token eot_token fill_token"), build: func(s *settings, _ *file) (b built, err error) {
		space, err := s.bool("add_prefix_space", true)
		scheme := "never"
		if space {
			scheme = "first"
		}
		return built{pre: metaspacePre(scheme), decoder: sequence("decoders", metaspaceDecoder+stripDecoder), unk: "unk_token", fuse: true, bytes: true}, err
	}},
	"GemmaTokenizer": {tokens: map[string]string{"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "mask_token": "<mask>"}, build: func(*settings, *file) (built, error) {
		return built{normalizer: `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`,
			pre:     `{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}`,
			decoder: sequence("decoders", metaspaceDecoder), unk: "unk_token", fuse: true, bytes: true}, nil
	}},
	"GPT2Tokenizer": {tokens: endOfText, build: func(s *settings, _ *file) (built, error) {
		pre, err := bytePre(s, true)
		return built{pre: pre, decoder: byteDecoder}, err
	}},
	"Qwen2Tokenizer": {tokens: map[string]string{"unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, plain: true, build: func(s *settings, _ *file) (built, error) {
		pre, err := bytePre(s, false)
		split, _ := json.Marshal(component{Type: "Split", Pattern: &pattern{Regex: ptr(patternQwen2)}, Behavior: "Isolated"})
		return built{normalizer: nfcNormalizer, pre: sequence("pretokenizers", string(split)+","+pre), decoder: byteDecoder}, err
	}},
	"CohereTokenizer": {tokens: map[string]string{"unk_token": "<UNK>", "bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>", "pad_token": "<PAD>",
		"cls_token": "<CLS>", "sep_token": "<SEP>", "mask_token": "<MASK_TOKEN>"}, build: func(s *settings, _ *file) (built, error) {
		pre, err := bytePre(s, true)
		return built{normalizer: nfcNormalizer, pre: sequence("pretokenizers", `{"type":"Digits","individual_digits":true},`+pre), decoder: byteDecoder}, err
	}},
	"GPTNeoXTokenizer": {tokens: map[string]string{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|padding|>"}, build: func(s *settings, _ *file) (built, error) {
		pre, err := bytePre(s, true)
		return built{normalizer: nfcNormalizer, pre: pre, decoder: byteDecoder, post: "none"}, err
	}},
}
