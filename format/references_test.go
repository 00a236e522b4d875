package format

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// Rows come back as they were written, ends exactly, all else within half a step of the row's own range; whatever is cut or changed is an error.
func TestRows(t *testing.T) {
	w := sampleRows.Rows
	for i, want := range [][]float32{{-1, 0, 0.5, 3}, {2, 2, 2, 2}} {
		got := w.Inputs[0].Row(i)
		for j, x := range got {
			step := float64(w.Inputs[0].High[i]-w.Inputs[0].Low[i]) / 255
			if d := math.Abs(float64(x) - float64(want[j])); d > step/2+1e-6 || want[j] == w.Inputs[0].Low[i] && d != 0 || want[j] == w.Inputs[0].High[i] && d != 0 {
				t.Errorf("row %d, value %d: %v, want %v", i, j, x, want[j])
			}
		}
	}
	good := sampleRows.encode()
	got, err := decodeReferences(good)
	check(t, err)
	if d := cmp.Diff(sampleRows, got); d != "" {
		t.Error(d)
	}
	for n := 4; n < len(good); n++ {
		if _, err := decodeReferences(good[:n]); !errors.Is(err, ErrReferences) {
			t.Fatalf("cut to %d of %d bytes: error %v", n, len(good), err)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20000 { // no panic, no great allocation; what is accepted is written the same
		b := slices.Clone(good)
		for range 1 + rng.IntN(3) {
			b[4+rng.IntN(len(b)-4)] = []byte{0, 1, 2, 0x7f, 0x80, 0xff}[rng.IntN(6)]
		}
		if r, err := decodeReferences(b); err == nil && !slices.Equal(r.encode(), b) {
			t.Fatalf("accepted %x, written as %x", b, r.encode())
		} else if err != nil && !errors.Is(err, ErrReferences) {
			t.Fatal(err)
		}
	}
	for name, edit := range map[string]func(w *Rows){
		"rows":         func(w *Rows) { w.N = 3 },
		"no outputs":   func(w *Rows) { w.Outputs = nil },
		"ends":         func(w *Rows) { w.Inputs[0].Low[0] = 4 },
		"not finite":   func(w *Rows) { w.Outputs[0].Values[1] = float32(math.NaN()) },
		"places":       func(w *Rows) { w.Outputs[1].At[0] = 8 },
		"place beyond": func(w *Rows) { w.Outputs[1].At[1] = 9 },
		"name":         func(w *Rows) { w.Inputs[0].Name = "" },
		"shape":        func(w *Rows) { w.Inputs[0].Shape[0] = 0 },
		"huge":         func(w *Rows) { w.Inputs[0].Shape = []int{1 << 14, 1 << 15} },
	} {
		r, err := decodeReferences(good)
		check(t, err)
		edit(r.Rows)
		if _, err := decodeReferences(r.encode()); !errors.Is(err, ErrReferences) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
