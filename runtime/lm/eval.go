package lm

import (
	"context"
	"fmt"
	"math"
	"slices"

	"qpt/runtime/diff"
)

// Perplexity is the result of Model.Perplexity.
type Perplexity struct {
	Tokens  int      // scored
	Windows []Window // in order
	NLL     float64  // mean negative log-likelihood of a token, nats
	StdErr  float64  // of NLL, taking windows as the independent units; NaN for one window
	Top1    float64  // share of tokens that were the most likely ones
}

// Window is one piece of text scored together.
type Window struct {
	Tokens int
	NLL    float64 // summed, nats
}

// Value is exp(NLL).
func (p *Perplexity) Value() float64 { return math.Exp(p.NLL) }

// Piece is what a model is fed at once, and the token that it should predict
// at each place.
type Piece struct{ Fed, Want []int32 }

// Pieces cuts texts given as token lists without special tokens into windows
// of size tokens (0: the model's context less one; the last one of a text may be
// shorter). A window w is fed as [bos] + w[:n-1] and all its tokens are scored.
// Where the model has no begin-of-text token, the token before the window stands
// in its place, and the first token of a text is not scored.
func (m *Model) Pieces(docs [][]int32, size int) ([]Piece, error) {
	if size <= 0 {
		size = m.Meta.Model.Context - 1
	}
	if size <= 0 {
		return nil, fmt.Errorf("the model states no context length: give a window")
	}
	var pieces []Piece
	for _, ids := range docs {
		if len(ids) > 0 && int(slices.Max(ids)) >= m.vocab {
			return nil, fmt.Errorf("token %d is not in the vocabulary of %d", slices.Max(ids), m.vocab)
		}
		bos := m.Meta.Model.BOS
		if bos < 0 && len(ids) > 0 {
			bos, ids = int(ids[0]), ids[1:]
		}
		for w := range slices.Chunk(ids, size) {
			pieces = append(pieces, Piece{append([]int32{int32(bos)}, w[:len(w)-1]...), w})
			if m.Meta.Model.BOS < 0 {
				bos = int(w[len(w)-1])
			}
		}
	}
	if len(pieces) == 0 {
		return nil, fmt.Errorf("no text to score")
	}
	return pieces, nil
}

// Perplexity scores the windows of texts (see Pieces). progress, if not nil,
// is called after each window.
func (m *Model) Perplexity(ctx context.Context, docs [][]int32, window int, progress func(done, total int)) (*Perplexity, error) {
	windows, err := m.Pieces(docs, window)
	if err != nil {
		return nil, err
	}
	p := &Perplexity{}
	var sums []float64
	var tokens []int
	right := 0
	for i, w := range windows {
		var nll float64
		if err := m.Each(ctx, w.Fed, func(t int, logits []float32) {
			nll += diff.NLL(logits, w.Want[t])
			if diff.ArgMax(logits) == int(w.Want[t]) {
				right++
			}
		}); err != nil {
			return nil, err
		}
		p.Windows = append(p.Windows, Window{len(w.Want), nll})
		p.Tokens += len(w.Want)
		sums, tokens = append(sums, nll), append(tokens, len(w.Want))
		if progress != nil {
			progress(i+1, len(windows))
		}
	}
	p.Top1 = float64(right) / float64(p.Tokens)
	mean := diff.MeanOf(sums, tokens)
	p.NLL, p.StdErr = mean.Value, mean.StdErr
	return p, nil
}
