package runtime

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

// Perplexity scores texts given as token lists without special tokens. Each
// list is cut into windows of window tokens (0: the model's context less one;
// the last one may be shorter); a window w is fed as [bos] + w[:n-1] and all
// its tokens are scored. progress, if not nil, is called after each window.
func (m *Model) Perplexity(ctx context.Context, docs [][]int32, window int, progress func(done, total int)) (*Perplexity, error) {
	if window <= 0 {
		window = m.Meta.Model.Context - 1
	}
	if window <= 0 {
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
		for ; len(ids) > 0; ids = ids[min(window, len(ids)):] {
			windows = append(windows, ids[:min(window, len(ids))])
		}
	}
	if len(windows) == 0 {
		return nil, fmt.Errorf("no text to score")
	}
	p := &Perplexity{}
	var sum float64
	right := 0
	fed := make([]int32, 0, window)
	for i, w := range windows {
		fed = append(append(fed[:0], int32(m.Meta.Model.BOS)), w[:len(w)-1]...)
		var nll float64
		if err := m.each(ctx, fed, func(t int, logits []float32) {
			nll += diff.NLL(logits, w[t])
			if diff.ArgMax(logits) == int(w[t]) {
				right++
			}
		}); err != nil {
			return nil, err
		}
		p.Windows = append(p.Windows, Window{len(w), nll})
		p.Tokens += len(w)
		sum += nll
		if progress != nil {
			progress(i+1, len(windows))
		}
	}
	p.NLL = sum / float64(p.Tokens)
	p.Top1 = float64(right) / float64(p.Tokens)
	var ss float64
	for _, w := range p.Windows {
		d := w.NLL - p.NLL*float64(w.Tokens)
		ss += d * d
	}
	if n := float64(len(p.Windows)); n > 1 {
		p.StdErr = math.Sqrt(ss*n/(n-1)) / float64(p.Tokens)
	}
	return p, nil
}
