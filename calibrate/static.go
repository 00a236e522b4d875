package calibrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// Observers are the names that NewObserver knows.
var Observers = []string{"minmax", "moving-average", "histogram", "percentile", "mse", "entropy"}

// NewObserver makes an observer of whole tensors by name, with its source's default settings.
func NewObserver(name string, g Grid) (Observer, error) {
	switch name {
	case "minmax":
		return NewMinMax(g), nil
	case "moving-average":
		return NewMovingAverageMinMax(g, 0.01), nil
	case "histogram":
		return NewHistogram(g), nil
	case "percentile":
		return NewPercentile(g, 99.999), nil
	case "mse":
		return NewMSE(g), nil
	case "entropy":
		return NewEntropy(g), nil
	}
	return nil, fmt.Errorf("observer %q is unknown, want one of %s", name, strings.Join(Observers, ", "))
}

// Static is how a value is quantized for the layers that read it (numerics N3.6).
type Static struct {
	Value    string
	Scale    float32
	Zero     int32   // 0..255
	Min, Max float32 // seen
	Clipped  float64 // share of the values seen that are beyond 0..255 by more than half a step
}

// StaticOptions of Observe; Seqs and Observer are required.
type StaticOptions struct {
	Seqs      [][]int32
	Types     [][]int32 // as those of Options
	Threads   int       // 0: all
	Memory    int64     // for the values of the sequences that walk together, in bytes; 0: no limit
	Observer  string    // one of Observers
	Symmetric bool
	// Progress, if set, is called with the steps done and the number in all.
	Progress func(done, total int)
}

// watched is a value that is observed.
type watched struct {
	name string
	end  int // node behind the one that makes it
	obs  Observer
	seen histogram
	few  *spread // of a value with few numbers a channel, or nil
}

// Observe runs the FP32 model over the sequences and chooses a range for each of these
// values, which must have readers, in order of execution. The result depends neither on Threads nor on Memory.
func Observe(ctx context.Context, g *graph.Graph, src graph.Source, values []string, opt StaticOptions) ([]Static, error) {
	grid := Grid{QMax: 255, Symmetric: opt.Symmetric}
	var list []*watched
	for i, n := range g.Nodes {
		if slices.Contains(values, n.Out[0]) {
			obs, err := NewObserver(opt.Observer, grid)
			if err != nil {
				return nil, err
			}
			list = append(list, &watched{name: n.Out[0], end: i + 1, obs: obs})
		}
	}
	parts := split(g, opt)
	for p, seqs := range parts {
		walk, err := ref.Start(g, src, ref.Texts(g, seqs...), ref.Options{Threads: opt.Threads, Dot: linear.MatMul()})
		if err != nil {
			return nil, err
		}
		for i, v := range list {
			if err := walk.Advance(ctx, v.end); err != nil {
				return nil, err
			}
			for _, x := range walk.Value(v.name) {
				if err := v.observe(x); err != nil {
					return nil, err
				}
			}
			if opt.Progress != nil {
				opt.Progress(p*len(list)+i+1, len(parts)*len(list))
			}
		}
	}
	var out []Static
	for _, v := range list {
		out = append(out, v.static())
	}
	return out, nil
}

// static is what was found.
func (v *watched) static() Static {
	q := v.obs.QParams()
	if v.few != nil {
		q = v.few.widen(q, v.seen.lo)
	}
	s := Static{Value: v.name, Scale: q.Scale, Zero: q.Zero, Min: v.seen.lo, Max: v.seen.hi}
	s.Clipped = v.seen.outside(float64(s.Scale)*(float64(-s.Zero)-0.5), float64(s.Scale)*(float64(255-s.Zero)+0.5))
	return s
}

// split cuts the sequences into parts that walk together: one pass over the weights for each.
func split(g *graph.Graph, opt StaticOptions) (parts [][]ref.Seq) {
	room := chunkTokens
	if opt.Memory > 0 {
		widest := graph.Dim(1)
		for _, v := range g.Values {
			if !slices.Contains(g.Outputs, v.Name) { // no walk comes there
				widest = max(widest, v.Shape[len(v.Shape)-1])
			}
		}
		room = int(min(chunkTokens, opt.Memory/(8*4*int64(widest)))) // up to 8 values are alive
	}
	left := 0
	for i, ids := range opt.Seqs {
		if left -= len(ids); left < 0 {
			parts = append(parts, nil)
			left = room - len(ids)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], ref.Seq{IDs: ids, Types: typesOf(opt.Types, i)})
	}
	return parts
}

func (v *watched) observe(x graph.Tensor) error {
	if v.few != nil {
		v.few.observe(x.F)
	}
	if i := slices.IndexFunc(x.F, func(f float32) bool { return !num.Finite(f) }); i >= 0 {
		return fmt.Errorf("calibrate: value %q is %v: the model overflows on the calibration text", v.name, x.F[i])
	}
	var both sync.WaitGroup
	both.Go(func() { v.seen.Observe(x.F) })
	v.obs.Observe(x.F)
	both.Wait()
	return nil
}
