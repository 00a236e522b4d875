package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/report"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/compare"
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

// outputsOf words how far a network's outputs are from FP32's.
func outputsOf(m *runtime.Model, list []compare.Output) *report.Outputs {
	doc := &report.Outputs{Left: []string{}}
	for _, o := range list {
		d := report.Output{Output: o.Name, Rows: o.Rows, Values: o.Size, Kept: o.Kept, Least: report.Number(o.Vectors.Least()), Distance: distance(&o.Vectors.Tensor)}
		if c := o.Classes; c != nil {
			top1, kl := report.Number(c.Top1()), report.Number(c.KL())
			d.Top1, d.KL = &top1, &kl
		}
		doc.Outputs = append(doc.Outputs, d)
	}
	for _, name := range m.Graph.Outputs {
		if !slices.ContainsFunc(list, func(o compare.Output) bool { return o.Name == name }) {
			doc.Left = append(doc.Left, name)
		}
	}
	return doc
}

func printOutputs(d *report.Outputs) error {
	t := ui.NewTable("output", "rows", "values", "SQNR dB", "max-abs", "least cosine", "top-1").Notes()
	for _, o := range d.Outputs {
		values, top1 := fmt.Sprint(o.Values), "-"
		if o.Kept < o.Values {
			values = fmt.Sprintf("%d of %d", o.Kept, o.Values)
		}
		if o.Top1 != nil {
			top1 = fmt.Sprintf("%.0f of %d", float64(*o.Top1)*float64(o.Rows), o.Rows)
		}
		t.Row(o.Output, o.Rows, values, strings.TrimSuffix(dB(float64(o.SQNR)), " dB"), fmt.Sprintf("%.3g", float64(o.MaxAbs)), fmt.Sprintf("%.5f", float64(o.Least)), top1)
	}
	if err := t.Print(ui.Stdout); err != nil {
		return err
	}
	if len(d.Left) > 0 {
		fmt.Fprintf(ui.Stdout, "not compared, since integers: %s\n", strings.Join(d.Left, ", "))
	}
	return nil
}

// checkOutputs compares the outputs of a network with the limits: those of classes as predictions, others as vectors.
func (l *limits) checkOutputs(list []compare.Output) error {
	for _, o := range list {
		err := l.checkVectors(o.Vectors)
		if o.Classes != nil {
			err = l.check(o.Classes)
		}
		if e := new(ui.ExitError); errors.As(err, &e) {
			return &ui.ExitError{Code: e.Code, Err: fmt.Errorf("%s: %w", o.Name, e.Err), Hint: "qconv --max-drop finds the layers that int8 harms and keeps them in float32"}
		}
	}
	return nil
}

// fitOutputs says whether the limits are for what a network gives.
func (l *limits) fitOutputs(g *graph.Graph) error {
	values, classes, others := g.ValueMap(), false, false
	for _, name := range g.Outputs {
		if s := values[name].Shape; len(s) == 2 && s[1] != 1 {
			classes = true
		} else {
			others = true
		}
	}
	switch {
	case l.minCos.Given && !others:
		return l.fit("", true)
	case (l.maxKL.Given || l.minTop1.Given) && !classes:
		return l.fit("", false)
	}
	return nil
}

// reportPasses is how many passes of each size a report times.
const reportPasses = 5

// reportNetwork adds the accuracy and speed of a network on pictures or tensors, and returns what holds the accuracy against the limits.
func reportNetwork(ctx context.Context, o *options, m *runtime.Model, r *reportOptions, doc *reportDoc) (limits func() error, err error) {
	of := "rows"
	if m.Meta.Model.Image != nil {
		of = "pictures"
	}
	list, err := compare.CheckNetwork(ctx, m)
	switch {
	case err == nil:
		d := outputsOf(m, list)
		doc.Check = d
		if !o.JSON {
			err = printOutputs(d)
		}
	case errors.Is(err, format.ErrMissing):
		err = nil
		if !o.JSON {
			why, then := "converted without calibration data, whose rows they would be of", "qrun run gives the results of two files on one input"
			if m.Meta.Calibration != "" {
				why = "converted with --references -1"
			}
			if m.Meta.Model.Image != nil {
				then = "qrun eval --images PATH --against FILE compares with the network in --scheme f32"
			}
			fmt.Fprintf(ui.Stdout, "  none embedded (%s); %s\n", why, then)
		}
	}
	if err != nil {
		return nil, err
	}
	if !o.JSON {
		fmt.Fprintln(ui.Stdout)
	}
	return func() error { return r.limits.checkOutputs(list) }, times(m, func(pass func(context.Context) error) ([]float64, error) {
		return timed(reportPasses, func() error { return pass(ctx) }, func() {})
	}, func(rows int, seconds []float64) {
		took := median(seconds)
		doc.Passes = append(doc.Passes, networkPass{rows, number(took)})
		if !o.JSON {
			fmt.Fprintf(ui.Stdout, "speed    %d at a time: %.3g ms, %.4g %s/s\n", rows, 1000*took, float64(rows)/took, of)
		}
	})
}
