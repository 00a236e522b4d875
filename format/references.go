package format

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"qpt/internal/num"
)

// References are results of the FP32 model for a few texts, recorded while converting, so that accuracy can be
// checked without the original. A language model's are predictions of the next token: of each the file keeps the
// likeliest tokens, the mass of all others, and a sample of these, what the sum KL(FP32 || file) is made of. An encoder's
// are rows of one of its outputs, kept like predictions or whole. Those of a network on tensors are Rows, and nothing else.
type References struct {
	Rows   *Rows
	Output string // of the graph; "": the first, a language model's logits
	Vocab  int    // V, values of a row
	Top    int    // tokens kept of each: the likeliest, 1 to V; 0: with Output, all values in order
	Tail   int    // others kept of each, 0 when Top is V or 0
	Cases  []Reference
}

// Reference is one text and its results.
type Reference struct {
	Prompt string       // for people; Tokens are what was run
	Tokens []int32      // without Output in [0, V)
	Types  []int32      // with Output: of each token, nil when all are 0
	Rows   []int32      // positions that predict the token behind them, rising, < len(Tokens)-1; with Output the rows of the text that are kept
	Preds  []Prediction // of each row
}

// Prediction is what the FP32 model says of one position, or a row of results.
type Prediction struct {
	Rest   float64   // log of the sum of exp(logit) over the tokens that are not among the top, -Inf when there are none
	Next   float32   // logit of the token that follows in the text, 0 with Output
	IDs    []int32   // [Top+Tail] the likeliest first, then the sample
	Logits []float32 // [Top+Tail] theirs; [V] all values when Top is 0
}

// N is how many rows of results there are.
func (r *References) N() (n int) {
	if r.Rows != nil {
		return r.Rows.N
	}
	for _, c := range r.Cases {
		n += len(c.Rows)
	}
	return n
}

// NewPrediction keeps of the logits [V] of a position, which must be finite, that of the token that follows (next, -1 where
// none does), the likeliest top tokens (of equals the first), and tail others: those at which their probabilities, added in the order of ids, first exceed (j + 1/2)/tail of the sum,
// j = 0 .. tail-1.
func NewPrediction(logits []float32, next int32, top, tail int) Prediction {
	p := Prediction{Rest: math.Inf(-1), IDs: likeliest(logits, top)}
	if next >= 0 {
		p.Next = logits[next]
	}
	if len(logits) > top {
		kept := make([]bool, len(logits))
		for _, id := range p.IDs {
			kept[id] = true
		}
		most, last := math.Inf(-1), int32(0) // of the others
		for id, x := range logits {
			if !kept[id] {
				most, last = max(most, float64(x)), int32(id)
			}
		}
		masses, sum := make([]float64, len(logits)), 0.0 // over that of the likeliest of the others
		for id, x := range logits {
			if !kept[id] {
				masses[id] = math.Exp(float64(x) - most)
				sum += masses[id]
			}
		}
		p.Rest = most + math.Log(sum)
		at, id := 0.0, int32(-1)
		for j := range tail {
			for id < last && (id < 0 || kept[id] || at <= (float64(j)+0.5)/float64(tail)*sum) {
				id++
				at += masses[id]
			}
			p.IDs = append(p.IDs, id)
		}
	}
	for _, id := range p.IDs {
		p.Logits = append(p.Logits, logits[id])
	}
	return p
}

// likeliest lists the n greatest logits, falling, of equals the first.
func likeliest(logits []float32, n int) (ids []int32) {
	before := func(a, b int32) int { return cmp.Or(cmp.Compare(logits[b], logits[a]), cmp.Compare(a, b)) }
	least := float32(math.Inf(-1))
	for id, x := range logits {
		if x > least || len(ids) < n {
			ids = append(ids, int32(id))
		}
		if len(ids) == 4*n+64 {
			slices.SortFunc(ids, before)
			ids = ids[:n]
			least = logits[ids[n-1]]
		}
	}
	slices.SortFunc(ids, before)
	return slices.Clone(ids[:n])
}

// Limits of a references section.
const (
	maxVocab = 1 << 24
	maxKept  = 1 << 16 // tokens of a prediction, values of a whole row

	maxOutput = 256 // bytes of an output's name

	predictionsForm = 1
	resultsForm     = 2
)

// kept is how many values a row has in the file, ids how many of them are named.
func (r *References) kept() (values, ids int) {
	if r.Top == 0 {
		return r.Vocab, 0
	}
	return r.Top + r.Tail, r.Top + r.Tail
}

func (r *References) check() error {
	bad := func(s string, v ...any) error { return fmt.Errorf("%w: %s", ErrReferences, fmt.Sprintf(s, v...)) }
	if r.Rows != nil {
		return r.Rows.check()
	}
	switch {
	case r.Vocab < 1 || r.Vocab > maxVocab:
		return bad("vocabulary of %d, must be 1 to %d", r.Vocab, maxVocab)
	case !utf8.ValidString(r.Output) || len(r.Output) > maxOutput:
		return bad("the output's name is not UTF-8, or longer than %d bytes", maxOutput)
	case r.Top == 0 && r.Output != "" && r.Tail == 0 && r.Vocab <= maxKept: // whole rows
	case r.Top < 1 || r.Top > r.Vocab || r.Tail < 0 || (r.Tail == 0) != (r.Top == r.Vocab) || r.Top > maxKept || r.Tail > maxKept:
		return bad("%d likeliest and %d other tokens a prediction, of %d", r.Top, r.Tail, r.Vocab)
	case len(r.Cases) == 0:
		return bad("there is no case; leave the section out")
	}
	for i := range r.Cases {
		if err := r.Cases[i].check(r); err != nil {
			return bad("case %d: %v", i, err)
		}
	}
	return nil
}

func (c *Reference) check(r *References) error {
	if !utf8.ValidString(c.Prompt) {
		return fmt.Errorf("the prompt is not UTF-8")
	}
	end := len(c.Tokens) // of rows
	if r.Output == "" {
		end--
	}
	for _, t := range c.Tokens {
		if t < 0 || r.Output == "" && int(t) >= r.Vocab {
			return fmt.Errorf("token %d, the vocabulary has %d", t, r.Vocab)
		}
	}
	if c.Types != nil && (r.Output == "" || len(c.Types) != len(c.Tokens)) {
		return fmt.Errorf("%d types of %d tokens", len(c.Types), len(c.Tokens))
	}
	for _, t := range c.Types {
		if t < 0 {
			return fmt.Errorf("a token of type %d", t)
		}
	}
	if len(c.Rows) == 0 || len(c.Preds) != len(c.Rows) {
		return fmt.Errorf("%d predictions of %d rows, there must be one at least", len(c.Preds), len(c.Rows))
	}
	last := int32(-1)
	for i, row := range c.Rows {
		if row <= last || int(row) >= end {
			return fmt.Errorf("rows must rise and be below %d, row %d is %d of %d tokens", end, i, row, len(c.Tokens))
		}
		last = row
		if err := c.Preds[i].check(r); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return nil
}

func (p *Prediction) check(r *References) error {
	if values, ids := r.kept(); len(p.IDs) != ids || len(p.Logits) != values {
		return fmt.Errorf("%d tokens and %d logits, want %d and %d", len(p.IDs), len(p.Logits), ids, values)
	}
	if r.Top == 0 {
		for i, x := range p.Logits {
			if !num.Finite(x) {
				return fmt.Errorf("value %d is %g", i, x)
			}
		}
		return nil
	}
	if math.IsNaN(p.Rest) || math.IsInf(p.Rest, 1) || math.IsInf(p.Rest, -1) != (r.Tail == 0) || !num.Finite(p.Next) {
		return fmt.Errorf("the rest has %g and the next token the logit %g, must be finite", p.Rest, p.Next)
	}
	seen := make(map[int32]bool, r.Top)
	least := p.Logits[r.Top-1]
	for i, id := range p.IDs {
		x := p.Logits[i]
		top := i < r.Top
		switch {
		case id < 0 || int(id) >= r.Vocab:
			return fmt.Errorf("token %d, the vocabulary has %d", id, r.Vocab)
		case !num.Finite(x):
			return fmt.Errorf("the logit of token %d is %g", id, x)
		case top && i > 0 && (x > p.Logits[i-1] || x == p.Logits[i-1] && id < p.IDs[i-1]), !top && x > least:
			return fmt.Errorf("token %d with logit %g is not in its place", id, x)
		case seen[id]:
			return fmt.Errorf("token %d is there twice", id)
		}
		if top {
			seen[id] = true
		}
	}
	return nil
}

// encode gives u32 form, V, top, tail and cases (form 2: and bytes of the output's name, and the name), and for each case u32 prompt bytes,
// tokens and rows (form 2: and 1 for types, else 0), then the prompt, the tokens (u32), the types (u32), the rows (u32), and of all rows rest (f64),
// next (f32, form 1), ids (u32) and logits (f32). Whole rows have only logits.
func (r *References) encode() []byte {
	if r.Rows != nil {
		return r.Rows.encode()
	}
	var b []byte
	put := func(list ...int) {
		for _, n := range list {
			b = le.AppendUint32(b, uint32(n))
		}
	}
	form := predictionsForm
	if r.Output != "" {
		form = resultsForm
	}
	put(form, r.Vocab, r.Top, r.Tail, len(r.Cases))
	if form == resultsForm {
		put(len(r.Output))
		b = append(b, r.Output...)
	}
	for _, c := range r.Cases {
		put(len(c.Prompt), len(c.Tokens), len(c.Rows))
		if form == resultsForm {
			put(min(len(c.Types), 1))
		}
		b = append(b, c.Prompt...)
		b = appendInts(appendInts(appendInts(b, c.Tokens), c.Types), c.Rows)
		for _, p := range c.Preds {
			if r.Top > 0 {
				b = le.AppendUint64(b, math.Float64bits(p.Rest))
			}
		}
		for _, p := range c.Preds {
			if form == predictionsForm {
				b = le.AppendUint32(b, math.Float32bits(p.Next))
			}
		}
		for _, p := range c.Preds {
			b = appendInts(b, p.IDs)
		}
		for _, p := range c.Preds {
			b = appendFloats(b, p.Logits)
		}
	}
	return b
}

// decodeReferences checks each size against the bytes that are left before it allocates.
func decodeReferences(b []byte) (References, error) {
	c := &cutter{b: b}
	form := c.words(1)[0]
	switch {
	case c.err != nil:
		return References{}, c.err
	case form == rowsForm:
		rows, err := decodeRows(c)
		return References{Rows: rows}, err
	case form != predictionsForm && form != resultsForm:
		return References{}, fmt.Errorf("%w: %d; use a newer qpt", ErrReferencesForm, form)
	}
	h := c.words(4)
	vocab, top, tail, cases := h[0], h[1], h[2], h[3]
	if vocab > maxVocab || top > maxKept || tail > maxKept {
		c.fail("%d and %d tokens a prediction, of %d", top, tail, vocab)
	}
	r := References{Vocab: int(vocab), Top: int(top), Tail: int(tail)}
	head := 3 // numbers before a case
	if form == resultsForm {
		head = 4
		if r.Output = string(c.bytes(c.words(1)[0])); r.Output == "" {
			c.fail("results of an output without name")
		}
	}
	values, named := r.kept()
	row := uint64(values + named) // words of a row
	if top > 0 {
		row += 2
	}
	if form == predictionsForm {
		row++
	}
	for range cases {
		h := append(c.words(head), 0)
		prompt, tokens, rows, typed := h[0], h[1], h[2], h[3]
		if typed > 1 {
			c.fail("%d for types, must be 0 or 1", typed)
		}
		if prompt+4*(tokens*(1+typed)+rows*(1+row)) > uint64(len(c.b)) { // at most 2^60: no overflow
			c.fail("cut short")
		}
		if c.err != nil {
			return References{}, c.err
		}
		x := Reference{Prompt: string(c.bytes(prompt)), Tokens: c.ints(tokens)}
		if typed > 0 && tokens > 0 {
			x.Types = c.ints(tokens)
		}
		x.Rows, x.Preds = c.ints(rows), make([]Prediction, rows)
		if top > 0 {
			rest := c.bytes(8 * rows)
			for i := range x.Preds {
				x.Preds[i].Rest = math.Float64frombits(le.Uint64(rest[8*i:]))
			}
		}
		if form == predictionsForm {
			for i, v := range c.floats(rows) {
				x.Preds[i].Next = v
			}
		}
		ids, logits := c.ints(rows*uint64(named)), c.floats(rows*uint64(values))
		for i := range x.Preds {
			x.Preds[i].IDs, x.Preds[i].Logits = ids[i*named:(i+1)*named:(i+1)*named], logits[i*values:(i+1)*values:(i+1)*values]
		}
		r.Cases = append(r.Cases, x)
	}
	if err := c.end(); err != nil {
		return References{}, err
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

func floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(le.Uint32(b[4*i:]))
	}
	return v
}

func appendInts(b []byte, v []int32) []byte {
	for _, x := range v {
		b = le.AppendUint32(b, uint32(x))
	}
	return b
}

func appendFloats(b []byte, v []float32) []byte {
	for _, x := range v {
		b = le.AppendUint32(b, math.Float32bits(x))
	}
	return b
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
