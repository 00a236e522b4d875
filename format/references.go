package format

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// References are results of the FP32 model for a few prompts, recorded while
// converting, so that accuracy can be checked without the original.
type References struct {
	Vocab int // V, logits a row
	Cases []Reference
}

// Reference is one prompt and its logits.
type Reference struct {
	Prompt string    // for people; Tokens are what was run
	Tokens []int32   // in [0, V)
	Rows   []int32   // positions whose logits are kept, rising, < len(Tokens)
	Logits []float32 // [len(Rows)][V]
}

const maxVocab = 1 << 24

func (r *References) check() error {
	if r.Vocab < 1 || r.Vocab > maxVocab {
		return fmt.Errorf("%w: vocabulary of %d, must be 1 to %d", ErrReferences, r.Vocab, maxVocab)
	}
	for i, c := range r.Cases {
		bad := func(s string, v ...any) error {
			return fmt.Errorf("%w: case %d: %s", ErrReferences, i, fmt.Sprintf(s, v...))
		}
		if !utf8.ValidString(c.Prompt) {
			return bad("prompt is not UTF-8")
		}
		for _, t := range c.Tokens {
			if t < 0 || int(t) >= r.Vocab {
				return bad("token %d, the vocabulary has %d", t, r.Vocab)
			}
		}
		last := int32(-1)
		for _, row := range c.Rows {
			if row <= last || int(row) >= len(c.Tokens) {
				return bad("rows %v must rise and be below %d", c.Rows, len(c.Tokens))
			}
			last = row
		}
		if len(c.Logits) != len(c.Rows)*r.Vocab {
			return bad("%d logits, want %d rows of %d", len(c.Logits), len(c.Rows), r.Vocab)
		}
	}
	return nil
}

// encode gives u32 V, u32 cases, and for each case u32 prompt bytes, u32
// tokens, u32 rows, then the prompt, the tokens (u32), the rows (u32) and the logits (f32).
func (r *References) encode() []byte {
	b := le.AppendUint32(nil, uint32(r.Vocab))
	b = le.AppendUint32(b, uint32(len(r.Cases)))
	for _, c := range r.Cases {
		b = slices.Grow(b, 12+len(c.Prompt)+4*(len(c.Tokens)+len(c.Rows)+len(c.Logits)))
		for _, n := range []int{len(c.Prompt), len(c.Tokens), len(c.Rows)} {
			b = le.AppendUint32(b, uint32(n))
		}
		b = append(b, c.Prompt...)
		for _, list := range [][]int32{c.Tokens, c.Rows} {
			for _, v := range list {
				b = le.AppendUint32(b, uint32(v))
			}
		}
		for _, v := range c.Logits {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	}
	return b
}

// decodeReferences checks each size against the bytes that are left before it
// allocates.
func decodeReferences(b []byte) (References, error) {
	cut := fmt.Errorf("%w: cut short", ErrReferences)
	words := func(n uint64) []byte { // the next n 32-bit numbers, nil when there are fewer
		if n > uint64(len(b)/4) {
			return nil
		}
		w := b[: 4*n : 4*n]
		b = b[4*n:]
		return w
	}
	h := words(2)
	if h == nil {
		return References{}, cut
	}
	vocab, cases := uint64(le.Uint32(h)), uint64(le.Uint32(h[4:]))
	if vocab > maxVocab {
		return References{}, fmt.Errorf("%w: vocabulary of %d, must be 1 to %d", ErrReferences, vocab, maxVocab)
	}
	r := References{Vocab: int(vocab)}
	for range cases {
		h := words(3)
		if h == nil {
			return References{}, cut
		}
		text, tokens, rows := uint64(le.Uint32(h)), uint64(le.Uint32(h[4:])), uint64(le.Uint32(h[8:]))
		if text+4*(tokens+rows+rows*vocab) > uint64(len(b)) { // at most 2^59: no overflow
			return References{}, cut
		}
		c := Reference{Prompt: string(b[:text])}
		b = b[text:]
		c.Tokens, c.Rows = ints(words(tokens)), ints(words(rows))
		l := words(rows * vocab)
		c.Logits = make([]float32, len(l)/4)
		for i := range c.Logits {
			c.Logits[i] = math.Float32frombits(le.Uint32(l[4*i:]))
		}
		r.Cases = append(r.Cases, c)
	}
	if len(b) != 0 {
		return References{}, fmt.Errorf("%w: %d bytes too many", ErrReferences, len(b))
	}
	return r, r.check()
}

func ints(b []byte) []int32 {
	v := make([]int32, len(b)/4)
	for i := range v {
		v[i] = int32(le.Uint32(b[4*i:]))
	}
	return v
}

// References reads the section "references".
func (f *File) References() (References, error) {
	b, err := f.read(KindReferences)
	if err != nil {
		return References{}, err
	}
	r, err := decodeReferences(b)
	if err != nil {
		return References{}, fmt.Errorf("%s: %w", f.path, err)
	}
	return r, nil
}

// WriteReferences writes the section "references".
func (w *Writer) WriteReferences(r References) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return w.Put(KindReferences, KindReferences.String(), Zstd, r.encode())
}
