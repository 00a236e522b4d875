// Package tokenizer turns text into token ids and back, exactly as the
// official HuggingFace library (Rust, version 0.23) does: BPE (byte-level as of
// GPT-2 and Llama 3, with byte fallback as of Llama 2), WordPiece (BERT),
// Unigram (XLM-RoBERTa, T5), WordLevel.
//
//	t, err := tokenizer.Parse(tokenizerJSON, tokenizerConfigJSON) // once, when converting
//	blob, err := t.MarshalBinary()                                // into the .qpt
//	t, err = tokenizer.Load(blob)                                 // fast, when running
//	ids, err := t.Encode(ctx, "Once upon a time", true)
//	text := t.Decode(ids, true)
//	pair, err := t.EncodePair(ctx, "a question", "a passage", tokenizer.EncodeOptions{MaxLength: 512}) // for encoders
//
// A Tokenizer never changes and may be used by many goroutines. Tokens are
// spelled as in tokenizer.json (byte-level ones in the GPT-2 alphabet, where a
// space is U+0120).
//
// Where the library's tables of characters are older or newer than Go's, its
// own are followed (unicode.txt); scripts by name (\p{Han}) are Go's.
//
// One difference is known: a text whose first character a normalizer makes
// several of (½, by NFKD), where a pre-tokenizer parts these before Metaspace
// with prepend_scheme first. The library takes each for the text's beginning
// and puts the replacement before it; here the first alone is.
package tokenizer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"
)

var (
	// ErrFormat is matched by errors about broken input: syntax, wrong types,
	// contradictions, numbers out of range.
	ErrFormat = errors.New("invalid tokenizer")
	// ErrUnsupported is matched by errors about a tokenizer that may be sound
	// but asks for what is not implemented.
	ErrUnsupported = errors.New("unsupported tokenizer")
	// ErrPattern is matched by errors of Encode about a pattern of the tokenizer
	// that takes too long on a text.
	ErrPattern = errors.New("the tokenizer's pattern takes too long")
	// ErrLength: a text or a pair cannot be cut to the length that is asked for.
	ErrLength = errors.New("the texts cannot be cut so short")
	// ErrUnknown is matched by errors of Encode about a text that the vocabulary
	// cannot spell, of a tokenizer that has no token for what is unknown.
	ErrUnknown = errors.New("text outside the vocabulary")
)

// Tokenizer is made by Parse or Load.
type Tokenizer struct {
	cfg    config
	vocab  vocab // the model's own tokens
	merges mergeTable

	added   map[int32]*addedToken
	addedID map[string]int32
	exact   matcher // added tokens looked for in the raw text
	loose   matcher // those looked for in the normalized text

	norm []normalizer
	pre  []splitter
	word func(e *encoder, word string) error // of the model's kind

	atStart bool   // a pre-tokenizer asks where the text starts
	shifts  []bool // of each normalizer: what lies behind a start that it drops starts there, as the library counts
	unkID   int32  // -1: there is none
	size    int

	runeID   [runeIDs]int32 // BPE: id of the token that is one rune, -1 if none
	byteID   [256]int32     // BPE, Unigram: id of <0x..>, -1 if none
	affixed  bool           // BPE: characters are spelled by their place in a word
	cutSpace bool           // BPE: see words

	trie     trie      // WordPiece, Unigram
	more     int32     // WordPiece: the node of the prefix, -1 if no token has it
	scores   []float64 // Unigram, by id
	unkScore float64

	backtracks bool // a pattern may take long
}

// VocabSize is one more than the largest id.
func (t *Tokenizer) VocabSize() int { return t.size }

// Token returns the spelling of an id.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if a := t.added[id]; a != nil {
		return a.Content, true
	}
	return t.vocab.token(id)
}

// ID returns the id of a token, which must be spelled as in the vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.addedID[token]; ok {
		return id, true
	}
	id := t.vocab.id(token)
	return max(id, 0), id >= 0
}

// Skipped returns the spelling of an id that Decode leaves out when asked to.
func (t *Tokenizer) Skipped(id int32) (string, bool) {
	if a := t.added[id]; a != nil && a.skip {
		return a.Content, true
	}
	return "", false
}

// BOS and EOS return what tokenizer_config.json names as bos_token, eos_token.
func (t *Tokenizer) BOS() (int32, bool) { return optional(t.cfg.BOS) }
func (t *Tokenizer) EOS() (int32, bool) { return optional(t.cfg.EOS) }

func optional(id *int32) (int32, bool) {
	if id == nil {
		return 0, false
	}
	return *id, true
}

// ChatTemplate is the text of the (default) chat template, "" if there is none.
func (t *Tokenizer) ChatTemplate() string { return t.cfg.ChatTemplate }

// ChatTemplates are the other chat templates by name ("tool_use", "rag").
func (t *Tokenizer) ChatTemplates() map[string]string { return maps.Clone(t.cfg.Templates) }

// SpecialTokens are the special tokens by name ("bos_token"), as chat templates know them.
func (t *Tokenizer) SpecialTokens() map[string]string { return maps.Clone(t.cfg.Named) }

// Encode returns the ids of text. addSpecial puts what the tokenizer's
// template puts round a text (often BOS). Special tokens spelled in the text
// become their ids unless the checkpoint says that they are text
// (split_special_tokens). Bytes that are not UTF-8 count as U+FFFD, one per
// maximal broken sequence.
//
// It fails when ctx ends, at once, and when a pattern of the tokenizer takes
// too long on the text (ErrPattern); most tokenizers have none that can.
func (t *Tokenizer) Encode(ctx context.Context, text string, addSpecial bool) ([]int32, error) {
	return t.encodeCut(ctx, text, addSpecial, nil)
}

// EncodeCut is Encode in which no special token is seen where it would span one of cuts, byte offsets in ascending
// order: the spelling of a special token that somebody has typed stays text when it has a cut inside.
func (t *Tokenizer) EncodeCut(ctx context.Context, text string, addSpecial bool, cuts []int) ([]int32, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("a text with cuts must be UTF-8")
	}
	return t.encodeCut(ctx, text, addSpecial, cuts)
}

func (t *Tokenizer) encodeCut(ctx context.Context, text string, addSpecial bool, cuts []int) ([]int32, error) {
	if !t.backtracks {
		return t.encode(ctx, text, addSpecial, cuts)
	}
	type result struct {
		ids []int32
		err error
	}
	done := make(chan result, 1) // regexp2 does not look at ctx; its time-out ends what is left behind
	go func() {
		ids, err := t.encode(ctx, text, addSpecial, cuts)
		done <- result{ids, err}
	}()
	select {
	case r := <-done:
		return r.ids, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// within tells whether one of the ascending cuts is at first or after it, and before end.
func within(cuts []int, first, end int) bool {
	i, _ := slices.BinarySearch(cuts, first)
	return i < len(cuts) && cuts[i] < end
}

func (t *Tokenizer) encode(ctx context.Context, text string, addSpecial bool, cuts []int) ([]int32, error) {
	e := encoder{ctx: ctx, t: t, out: make([]int32, 0, len(text)/3+8)}
	if addSpecial {
		e.out = append(e.out, t.cfg.Prefix...)
	}
	if err := e.text(text, cuts); err != nil {
		return nil, err
	}
	if addSpecial {
		e.out = append(e.out, t.cfg.Suffix...)
	}
	return e.out, ctx.Err()
}

// text appends the ids of a text, without what a template puts round it.
func (e *encoder) text(text string, cuts []int) error {
	t := e.t
	for raw := range t.exact.split(validUTF8(text), t.cfg.SplitSpecial, cuts) {
		if raw.token != nil {
			e.out = append(e.out, raw.token.ID)
			continue
		}
		s, first := raw.text, raw.start == 0
		for i, normalize := range t.norm {
			if first && t.atStart && !t.shifts[i] && headless(normalize, s) {
				first = false
			}
			var err error
			if s, err = normalize(s); err != nil {
				return err
			}
		}
		plain := t.cfg.SplitSpecial || within(cuts, raw.start, raw.start+len(raw.text)) // normalizing moves the cuts
		for part := range t.loose.split(s, plain, nil) {
			if part.token != nil {
				e.out = append(e.out, part.token.ID)
			} else if err := e.split(0, part.text, first && part.start == 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// headless tells whether a normalizer drops how s begins: then nothing of it starts where the text starts, as the library counts.
func headless(normalize normalizer, s string) bool {
	n := 0
	for end := range s {
		if n++; n > 9 {
			return false
		}
		if end == 0 {
			continue
		}
		if head, err := normalize(s[:end]); err != nil || head != "" {
			continue
		}
		whole, err := normalize(s)
		rest, err2 := normalize(s[end:])
		return err == nil && err2 == nil && rest == whole
	}
	return false
}

// encoder is the scratch space of one Encode.
type encoder struct {
	ctx  context.Context
	t    *Tokenizer
	out  []int32
	n    int     // pieces so far
	word []int32 // symbols of the word at hand
	best []int32 // small words: the merge of symbols i and i+1
	list linked  // long words

	ways lattice // Unigram
	cuts []int32
}

// split runs the pre-tokenizers from number stage on over s. first: s starts
// where the text starts.
func (e *encoder) split(stage int, s string, first bool) error {
	if stage == len(e.t.pre) {
		if e.n++; e.n%1024 == 0 && e.ctx.Err() != nil {
			return e.ctx.Err()
		}
		return e.t.word(e, s)
	}
	return e.t.pre[stage](s, first, func(piece string, first bool) error {
		if piece == "" {
			return nil
		}
		return e.split(stage+1, piece, first)
	})
}

// finish checks what cannot be checked part by part and fills the tables.
func (t *Tokenizer) finish() error {
	c := &t.cfg
	t.size = len(t.vocab.tokens)
	if err := t.setAdded(); err != nil {
		return err
	}
	if err := t.checkTemplate(); err != nil {
		return err
	}
	for _, err := range []error{c.Truncation.check(), c.Padding.check()} {
		if err != nil {
			return err
		}
	}
	kind, ok := modelKinds[c.Model]
	if !ok {
		return unsupported("model %q", c.Model)
	}
	if t.word = kind.word; len(t.merges.right) > 0 && c.Model != "" || t.scores != nil && c.Model != "Unigram" {
		return bad("merges or scores of a model that has none")
	}
	if err := kind.setup(t); err != nil {
		return err
	}
	t.backtracks = c.Normalizer.backtracks() || c.PreTokenizer.backtracks()
	var err error
	if t.norm, err = build("normalizer", normalizerKinds, c.Normalizer); err != nil {
		return err
	}
	pre, err := build("pre_tokenizer", splitterKinds, c.PreTokenizer)
	if err != nil {
		return err
	}
	t.pre = slices.Concat(pre...)
	for _, s := range c.Normalizer.steps() {
		t.shifts = append(t.shifts, s.Type == "Precompiled")
	}
	t.atStart = slices.ContainsFunc(t.cfg.PreTokenizer.steps(), func(c *component) bool { return c.Type == "Metaspace" && c.PrependScheme == "first" })
	if err := checkDecoder(c.Decoder); err != nil {
		return err
	}
	return t.setMatchers()
}
