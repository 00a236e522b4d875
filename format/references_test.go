package format

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNewPrediction(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		logits := make([]float32, 2+rng.IntN(300))
		for i := range logits {
			logits[i] = float32(rng.IntN(40)-20) / 4 // many equal ones
		}
		top, tail := 1+rng.IntN(len(logits)), 0
		if top < len(logits) {
			tail = 1 + rng.IntN(40)
		}
		next := int32(rng.IntN(len(logits)))
		p := NewPrediction(logits, next, top, tail)
		order := make([]int32, len(logits))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortStableFunc(order, func(a, b int32) int {
			switch {
			case logits[a] > logits[b]:
				return -1
			case logits[a] < logits[b]:
				return 1
			}
			return 0
		})
		if !slices.Equal(p.IDs[:top], order[:top]) {
			t.Fatalf("the likeliest %d of %v: %v, want %v", top, logits, p.IDs[:top], order[:top])
		}
		r := References{Vocab: len(logits), Top: top, Tail: tail, Cases: []Reference{{Tokens: []int32{0, next}, Rows: []int32{0}, Preds: []Prediction{p}}}}
		check(t, r.check())
		// The sample stands for the rest: each token for its share, but for one step of the sample.
		sum := 0.0
		for _, id := range order[top:] {
			sum += math.Exp(float64(logits[id]))
		}
		if tail > 0 && math.Abs(p.Rest-math.Log(sum)) > 1e-12 {
			t.Errorf("rest %v, want %v", p.Rest, math.Log(sum))
		}
		for _, id := range order[top:] {
			n := 0
			for _, x := range p.IDs[top:] {
				if x == id {
					n++
				}
			}
			if want := math.Exp(float64(logits[id])) / sum * float64(tail); math.Abs(float64(n)-want) > 1 {
				t.Errorf("token %d stands %d times in the sample of %d, want %.2f", id, n, tail, want)
			}
		}
	}
	// What lies far below the likeliest does not get lost.
	p := NewPrediction([]float32{1000, -1000, -1001}, 0, 1, 2)
	if want := -1000 + math.Log1p(math.Exp(-1)); p.Rest != want || !slices.Equal(p.IDs, []int32{0, 1, 2}) {
		t.Errorf("rest %v, want %v; ids %v", p.Rest, want, p.IDs)
	}
}

// Results of an encoder come back as they were written: whole rows, or the likeliest; what does not fit is refused.
func TestResultsForm(t *testing.T) {
	c := Reference{Prompt: "a b", Tokens: []int32{5, 900, 7}, Rows: []int32{2}, Preds: []Prediction{{Logits: []float32{1, -2, 0.5}}}}
	typed := c
	typed.Types = []int32{0, 0, 1}
	whole := References{Output: "logits", Vocab: 3, Cases: []Reference{c, typed}}
	short := References{Output: "logits", Vocab: 3, Top: 1, Tail: 2, Cases: []Reference{{Tokens: c.Tokens, Rows: c.Rows, Preds: []Prediction{NewPrediction([]float32{1, -2, 0.5}, -1, 1, 2)}}}}
	for _, r := range []References{whole, short} {
		check(t, r.check())
		b := r.encode()
		got, err := decodeReferences(b)
		check(t, err)
		if !slices.Equal(got.encode(), b) || got.Output != r.Output || len(got.Cases) != len(r.Cases) || !slices.Equal(got.Cases[len(r.Cases)-1].Types, r.Cases[len(r.Cases)-1].Types) {
			t.Errorf("%+v came back as %+v", r, got)
		}
		for n := range b {
			if _, err := decodeReferences(b[:n]); !errors.Is(err, ErrReferences) {
				t.Fatalf("%d of %d bytes: %v", n, len(b), err)
			}
		}
	}
	for name, edit := range map[string]func(r *References){
		"no output":        func(r *References) { r.Output = "" },
		"a row too long":   func(r *References) { r.Vocab = 4 },
		"a row beyond":     func(r *References) { r.Cases[0].Rows = []int32{3} },
		"types of another": func(r *References) { r.Cases[1].Types = []int32{0} },
		"not finite":       func(r *References) { r.Cases[0].Preds = []Prediction{{Logits: []float32{1, 2, float32(math.NaN())}}} },
	} {
		r := whole
		r.Cases = slices.Clone(whole.Cases)
		if edit(&r); !errors.Is(r.check(), ErrReferences) {
			t.Errorf("%s: %v", name, r.check())
		}
	}
}
