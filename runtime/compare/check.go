package compare

import (
	"context"
	"fmt"
	"math"
	"time"

	"qpt/format"
	"qpt/runtime/diff"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
	"qpt/runtime/lm/tokenizer"
)

// Check runs the texts whose FP32 results are in the file and returns how
// far this model's logits are from them.
func Check(ctx context.Context, m *lm.Model) (*diff.Logits, error) {
	refs, err := m.References()
	if err != nil {
		return nil, err
	}
	if refs.Output != "" {
		return nil, fmt.Errorf("%s: %w: results of output %q, not predictions", m.File.Path(), format.ErrReferences, refs.Output)
	}
	var d diff.Logits
	for i, c := range refs.Cases {
		next := 0 // index in Rows, which rise
		if err := m.Each(ctx, c.Tokens, func(pos int, logits []float32) {
			if next < len(c.Rows) && pos == int(c.Rows[next]) {
				p := &c.Preds[next]
				d.AddShort(short(refs, p), c.Tokens[pos+1], p.Next, logits)
				next++
			}
		}); err != nil {
			return nil, fmt.Errorf("reference %d: %w", i, err)
		}
	}
	return &d, nil
}

func short(refs *format.References, p *format.Prediction) diff.Short {
	return diff.Short{IDs: p.IDs, Logits: p.Logits, Top: refs.Top, Rest: p.Rest}
}

// Results are how far an encoder's output is from FP32's.
type Results struct {
	Output  string
	Texts   int
	Tokens  int           // in all
	Seconds float64       // of CheckEncoder: that all took together, behind one that has warmed what they need
	Classes *diff.Logits  // of logits over classes, else nil
	Vectors *diff.Vectors // of any other output, else nil
	Each    []TextResult
}

// TextResult is what is worst among the rows of one text.
type TextResult struct {
	Cosine     float64 // least of a row's
	Difference float64 // greatest of a value's
	FP32, Got  int     // the classes that the row with that value gives most to
}

// NewResults holds no results of these texts yet.
func NewResults(m *encoder.Model, texts []tokenizer.Encoding) *Results {
	name, classes := encoder.Result(m.Graph)
	d := &Results{Output: name, Texts: len(texts), Each: make([]TextResult, len(texts))}
	for i := range d.Each {
		d.Each[i].Cosine = math.Inf(1)
		d.Tokens += len(texts[i].IDs)
	}
	if classes {
		d.Classes = new(diff.Logits)
	} else {
		d.Vectors = new(diff.Vectors)
	}
	return d
}

// Add takes in a row of a text.
func (d *Results) Add(text int, want, got []float32) {
	if d.Classes != nil {
		d.Classes.Add(want, got)
	} else {
		d.Vectors.Add(want, got)
	}
	d.Each[text].add(want, got, diff.ArgMax(want), diff.ArgMax(got))
}

func (r *TextResult) add(want, got []float32, best, ours int) {
	var t diff.Tensor
	t.Add(want, got)
	r.Cosine = min(r.Cosine, t.Cosine()) // NaN stays
	if x := t.MaxAbs(); !(x <= r.Difference) || r.Difference == 0 {
		r.Difference, r.FP32, r.Got = x, best, ours
	}
}

// CheckEncoder runs the texts whose FP32 results are in an encoder's file.
func CheckEncoder(ctx context.Context, m *encoder.Model) (*Results, error) {
	refs, err := m.References()
	if err != nil {
		return nil, err
	}
	name, classes := encoder.Result(m.Graph)
	if refs.Output != name {
		return nil, fmt.Errorf("%s: %w: results of output %q, want %q", m.File.Path(), format.ErrReferences, refs.Output, name)
	}
	if !classes && refs.Top > 0 {
		return nil, fmt.Errorf("%s: %w: rows of output %q, which has no classes, are cut short", m.File.Path(), format.ErrReferences, name)
	}
	texts := Encodings(refs)
	if _, err := m.Rows(ctx, texts[:min(1, len(texts))], name); err != nil {
		return nil, err
	}
	start := time.Now()
	rows, err := m.Rows(ctx, texts, name)
	if err != nil {
		return nil, err
	}
	d := NewResults(m, texts)
	d.Seconds = time.Since(start).Seconds()
	for i, c := range refs.Cases {
		for j, row := range c.Rows {
			p, got := &c.Preds[j], rows[i][int(row)*refs.Vocab:][:refs.Vocab]
			if refs.Top == 0 {
				d.Add(i, p.Logits, got)
				continue
			}
			d.Classes.AddShort(short(refs, p), -1, 0, got)
			known := make([]float32, len(p.IDs))
			for k, id := range p.IDs {
				known[k] = got[id]
			}
			d.Each[i].add(p.Logits, known, int(p.IDs[0]), diff.ArgMax(got))
		}
	}
	return d, nil
}

// Encodings are the texts of an encoder's references.
func Encodings(refs *format.References) []tokenizer.Encoding {
	texts := make([]tokenizer.Encoding, len(refs.Cases))
	for i, c := range refs.Cases {
		texts[i] = tokenizer.Encoding{IDs: c.Tokens, TypeIDs: c.Types}
		if c.Types == nil {
			texts[i].TypeIDs = make([]int32, len(c.Tokens))
		}
	}
	return texts
}
