package compare

import (
	"context"
	"fmt"

	"qpt/runtime/diff"
	"qpt/runtime/lm"
)

// Check runs the texts whose FP32 results are in the file and returns how
// far this model's logits are from them.
func Check(ctx context.Context, m *lm.Model) (*diff.Logits, error) {
	refs, err := m.References()
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
