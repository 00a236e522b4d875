// Command families converts small checkpoints of many model families and holds them against the
// results of the reference library that lie beside them:
//
//	go run ./bench/families DIR...
//
// A DIR has a checkpoint and goldens.safetensors: pN.input_ids and pN.logits for some prompts, pN.hidden.I and pN.hidden.final,
// pN.greedy with pN.greedy_margin. It is converted to f32; the table shows the greatest difference of logits and of hidden
// states, as a share of the greatest golden value, and whether the greedy text is the same up to the first step that is as good as a tie.
// Exit code 1 if a difference is above --tolerance.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/lm"
)

func main() {
	tolerance := pflag.Float64("tolerance", 1e-5, "greatest difference, as a share of the greatest golden value")
	scheme := pflag.String("scheme", "f32", "convert to this `SCHEME`")
	pflag.Parse()
	bad := 0
	table := ui.NewTable("checkpoint", "logits", "hidden", "greedy", "note")
	for _, dir := range pflag.Args() {
		r, err := check(dir, *scheme, *tolerance)
		if err != nil {
			r.note, r.failed = err.Error(), true
		}
		if r.failed {
			bad++
		}
		table.Row(filepath.Base(dir), r.logits, r.hidden, r.greedy, r.note)
	}
	if err := table.Print(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "families: error:", err)
		os.Exit(1)
	}
	fmt.Printf("%d of %d within %g\n", pflag.NArg()-bad, pflag.NArg(), *tolerance)
	if bad > 0 {
		os.Exit(1)
	}
}

// result is a row of the table.
type result struct {
	logits, hidden, greedy, note string
	failed                       bool
}

func check(dir, scheme string, tolerance float64) (r result, err error) {
	tmp, err := os.MkdirTemp("", "families-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "m.qpt")
	p, err := convert.MakePlan(convert.Options{In: dir, Out: out, Scheme: scheme})
	if err != nil {
		return r, err
	}
	_, err = p.Run(context.Background(), convert.Hooks{})
	p.Close()
	if err != nil {
		return r, err
	}
	m, err := lm.Load(out, runtime.Options{})
	if err != nil {
		return r, err
	}
	defer m.Close()
	g, err := safetensors.Open(filepath.Join(dir, "goldens.safetensors"))
	if err != nil {
		return r, err
	}
	defer g.Close()
	var logits, hidden float64
	same, steps := 0, 0
	for i := 0; ; i++ {
		at := fmt.Sprintf("p%d.", i)
		ids, ok := floats(g, at+"input_ids")
		if !ok {
			break
		}
		in := make([]int32, len(ids))
		for j, x := range ids {
			in[j] = int32(x)
		}
		y, err := m.Run(context.Background(), map[string]runtime.Tensor{"input_ids": {Shape: []int{len(in)}, I: in}}, runtime.RunOptions{Hidden: true})
		if err != nil {
			return r, err
		}
		want, _ := floats(g, at+"logits")
		logits = max(logits, apart(y["logits"].F, want))
		for _, name := range g.Names() {
			if state, ok := strings.CutPrefix(name, at); ok && strings.HasPrefix(state, "hidden.") {
				want, _ := floats(g, name)
				d := apart(y[state].F, want)
				if d > tolerance && r.note == "" {
					r.note = "first apart: " + state
				}
				hidden = max(hidden, d)
			}
		}
		n, of, err := greedy(m, g, at, in)
		if err != nil {
			return r, err
		}
		same, steps = same+n, steps+of
	}
	r.logits, r.hidden = fmt.Sprintf("%.1e", logits), fmt.Sprintf("%.1e", hidden)
	r.greedy = fmt.Sprintf("%d/%d", same, steps)
	r.failed = !(logits <= tolerance && hidden <= tolerance) || same < steps
	return r, nil
}

// greedy counts the steps in which the largest logit is the golden token, computed anew over the whole
// sequence each time, and how many there are until one is as good as a tie.
func greedy(m *lm.Model, g *safetensors.Checkpoint, at string, ids []int32) (same, steps int, err error) {
	want, ok := floats(g, at+"greedy")
	if !ok {
		return 0, 0, nil
	}
	margins, _ := floats(g, at+"greedy_margin")
	all := append([]int32{}, ids...)
	for j, w := range want {
		if margins[j] < 1e-3 {
			break
		}
		y, err := m.Forward(context.Background(), all)
		if err != nil {
			return same, steps, err
		}
		last := y[len(y)-m.Vocab():]
		best := -1
		for i, x := range last {
			if best < 0 || x > last[best] {
				best = i
			}
		}
		steps++
		if best == int(w) {
			same++
		}
		all = append(all, int32(w))
	}
	return same, steps, nil
}

// floats reads a tensor of the goldens.
func floats(c *safetensors.Checkpoint, name string) ([]float32, bool) {
	t, ok := c.Tensor(name)
	if !ok {
		return nil, false
	}
	v := make([]float32, t.NumElems())
	if t.ReadRows(0, t.NumRows(), v) != nil {
		return nil, false
	}
	return v, true
}

// apart is the greatest difference as a share of the greatest wanted value.
func apart(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var top, worst float64
	for i, w := range want {
		top = max(top, math.Abs(float64(w)))
		d := math.Abs(float64(got[i]) - float64(w))
		if !(d <= worst) {
			worst = d
		}
	}
	return worst / top
}
