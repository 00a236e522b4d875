package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"qpt/format/graph"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
)

// networkBatches are how many rows reports and qrun bench run of a network at a time.
var networkBatches = []int{1, 8}

// isNetwork tells whether a file takes pictures or tensors, not texts.
func isNetwork(m *runtime.Model) bool {
	return m.Meta.Model.Image != nil || lm.Check(m.Graph) != nil && encoder.Check(m.Graph) != nil
}

// anyRows are inputs of a network whose first dimension, where it is open, is n: waves, and integers of 0. rows is what the first has of it.
func anyRows(m *runtime.Model, n int) (inputs map[string]runtime.Tensor, rows int, err error) {
	inputs = map[string]runtime.Tensor{}
	for i, in := range m.Graph.Inputs {
		x, size := runtime.Tensor{}, 1
		for j, d := range in.Shape {
			v := int(d)
			switch image := m.Meta.Model.Image; {
			case v >= 0:
			case j == 0:
				v = n
			case image != nil && j >= 2:
				v = []int{image.Height, image.Width}[j-2]
			default:
				return nil, 0, fmt.Errorf("%s: dimension %d of input %s is open, so there is nothing to time: qrun run takes tensors", m.File.Path(), j, in.Name)
			}
			x.Shape, size = append(x.Shape, v), size*v
		}
		if in.DType == graph.Int {
			x.I = make([]int32, size)
		} else {
			x.F = make([]float32, size)
			for k := range x.F {
				x.F[k] = float32(k*104729%1024)/512 - 1
			}
		}
		if i == 0 && len(x.Shape) > 0 {
			rows = x.Shape[0]
		}
		inputs[in.Name] = x
	}
	return inputs, max(rows, 1), nil
}

// networkPass is how long a pass of a network takes.
type networkPass struct {
	Rows    int    `json:"rows"`
	Seconds number `json:"seconds"` // median
}

// times runs one row and several, each so often after a warm-up, and gives the seconds of each to done.
func times(m *runtime.Model, rounds func(pass func(context.Context) error) ([]float64, error), done func(rows int, seconds []float64)) error {
	last := 0
	for _, n := range networkBatches {
		inputs, rows, err := anyRows(m, n)
		if err != nil {
			return err
		}
		if rows == last { // their number is not open
			break
		}
		last = rows
		seconds, err := rounds(func(ctx context.Context) error {
			_, err := m.Run(ctx, inputs, runtime.RunOptions{})
			return err
		})
		if err != nil {
			return err
		}
		done(rows, seconds)
	}
	return nil
}

// measureNetwork tells how many rows a network takes a second.
func (b *benchOptions) measureNetwork(c *cobra.Command, m *runtime.Model, doc *benchDoc) error {
	if err := b.onlyTokens(c, "prefill", "decode", "depth", "mixed", "min-decode-bandwidth"); err != nil {
		return err
	}
	unit := rowsPerSecond
	if m.Meta.Model.Image != nil {
		unit = picturesPerSecond
	}
	bar := ui.NewProgress(b.Verbosity(), "bench", int64(len(networkBatches)*(b.repeats+1)), ui.Count)
	defer bar.Done()
	var probes *machine
	return times(m, func(pass func(context.Context) error) (seconds []float64, err error) {
		seconds, probes, err = b.rounds(m, bar, func() error { return pass(c.Context()) })
		return seconds, err
	}, func(rows int, seconds []float64) {
		doc.add(m, fmt.Sprintf("%d at a time", rows), unit, rows, seconds, bound{}, probes)
	})
}

// reportPasses is how many passes of each size a report times.
const reportPasses = 5

// reportNetwork adds the speed of a network on pictures or tensors.
func reportNetwork(ctx context.Context, o *options, m *runtime.Model, doc *reportDoc) error {
	of, then := "rows", "qrun run gives the results of two files on one input"
	if m.Meta.Model.Image != nil {
		of, then = "pictures", "qrun eval --images PATH --against FILE compares with the network in --scheme f32"
	}
	if !o.JSON {
		fmt.Fprintf(ui.Stdout, "  none in files of networks; %s\n\n", then)
	}
	return times(m, func(pass func(context.Context) error) (seconds []float64, err error) {
		for i := range reportPasses + 1 {
			start := time.Now()
			if err := pass(ctx); err != nil {
				return nil, err
			}
			if i > 0 {
				seconds = append(seconds, time.Since(start).Seconds())
			}
		}
		return seconds, nil
	}, func(rows int, seconds []float64) {
		took := median(seconds)
		doc.Passes = append(doc.Passes, networkPass{rows, number(took)})
		if !o.JSON {
			fmt.Fprintf(ui.Stdout, "speed    %d at a time: %.3g ms, %.4g %s/s\n", rows, 1000*took, float64(rows)/took, of)
		}
	})
}
