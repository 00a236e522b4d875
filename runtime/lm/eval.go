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
	StdErr  float64  // of NLL, taking windows as the independent units
	Top1    float64  // share of tokens that were the most likely ones
}

// Window is one piece of text scored together.
type Window struct {
	Tokens int
	NLL    float64 // summed, nats
}

// Value is exp(NLL).
func (p *Perplexity) Value() float64 { return math.Exp(p.NLL) }

// Windows cuts texts given as token lists without special tokens into windows
// of size tokens (0: the model's context less one; the last one of a text may be
// shorter). A window w is fed as Feed(w) and all its tokens are scored.
func (m *Model) Windows(docs [][]int32, size int) ([][]int32, error) {
	if size <= 0 {
		size = m.Meta.Model.Context - 1
	}
	if size <= 0 {
		return nil, fmt.Errorf("the model states no context length: give a window")
	}
	if m.Meta.Model.BOS < 0 {
		return nil, fmt.Errorf("the model has no begin-of-text token, which the protocol needs")
	}
	var windows [][]int32
	for _, ids := range docs {
		if len(ids) > 0 && int(slices.Max(ids)) >= m.vocab {
			return nil, fmt.Errorf("token %d is not in the vocabulary of %d", slices.Max(ids), m.vocab)
		}
		for ; len(ids) > 0; ids = ids[min(size, len(ids)):] {
			windows = append(windows, ids[:min(size, len(ids))])
		}
	}
	if len(windows) == 0 {
		return nil, fmt.Errorf("no text to score")
	}
	return windows, nil
}

// Feed is what predicts the tokens of a window: [bos] + w[:n-1].
func (m *Model) Feed(w []int32) []int32 {
	return append([]int32{int32(m.Meta.Model.BOS)}, w[:len(w)-1]...)
}

// Perplexity scores the windows of texts (see Windows). progress, if not nil,
// is called after each window.
func (m *Model) Perplexity(ctx context.Context, docs [][]int32, window int, progress func(done, total int)) (*Perplexity, error) {
	windows, err := m.Windows(docs, window)
	if err != nil {
		return nil, err
	}
	p := &Perplexity{}
	var sums []float64
	var tokens []int
	right := 0
	for i, w := range windows {
		var nll float64
		if err := m.Each(ctx, m.Feed(w), func(t int, logits []float32) {
			nll += diff.NLL(logits, w[t])
			if diff.ArgMax(logits) == int(w[t]) {
				right++
			}
		}); err != nil {
			return nil, err
		}
		p.Windows = append(p.Windows, Window{len(w), nll})
		p.Tokens += len(w)
		sums, tokens = append(sums, nll), append(tokens, len(w))
		if progress != nil {
			progress(i+1, len(windows))
		}
	}
	p.Top1 = float64(right) / float64(p.Tokens)
	mean := diff.MeanOf(sums, tokens)
	p.NLL = mean.Value
	if len(windows) > 1 {
		p.StdErr = mean.StdErr
	}
	return p, nil
}
