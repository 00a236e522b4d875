// Command families converts small checkpoints of many model families and holds them against the
// results of the reference library that lie beside them:
//
//	go run ./bench/families DIR...
//	go run ./bench/families --scheme da8w8,a16w8,da8w4 DIR...
//
// A DIR has a checkpoint and goldens.safetensors: for some prompts pN.input_ids, pN.logits or what else the model gives
// (pN.last_hidden_state, ..), pN.hidden.I and pN.hidden.final, of language models pN.greedy with pN.greedy_margin; of encoders the
// same of a padded batch (batch.input_ids, batch.attention_mask); of language models one is made of the prompts; of networks on pictures
// pixel_values [B, C, H, W] and what they give. It is converted to each scheme; the table shows the greatest difference of outputs and of hidden
// states, as a share of the greatest golden value, and whether the greedy text is the same up to the first step that is as good as a tie. Rows of a padded
// batch must be what they are alone, and sequences in pieces what they are at once, bit for bit, and integer layers what their definition says on the inputs of the FP32 executor on the same weights. Exit code 1
// if that is not so, or in f32 if a difference is above --tolerance or another text comes out.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/format/graph"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/lm"
)

func main() {
	tolerance := pflag.Float64("tolerance", 1e-5, "greatest difference, as a share of the greatest golden value")
	schemes := pflag.StringSlice("scheme", []string{"f32"}, "convert to each of these `SCHEMES`")
	pflag.Parse()
	bad := 0
	table := ui.NewTable("checkpoint", "scheme", "outputs", "hidden", "greedy", "integer layers", "note")
	for _, dir := range pflag.Args() {
		for _, scheme := range *schemes {
			r, err := check(dir, scheme, *tolerance)
			if err != nil {
				r.note, r.failed = err.Error(), true
			}
			if r.failed {
				bad++
			}
			table.Row(filepath.Base(dir), scheme, r.outputs, r.hidden, r.greedy, r.layers, r.note)
		}
	}
	if err := table.Print(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "families: error:", err)
		os.Exit(1)
	}
	all := pflag.NArg() * len(*schemes)
	fmt.Printf("%d of %d are right, in f32 within %g\n", all-bad, all, *tolerance)
	if bad > 0 {
		os.Exit(1)
	}
}

// result is a row of the table.
type result struct {
	outputs, hidden, greedy, layers, note string
	failed                                bool
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
	m, err := runtime.Load(out, runtime.Options{})
	if err != nil {
		return r, err
	}
	defer m.Close()
	g, err := safetensors.Open(filepath.Join(dir, "goldens.safetensors"))
	if err != nil {
		return r, err
	}
	defer g.Close()
	var outputs, hidden float64
	same, steps, ran := 0, 0, 0
	for _, at := range []string{"", "p0.", "p1.", "p2.", "p3.", "batch."} {
		in := inputs(g, at)
		made := in == nil && at == "batch."
		if made {
			in = padded(g)
		}
		if in == nil {
			continue
		}
		ran++
		y, err := m.Run(context.Background(), in, runtime.RunOptions{Hidden: len(m.Graph.Hidden) > 0})
		if err != nil {
			return r, err
		}
		if made {
			if err := alone(m, in, y); err != nil {
				return r, err
			}
			continue
		}
		compared := 0
		for _, name := range g.Names() {
			of, ok := strings.CutPrefix(name, at)
			if !ok || y[of].F == nil {
				continue
			}
			compared++
			want, _ := floats(g, name)
			blank(want, y[of].Shape, in["attention_mask"])
			d := apart(y[of].F, want)
			if d > tolerance && r.note == "" && scheme == "f32" {
				r.note = "first apart: " + name
			}
			if strings.HasPrefix(of, "hidden.") {
				hidden = max(hidden, d)
			} else {
				outputs = max(outputs, d)
			}
		}
		if compared == 0 {
			return r, fmt.Errorf("there is no golden of %s that the program gives", at)
		}
		if at == "batch." || at == "" {
			if err := alone(m, in, y); err != nil {
				return r, err
			}
			continue
		}
		if lm.Check(m.Graph) == nil {
			l, err := lm.New(m, 0)
			if err != nil {
				return r, err
			}
			n, of, err := greedy(l, g, at, in["input_ids"].I)
			if err != nil {
				return r, err
			}
			same, steps = same+n, steps+of
			if err := pieces(l, in["input_ids"].I); err != nil {
				return r, fmt.Errorf("%s: %w", at, err)
			}
		}
	}
	if ran == 0 {
		return r, fmt.Errorf("the goldens have neither prompts (p0.input_ids) nor pictures (pixel_values)")
	}
	r.outputs, r.hidden = fmt.Sprintf("%.1e", outputs), fmt.Sprintf("%.1e", hidden)
	if steps > 0 {
		r.greedy = fmt.Sprintf("%d/%d", same, steps)
	}
	if scheme == "f32" {
		r.failed = !(outputs <= tolerance && hidden <= tolerance) || same < steps
		return r, nil
	}
	layers, err := integers(m, g)
	r.layers = fmt.Sprint(layers)
	return r, err
}

// inputs are what the goldens of that name were made of, nil for none: the integers of texts; with no name pictures [B, C, H, W].
func inputs(g *safetensors.Checkpoint, at string) map[string]runtime.Tensor {
	if at == "" {
		if t, ok := g.Tensor("pixel_values"); ok {
			v, _ := floats(g, "pixel_values")
			return map[string]runtime.Tensor{"pixel_values": {Shape: t.Shape, F: v}}
		}
		return nil
	}
	var in map[string]runtime.Tensor
	for _, name := range []string{"input_ids", "attention_mask", "token_type_ids"} {
		t, ok := g.Tensor(at + name)
		if !ok {
			continue
		}
		if in == nil {
			in = map[string]runtime.Tensor{}
		}
		v, _ := floats(g, at+name)
		x := runtime.Tensor{Shape: t.Shape}
		for _, f := range v {
			x.I = append(x.I, int32(f))
		}
		in[name] = x
	}
	return in
}

// padded is a batch of the first three prompts, with zeros behind the short ones; nil if there are none.
func padded(g *safetensors.Checkpoint) map[string]runtime.Tensor {
	var prompts [][]int32
	width := 0
	for _, at := range []string{"p0.", "p1.", "p2."} {
		if p := inputs(g, at); p != nil {
			prompts = append(prompts, p["input_ids"].I)
			width = max(width, len(p["input_ids"].I))
		}
	}
	if prompts == nil {
		return nil
	}
	shape := []int{len(prompts), width}
	ids, mask := runtime.Tensor{Shape: shape, I: make([]int32, shape[0]*width)}, runtime.Tensor{Shape: shape, I: make([]int32, shape[0]*width)}
	for i, p := range prompts {
		copy(ids.I[i*width:], p)
		for j := range p {
			mask.I[i*width+j] = 1
		}
	}
	return map[string]runtime.Tensor{"input_ids": ids, "attention_mask": mask}
}

// blank sets the rows of want to zero that are padding, where the library computes what nobody reads.
func blank(want []float32, shape []int, mask runtime.Tensor) {
	if len(mask.Shape) != 2 || len(shape) != 3 || shape[1] != mask.Shape[1] {
		return
	}
	for i, there := range mask.I {
		if width := shape[2]; there == 0 && len(want) == len(mask.I)*width {
			clear(want[i*width : (i+1)*width])
		}
	}
}

// alone runs each row of a batch by itself, of texts without padding: its results must be those of the batch, bit for bit.
func alone(m *runtime.Model, in, together map[string]runtime.Tensor) error {
	mask := in["attention_mask"]
	pictures, seen := in["pixel_values"]
	if seen {
		mask.Shape = []int{pictures.Shape[0], 0}
	}
	rows, width := mask.Shape[0], mask.Shape[1]
	for b := range rows {
		one := map[string]runtime.Tensor{}
		if n := len(pictures.F) / rows; seen {
			one["pixel_values"] = runtime.Tensor{Shape: append([]int{1}, pictures.Shape[1:]...), F: pictures.F[b*n : (b+1)*n]}
		}
		n := 0
		for _, there := range mask.I[b*width : (b+1)*width] {
			n += int(there)
		}
		for name, x := range in {
			if name != "attention_mask" && !seen {
				one[name] = runtime.Tensor{Shape: []int{n}, I: x.I[b*width : b*width+n]}
			}
		}
		y, err := m.Run(context.Background(), one, runtime.RunOptions{Hidden: len(m.Graph.Hidden) > 0})
		if err != nil {
			return err
		}
		for name, x := range y {
			all := together[name]
			from := len(all.F) / rows * b
			for i, v := range x.F {
				if math.Float32bits(v) != math.Float32bits(all.F[from+i]) {
					return fmt.Errorf("batch: row %d of %s is not what it is alone: %v, alone %v", b, name, all.F[from+i], v)
				}
			}
		}
	}
	return nil
}

// pieces reads the prompt over and over, to 300 tokens, the end of the context, or where positions are encoded by the length, in pieces with a cut, a fork, and a session saved and restored
// between: the logits behind each piece must be those of all of it at once, bit for bit.
func pieces(m *lm.Model, prompt []int32) error {
	ctx := context.Background()
	most := min(300, m.Context())
	for i := range m.Graph.Nodes {
		if r, ok := m.Graph.Nodes[i].Op.(graph.RoPE); ok && r.Dynamic != nil {
			most = min(most, r.Dynamic.MaxPos)
		} else if ok && r.Long != nil {
			most = min(most, r.Long.MaxPos)
		}
	}
	var ids []int32
	for len(ids) < most {
		ids = append(ids, prompt[len(ids)%len(prompt)])
	}
	want := make([][]float32, len(ids))
	if err := m.Each(ctx, ids, func(pos int, logits []float32) { want[pos] = slices.Clone(logits) }); err != nil {
		return err
	}
	s, err := m.NewSession()
	if err != nil {
		return err
	}
	defer func() { s.Close() }()
	for step, n := 0, 1; s.Len() < len(ids); step, n = step+1, n%29*3+1 {
		n = min(n, len(ids)-s.Len())
		y, err := s.Append(ctx, ids[s.Len():s.Len()+n])
		if err != nil {
			return err
		}
		for i, v := range want[s.Len()-1] {
			if math.Float32bits(v) != math.Float32bits(y[i]) {
				return fmt.Errorf("pieces: logit %d after token %d is %v, of all at once %v", i, s.Len()-1, y[i], v)
			}
		}
		was := s
		switch step % 4 {
		case 0: // a few tokens again, or all
			s.Truncate(s.Len() - min(n/2, s.Len()-1))
			continue
		case 1:
			s = s.Fork()
		case 2:
			saved, err := s.AppendBinary(nil)
			if err != nil {
				return err
			}
			if s, err = m.NewSession(); err != nil {
				return err
			}
			if err := s.Restore(saved); err != nil {
				return err
			}
		default:
			continue
		}
		was.Close()
	}
	return nil
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
