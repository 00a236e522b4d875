package tokenizer

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// family is a tokenizer class of transformers 5. Those with build make
// normalizer, pre-tokenizer and decoder anew and take from tokenizer.json only
// vocabulary, merges and post-processor (and, where no list of
// tokenizer_config.json takes their place, the added tokens).
type family struct {
	tokens map[string]string // special tokens unless the settings name others
	build  func(s *settings, f *file) (built, error)
	more   []string // names of tokens besides specials
	plain  bool     // special tokens lose their flags (lstrip and so on)
	extras int      // this many tokens <extra_id_0> and so on, unless the settings name others
}

// built is what a class makes, in the spelling of tokenizer.json.
type built struct {
	model                    string // the kind of tokenizer.json's must be the same; "": BPE
	normalizer, pre, decoder string // "": none
	unk                      string // key of the token for unknown characters, "": none
	unkID                    int    // Unigram: the same by its id
	fuse, bytes              bool
	wordEnd                  string

	// post is the kind of post-processor that the class puts in the place of
	// tokenizer.json's ("": that one stays), cls and sep the keys of its tokens.
	post, cls, sep string
	mayKeep        bool // only if tokenizer.json has none
	// keepUnk: the unknown token is that of tokenizer.json, as in SentencePiece.
	// transformers 5 drops characters that are neither in the vocabulary nor in
	// bytes, on which no model was trained.
	keepUnk bool
}

func ptr[T any](v T) *T { return &v }

// otherClasses of transformers build pipelines of their own too, which are not
// written down here.
var otherClasses = strings.Fields(`
	Barthez Bartpho BertGeneration BertJapanese Bertweet BigBird BioGpt Blenderbot BlenderbotSmall ByT5 Camembert Canine Clvp
	CodeGen Cpm CpmAnt CTRL Deberta Dia Esm Flaubert FNet FSMT Funnel GPTNeoXJapanese GPTSw3 Herbert LayoutLMv2
	LayoutLMv3 LayoutXLM Luke M2M100 Marian MarkupLM MBart MBart50 MLuke MyT5 Nllb Nougat OpenAIGPT Pegasus Perceiver Phobert PLBart
	ProphetNet Qwen3_5 Reformer RemBert RoCBert RoFormer SeamlessM4T Siglip2 Speech2Text SpeechT5 Splinter Tapas Udop Vits
	Wav2Vec2CTC Whisper XGLM XLM XLNet MistralCommonBackend
`)

// classes are the families by class, without "Fast" at the end.
var classes = func() map[string]family {
	all := maps.Clone(decoderClasses)
	maps.Copy(all, encoderClasses)
	return all
}()

// class finds the class that AutoTokenizer takes.
func (s *settings) class(f Files) (*family, error) {
	name, v := f.Class, s.get("tokenizer_class")
	if v == nil {
		v = &setting{file: "config.json", key: "tokenizer_class"}
		name = cmp.Or(name, modelClasses[f.ModelType])
	} else if json.Unmarshal(v.value, &name) != nil {
		return nil, v.bad("%.60s is not a text", v.value)
	}
	name = strings.TrimSuffix(name, "Fast")
	if other, ok := classAliases[name]; ok {
		name = other
	}
	c, ok := classes[name]
	switch {
	// Byte-level files under Llama's name are common, and read as they are.
	case name == "LlamaTokenizer" && strings.Contains(string(f.Tokenizer), `"ByteLevel"`):
		return &family{}, nil
	case ok:
		return &c, nil
	case slices.Contains(otherClasses, strings.TrimSuffix(name, "Tokenizer")):
		return nil, v.unsupported("%q: transformers builds this tokenizer in a way that is not known here; known: %s, and any class that takes tokenizer.json as it is", name, strings.Join(slices.Sorted(maps.Keys(classes)), ", "))
	}
	if v := s.get("auto_map"); v != nil && name != "" && !slices.Contains([]string{"PreTrainedTokenizer", "TokenizersBackend", "PythonBackend"}, name) {
		return nil, v.unsupported("the tokenizer runs code of its own (%s)", name)
	}
	return &family{}, nil
}

// rebuild puts what the class builds in the place of what tokenizer.json says.
func (c *family) rebuild(f *file, m *model, s *settings) (notes []string, err error) {
	b, err := c.build(s, f)
	if err != nil {
		return nil, err
	}
	if m.Type != b.model {
		return nil, unsupported("tokenizer_class wants a model of the kind %q, tokenizer.json has %q", cmp.Or(b.model, "BPE"), cmp.Or(m.Type, "BPE"))
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
	m.FuseUnk, m.ByteFallback, m.IgnoreMerges, m.WordEnd = b.fuse, b.bytes, false, b.wordEnd
	if m.SubwordPre = ""; b.model == "WordPiece" {
		m.SubwordPre, m.MaxWord = "##", 100
	}
	_, tokens, err := s.named(c)
	if err != nil {
		return nil, err
	}
	if !b.keepUnk {
		m.Unk = nil
	}
	if n, ok := tokens[b.unk]; ok {
		m.Unk = &n.Content
	}
	if b.model == "Unigram" {
		m.Vocab.scores = m.Vocab.exact       // Python hands them over
		if m.UnkID = &b.unkID; b.unk != "" { // by name, if the file has it at no cost
			if id, ok := m.Vocab.ids[*m.Unk]; ok && m.Vocab.scores[id] == 0 {
				b.unkID = int(id)
			}
		}
		if err := unigramKind.check(m); err != nil {
			return nil, err
		}
	}
	if b.post != "" && !(b.mayKeep && f.PostProcessor != nil) {
		f.PostProcessor = b.processor(tokens)
	}
	return notes, nil
}

// processor is the class's own, whose tokens have no ids yet (-1).
func (b *built) processor(tokens map[string]tokenValue) *processor {
	cls, sep := &sepToken{tokens[b.cls].Content, -1}, &sepToken{tokens[b.sep].Content, -1}
	switch b.post {
	case "none":
		return nil
	case "T5":
		one := []templateItem{textItem("A", 0), wordItem(sep, 0)}
		return &processor{Type: "TemplateProcessing", Single: one, Pair: slices.Concat(one, []templateItem{textItem("B", 0), wordItem(sep, 0)}),
			Special: map[string]templateWord{sep.text: {IDs: []int32{-1}}}}
	}
	return &processor{Type: b.post, CLS: cls, SEP: sep}
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
