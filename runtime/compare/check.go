package compare

import (
	"context"
	"fmt"

	"qpt/format"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
)

// maxReference bounds the tokens of one embedded prompt: a hostile file could
// hold millions, compressed to nothing.
const maxReference = 4096

// References reads the predictions embedded in the file and holds them against its graph.
func References(m *lm.Model) (*format.References, error) {
	refs, err := m.File.References()
	if err != nil {
		return nil, err
	}
	bad := func(s string, v ...any) error {
		return fmt.Errorf("%w: %s: %s", format.ErrReferences, m.File.Path(), fmt.Sprintf(s, v...))
	}
	if refs.Vocab != m.Vocab() {
		return nil, bad("the vocabulary has %d tokens, the graph gives %d logits", refs.Vocab, m.Vocab())
	}
	for i, c := range refs.Cases {
		if len(c.Tokens) > maxReference {
			return nil, bad("case %d has %d tokens, at most %d are run", i, len(c.Tokens), maxReference)
		}
	}
	return &refs, nil
}

// Check runs the texts whose FP32 results are in the file and returns how
// far this model's logits are from them.
func Check(ctx context.Context, m *lm.Model) (*diff.Logits, error) {
	refs, err := References(m)
	if err != nil {
		return nil, err
	}
	var d diff.Logits
	for i, c := range refs.Cases {
		next := 0 // index in Rows, which rise
		if err := m.Each(ctx, c.Tokens, func(pos int, logits []float32) {
			if next < len(c.Rows) && pos == int(c.Rows[next]) {
				p := &c.Preds[next]
				d.AddShort(diff.Short{IDs: p.IDs, Logits: p.Logits, Top: refs.Top, Rest: p.Rest}, c.Tokens[pos+1], p.Next, logits)
				next++
			}
		}); err != nil {
			return nil, fmt.Errorf("reference %d: %w", i, err)
		}
	}
	return &d, nil
}
