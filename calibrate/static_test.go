package calibrate

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/runtime/ref"
)

// outside counts what is beyond an interval, whatever is in the histogram.
func TestOutside(t *testing.T) {
	var h histogram
	if got := h.outside(-1, 1); got != 0 {
		t.Errorf("nothing seen: %v", got)
	}
	h.Observe([]float32{3, 3, 3})
	if a, b := h.outside(0, 3), h.outside(0, 2); a != 0 || b != 1 {
		t.Errorf("a constant: %v, %v", a, b)
	}
	h = histogram{}
	x := make([]float32, 1<<16)
	for i := range x {
		x[i] = float32(i) / (1 << 16)
	}
	h.Observe(x)
	h.Observe([]float32{-1}) // the range grows, the counts move
	for _, c := range [][3]float64{{-2, 2, 0}, {-0.5, 2, 1. / (1 << 16)}, {-2, 0.75, 0.25}, {0.25, 0.5, 0.75}, {5, 6, 1}} {
		if got := h.outside(c[0], c[1]); math.Abs(got-c[2]) > 1e-3 {
			t.Errorf("beyond %v to %v: %v, want %v", c[0], c[1], got, c[2])
		}
	}
}

// A bin holds more values than a float32 counts one by one.
func TestHistogramCountsMany(t *testing.T) {
	var h histogram
	batch := make([]float32, 1<<20)
	for range 20 {
		h.Observe(batch)
	}
	if got := h.counts[h.bin(0)]; got != 20<<20 {
		t.Errorf("%v values counted, want %d", got, 20<<20)
	}
}

// Observe gives each value the range that its observer chooses when it sees the value itself.
func TestObserve(t *testing.T) {
	g, src, calib, _ := stories(t)
	const first, last = "model.layers.0.input_layernorm", "model.norm"
	values := []string{first, "model.layers.3.mlp.gated", last}
	seqs := [][]int32{calib[0][:40], calib[1][:40], calib[2][:40]}
	seen := map[string][]graph.Tensor{}
	var in []ref.Seq
	for _, ids := range seqs {
		in = append(in, ref.Seq{IDs: ids})
	}
	_, err := ref.Logits(context.Background(), g, src, in, ref.Options{Tap: func(n *graph.Node, _ int, _ []graph.Tensor, out graph.Tensor) {
		if slices.Contains(values, n.Out[0]) {
			out.F = slices.Clone(out.F)
			seen[n.Out[0]] = append(seen[n.Out[0]], out)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range append(Observers, "minmax") {
		symmetric := i >= 4
		got, err := Observe(context.Background(), g, src, values, StaticOptions{Seqs: seqs, Threads: 1 + i%2, Memory: []int64{0, 1, 1 << 20}[i%3], Observer: name, Symmetric: symmetric})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(values) {
			t.Fatalf("%s: %d values", name, len(got))
		}
		for i, s := range got {
			want, err := NewObserver(name, Grid{QMax: 255, Symmetric: symmetric})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range seen[values[i]] {
				want.Observe(x.F)
			}
			q := want.QParams()
			if s.Value != values[i] || s.Scale != q.Scale || s.Zero != q.Zero || symmetric && s.Zero != 128 || !(s.Min < 0 && s.Max > 0) || s.Clipped > 0.01 {
				t.Errorf("%s: %+v, want %+v", name, s, q)
			}
		}
	}
	if _, err := Observe(context.Background(), g, src, values, StaticOptions{Seqs: calib[:1], Observer: "median"}); err == nil || !strings.Contains(err.Error(), `observer "median" is unknown`) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Observe(ctx, g, src, values, StaticOptions{Seqs: calib[:1], Observer: "mse"}); err != context.Canceled {
		t.Error(err)
	}
	broken := overflowing{src}
	if _, err := Observe(context.Background(), g, broken, values, StaticOptions{Seqs: calib[:1], Observer: "mse"}); err == nil || !strings.Contains(err.Error(), first) || !strings.Contains(err.Error(), "overflows") {
		t.Error(err)
	}
}

// overflowing is a source whose first norm multiplies by infinity.
type overflowing struct{ graph.Source }

func (s overflowing) ReadRows(name string, r0, r1 int, dst []float32) error {
	err := s.Source.ReadRows(name, r0, r1, dst)
	if name == "model.layers.0.input_layernorm.weight" {
		for i := range dst {
			dst[i] = float32(math.Inf(1))
		}
	}
	return err
}
