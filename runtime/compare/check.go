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

// Check runs the prompts whose FP32 results are in the file and returns how
// far this model's logits are from them.
func Check(ctx context.Context, m *lm.Model) (*diff.Logits, error) {
	refs, err := m.File.References()
	if err != nil {
		return nil, err
	}
	if refs.Vocab != m.Vocab() {
		return nil, fmt.Errorf("%w: %s: references have %d logits a row, the graph gives %d", format.ErrCorrupt, m.File.Path(), refs.Vocab, m.Vocab())
	}
	var d diff.Logits
	for i, c := range refs.Cases {
		if len(c.Tokens) > maxReference {
			return nil, fmt.Errorf("%w: %s: reference %d has %d tokens, at most %d are run", format.ErrCorrupt, m.File.Path(), i, len(c.Tokens), maxReference)
		}
		next := 0 // index in Rows, which rise
		if err := m.Each(ctx, c.Tokens, func(pos int, logits []float32) {
			if next < len(c.Rows) && pos == int(c.Rows[next]) {
				d.Add(c.Logits[next*m.Vocab():(next+1)*m.Vocab()], logits)
				next++
			}
		}); err != nil {
			return nil, fmt.Errorf("reference %d: %w", i, err)
		}
	}
	return &d, nil
}
