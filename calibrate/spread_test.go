package calibrate_test

import (
	"math/rand/v2"
	"testing"

	"qpt/calibrate"
	"qpt/format/graph"
)

// The range of a value with few numbers a channel goes about four deviations beyond the mean of the widest, that of one with many holds what was seen; what is never negative stays so.
func TestObserveFew(t *testing.T) {
	for _, c := range []struct {
		rows, places int
		few          bool
	}{{16, 1, true}, {24, 4, true}, {25, 4, false}, {64, 64, false}} {
		const channels = 3
		b := graph.NewBuilder()
		n := b.Symbol("B")
		b.Input("x", graph.Float, n, graph.Dim(c.places), channels)
		b.Input("y", graph.Float, n, graph.Dim(c.places), channels)
		b.Output("z", b.Node("z", graph.Binary{Func: "add"}, []string{"x", "y"}))
		g, err := b.Graph()
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		x, y := make([]float32, c.rows*c.places*channels), make([]float32, c.rows*c.places*channels)
		for i := range x {
			x[i] = float32(rng.NormFloat64())*float32(1+i%channels) + 10
			y[i] = float32(rng.Float64()) - 4
		}
		shape := []int{c.rows, c.places, channels}
		rows := &calibrate.Rows{N: c.rows, Inputs: []calibrate.Named{{Name: "x", Tensor: graph.Tensor{Shape: shape, F: x}}, {Name: "y", Tensor: graph.Tensor{Shape: shape, F: y}}}}
		got, err := calibrate.ObserveRows(t.Context(), g, nil, []string{"x", "y"}, rows, calibrate.StaticOptions{Observer: "minmax"})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range [][2]float32{{0, 22}, {-4.7, 0}} {
			s := got[i]
			lo, hi := s.Scale*float32(-s.Zero), s.Scale*float32(255-s.Zero)
			if !c.few {
				want = [2]float32{min(s.Min, 0), max(s.Max, 0)}
			}
			if d := max(lo-want[0], want[0]-lo, hi-want[1], want[1]-hi); d > 2 || !c.few && d > s.Scale {
				t.Errorf("%d rows of %d places, %s: %v to %v, want about %v", c.rows, c.places, s.Value, lo, hi, want)
			}
		}
	}
}
