package calibrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"qpt/format/graph"
	"qpt/kernels"
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

// StaticOptions of Observe; all are required but Symmetric and Progress.
type StaticOptions struct {
	Seqs      [][]int32
	Threads   int
	Observer  string // one of Observers
	Symmetric bool
	// Progress, if set, is called with the values done and the number in all.
	Progress func(done, total int)
}

// Observe runs the FP32 model over the sequences and chooses a range for each of these
// values, in order of execution. Memory holds what the run itself needs and a histogram.
func Observe(ctx context.Context, g *graph.Graph, src ref.Source, values []string, opt StaticOptions) ([]Static, error) {
	grid := Uint8(opt.Symmetric, false)
	if _, err := NewObserver(opt.Observer, grid); err != nil {
		return nil, err
	}
	var seqs []ref.Seq
	for _, ids := range opt.Seqs {
		seqs = append(seqs, ref.Seq{IDs: ids})
	}
	ctx, stop := context.WithCancel(ctx) // what comes after the last value is not needed
	defer stop()
	var list []Static
	var obs Observer
	var seen *histogram
	var failed error
	_, err := ref.Run(ctx, g, src, seqs, ref.Options{Threads: opt.Threads, Dot: kernels.MatMul(), Tap: func(n *graph.Node, seq int, _ []ref.Tensor, out ref.Tensor) {
		if failed != nil || !slices.Contains(values, n.Out[0]) {
			return
		}
		if i := slices.IndexFunc(out.F, func(v float32) bool { return !finite(v) }); i >= 0 {
			failed = fmt.Errorf("calibrate: value %q is %v: the model overflows on the calibration text", n.Out[0], out.F[i])
			stop()
			return
		}
		if seq == 0 {
			obs, _ = NewObserver(opt.Observer, grid)
			seen = new(histogram)
		}
		var both sync.WaitGroup
		both.Go(func() { seen.Observe(out.F, out.Shape) })
		obs.Observe(out.F, out.Shape)
		both.Wait()
		if seq < len(seqs)-1 {
			return
		}
		q := obs.QParams()
		s := Static{Value: n.Out[0], Scale: q.Scale[0], Zero: q.Zero[0], Min: seen.lo, Max: seen.hi}
		s.Clipped = seen.outside(float64(s.Scale)*(float64(-s.Zero)-0.5), float64(s.Scale)*(float64(255-s.Zero)+0.5))
		if list = append(list, s); len(list) == len(values) {
			stop()
		}
		if opt.Progress != nil {
			opt.Progress(len(list), len(values))
		}
	}})
	if failed != nil || len(list) == len(values) {
		return list, failed
	}
	return nil, err
}
