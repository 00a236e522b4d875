package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
)

// family is a tokenizer class of transformers 5. Those with build make
// normalizer, pre-tokenizer and decoder anew and take from tokenizer.json only
// vocabulary, merges and post-processor (and, where no list of
// tokenizer_config.json takes their place, the added tokens).
type family struct {
	tokens map[string]string // special tokens unless the settings name others
	build  func(s *settings) (built, error)
	more   []string // names of tokens besides specials
	plain  bool     // special tokens lose their flags (lstrip and so on)
}

// built is what a class makes, in the spelling of tokenizer.json.
type built struct {
	normalizer, pre, decoder string // "": none
	unk                      string // key of the token for unknown characters, "": none
	fuse, bytes              bool
	// keepUnk: the unknown token is that of tokenizer.json, as in SentencePiece.
	// transformers 5 drops characters that are neither in the vocabulary nor in
	// bytes, on which no model was trained.
	keepUnk bool
}

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

// classes of byte-pair tokenizers that build their own pipeline (transformers
// 5.24, models/*/tokenization_*.py), without "Fast" at the end.
var classes = map[string]family{
	"LlamaTokenizer": {tokens: map[string]string{"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}, build: func(s *settings) (b built, err error) {
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
	}, more: strings.Fields("prefix_token middle_token suffix_token eot_token fill_token"), build: func(s *settings) (b built, err error) {
		space, err := s.bool("add_prefix_space", true)
		scheme := "never"
		if space {
			scheme = "first"
		}
		return built{pre: metaspacePre(scheme), decoder: sequence("decoders", metaspaceDecoder+stripDecoder), unk: "unk_token", fuse: true, bytes: true}, err
	}},
	"GemmaTokenizer": {tokens: map[string]string{"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "mask_token": "<mask>"}, build: func(*settings) (built, error) {
		return built{normalizer: `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`,
			pre:     `{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}`,
			decoder: sequence("decoders", metaspaceDecoder), unk: "unk_token", fuse: true, bytes: true}, nil
	}},
	"GPT2Tokenizer": {tokens: endOfText, build: func(s *settings) (built, error) {
		pre, err := bytePre(s, true)
		return built{pre: pre, decoder: byteDecoder}, err
	}},
	"Qwen2Tokenizer": {tokens: map[string]string{"unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, plain: true, build: func(s *settings) (built, error) {
		pre, err := bytePre(s, false)
		split, _ := json.Marshal(component{Type: "Split", Pattern: &pattern{Regex: ptr(patternQwen2)}, Behavior: "Isolated"})
		return built{normalizer: nfcNormalizer, pre: sequence("pretokenizers", string(split)+","+pre), decoder: byteDecoder}, err
	}},
	"CohereTokenizer": {tokens: map[string]string{"unk_token": "<UNK>", "bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>", "pad_token": "<PAD>",
		"cls_token": "<CLS>", "sep_token": "<SEP>", "mask_token": "<MASK_TOKEN>"}, build: func(s *settings) (built, error) {
		pre, err := bytePre(s, true)
		return built{normalizer: nfcNormalizer, pre: sequence("pretokenizers", `{"type":"Digits","individual_digits":true},`+pre), decoder: byteDecoder}, err
	}},
}

func ptr[T any](v T) *T { return &v }

// otherClasses of transformers build pipelines of their own too, which are not
// written down here.
var otherClasses = strings.Fields(`
	Albert Barthez Bartpho Bert BertGeneration BertJapanese Bertweet BigBird BioGpt Blenderbot BlenderbotSmall ByT5 Camembert Canine CLIP Clvp
	CodeGen Cpm CpmAnt CTRL Deberta DebertaV2 Dia DistilBert Esm Flaubert FNet FSMT Funnel GPTNeoX GPTNeoXJapanese GPTSw3 Herbert LayoutLMv2
	LayoutLMv3 LayoutXLM Luke M2M100 Marian MarkupLM MBart MBart50 MLuke MPNet MyT5 Nllb Nougat OpenAIGPT Pegasus Perceiver Phobert PLBart
	ProphetNet Qwen3_5 Reformer RemBert Roberta RoCBert RoFormer SeamlessM4T Siglip Siglip2 Speech2Text SpeechT5 Splinter T5 Tapas Udop Vits
	Wav2Vec2CTC Whisper XGLM XLM XLMRoberta XLNet MistralCommonBackend
`)

// class finds the class that AutoTokenizer takes.
func (s *settings) class(f Files) (*family, error) {
	name, v := f.Class, s.get("tokenizer_class")
	if v == nil {
		v = &setting{file: "config.json", key: "tokenizer_class"}
	} else if json.Unmarshal(v.value, &name) != nil {
		return nil, v.bad("%.60s is not a text", v.value)
	}
	name = strings.TrimSuffix(name, "Fast")
	c, ok := classes[name]
	switch {
	// Byte-level files under Llama's name are common, and read as they are.
	case name == "LlamaTokenizer" && strings.Contains(string(f.Tokenizer), `"ByteLevel"`):
		return &family{}, nil
	case ok:
		return &c, nil
	case slices.Contains(otherClasses, strings.TrimSuffix(name, "Tokenizer")):
		return nil, v.unsupported("%q: transformers builds this tokenizer in a way that is not known here; known: %s, and any class that takes tokenizer.json as it is", name, "LlamaTokenizer, CodeLlamaTokenizer, GemmaTokenizer, GPT2Tokenizer, Qwen2Tokenizer, CohereTokenizer")
	}
	if v := s.get("auto_map"); v != nil && name != "" && !slices.Contains([]string{"PreTrainedTokenizer", "TokenizersBackend", "PythonBackend"}, name) {
		return nil, v.unsupported("the tokenizer runs code of its own (%s)", name)
	}
	return &family{}, nil
}

// rebuild puts what the class builds in the place of what tokenizer.json says.
func (c *family) rebuild(f *file, m *model, s *settings) (notes []string, err error) {
	b, err := c.build(s)
	if err != nil {
		return nil, err
	}
	read := func(text string) (part *component) {
		if text != "" {
			if err := json.Unmarshal([]byte(text), &part); err != nil {
				panic(err) // of our own tables
			}
		}
		return part
	}
	pre, decoder, normalizer := read(b.pre), read(b.decoder), read(b.normalizer)
	if lost := f.PreTokenizer.unlike(pre) + f.Normalizer.unlike(normalizer); lost != "" {
		notes = append(notes, "tokenizer_class: as in transformers 5, the class builds the pipeline and"+lost+" of tokenizer.json is not used (transformers 4 uses it)")
	}
	f.Normalizer, f.PreTokenizer, f.Decoder = normalizer, pre, decoder
	m.FuseUnk, m.ByteFallback, m.IgnoreMerges = b.fuse, b.bytes, false
	if !b.keepUnk {
		m.Unk = nil
	}
	if b.unk != "" {
		_, tokens, err := s.named(c)
		if err != nil {
			return nil, err
		}
		if n, ok := tokens[b.unk]; ok {
			m.Unk = &n.Content
		}
	}
	return notes, nil
}

// unlike names the steps of a pipeline that the class's has not; spaces become
// U+2581 in several spellings, which are left out.
func (c *component) unlike(other *component) (lost string) {
	steps := func(c *component) (list []component) {
		if c == nil {
			return nil
		}
		if c.Type == "Sequence" {
			return slices.Concat(c.Normalizers, c.PreTokenizers)
		}
		return []component{*c}
	}
	for _, step := range steps(c) {
		switch step.Type {
		case "Prepend", "Replace", "Metaspace":
			continue
		}
		if !slices.ContainsFunc(steps(other), func(o component) bool { return o.Type == step.Type }) {
			lost += " " + step.Type
		}
	}
	return lost
}
