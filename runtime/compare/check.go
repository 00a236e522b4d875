package compare

import (
	"context"
	"fmt"
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
	Seconds float64       // that all took together, behind one that has warmed what they need
	Classes *diff.Logits  // of logits over classes, else nil
	Vectors *diff.Vectors // of any other output, else nil
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
	texts := make([]tokenizer.Encoding, len(refs.Cases))
	for i, c := range refs.Cases {
		texts[i] = tokenizer.Encoding{IDs: c.Tokens, TypeIDs: c.Types}
		if c.Types == nil {
			texts[i].TypeIDs = make([]int32, len(c.Tokens))
		}
	}
	if _, err := m.Rows(ctx, texts[:min(1, len(texts))], name); err != nil {
		return nil, err
	}
	start := time.Now()
	rows, err := m.Rows(ctx, texts, name)
	if err != nil {
		return nil, err
	}
	d := &Results{Output: name, Texts: len(texts), Seconds: time.Since(start).Seconds()}
	if classes {
		d.Classes = new(diff.Logits)
	} else {
		d.Vectors = new(diff.Vectors)
	}
	for i, c := range refs.Cases {
		d.Tokens += len(c.Tokens)
		for j, row := range c.Rows {
			p, got := &c.Preds[j], rows[i][int(row)*refs.Vocab:][:refs.Vocab]
			switch {
			case !classes:
				d.Vectors.Add(p.Logits, got)
			case refs.Top == 0:
				d.Classes.Add(p.Logits, got)
			default:
				d.Classes.AddShort(short(refs, p), -1, 0, got)
			}
		}
	}
	return d, nil
}
