// Command vision converts networks exported by PyTorch and holds them against its results beside them:
//
//	go run ./bench/vision [--scheme s8s8] DIR...
//
// A DIR has archives NAME.pt2 with NAME.golden.safetensors (input.I, output.I, calib.I with a row for each picture) and manifest.json, as
// testdata/gen/export.py makes them; NAME.pt2e.pt2 is the same network quantized by PyTorch, its results pt2e.output.I. For each network the table shows
//
//   - FP32: the greatest difference as a share of what is allowed, 20 times what PyTorch's FP32 is away from FP64 plus 1e-6;
//   - int8: SQNR of s8s8, least of the outputs, calibrated on calib.I, and PyTorch's; at most 1 dB below passes;
//   - twin: the greatest difference from the quantized program's results in steps of its last scale, and the SQNR between both: 2 steps and 35 dB pass.
//
// With --cost it shows what float32 takes in time and memory instead (cost.go).
// With --speed 3s FILE.qpt.. it measures converted networks instead; bench/vision/peers.py does the same for ONNX Runtime and OpenVINO.
//
// Rows together must give the bits that they give alone. Networks of one name in several folders, exported in several ways, must give files of
// the same size with the same scales and zero points. Exit code 1 if anything fails.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/exec"
)

func main() {
	scheme := pflag.String("scheme", "s8s8", "the second `SCHEME`, beside f32; empty: none")
	algorithms := pflag.String("algorithms", "", "of s8s8, as qconv takes them: a `LIST`")
	only := pflag.StringSlice("only", nil, "`NAMES` of networks")
	speed := pflag.Duration("speed", 0, "run converted FILES so long each in place of all that, on two threads")
	batch := pflag.Int("batch", 1, "pictures at a time, with --speed")
	layers := pflag.Bool("layers", false, "also print the median time of each step, with --speed")
	costs := pflag.Bool("cost", false, "time and memory of float32 in place of all that")
	pflag.Parse()
	wanted := func(name string) bool { return len(*only) == 0 || slices.Contains(*only, name) }
	if *speed > 0 || *costs {
		var err error
		if *costs {
			err = cost(pflag.Args(), wanted)
		} else {
			err = measure(pflag.Args(), *speed, *batch, *layers)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "vision: error:", err)
			os.Exit(1)
		}
		return
	}
	table := ui.NewTable("network", "FP32 of allowed", "int8 dB", "PyTorch dB", "twin steps", "twin dB", "note")
	bad, all := 0, 0
	made := map[string]string{} // what the int8 file of a network holds
	for _, dir := range pflag.Args() {
		list, err := manifest(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, "vision: error:", err)
			os.Exit(1)
		}
		for _, c := range list {
			if !wanted(c.Name) {
				continue
			}
			c.dir, c.made, c.second, c.algorithms = dir, made, *scheme, *algorithms
			if err := c.check(); err != nil {
				c.notes = append(c.notes, err.Error())
			}
			all++
			if len(c.notes) > 0 {
				bad++
			}
			name := filepath.Base(dir) + "/" + c.Name
			table.Row(name, c.float, c.int8, c.peer, c.steps, c.twin, strings.Join(c.notes, "; "))
			fmt.Fprintf(os.Stderr, "%s %v\n", name, c.notes)
		}
	}
	if err := table.Print(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vision: error:", err)
		os.Exit(1)
	}
	fmt.Printf("%d of %d pass\n", all-bad, all)
	if bad > 0 || all == 0 {
		os.Exit(1)
	}
}

// measure prints the median and the least time of a pass of each file.
func measure(files []string, long time.Duration, batch int, layers bool) error {
	for _, file := range files {
		m, err := runtime.Load(file, runtime.Options{Threads: 2})
		if err != nil {
			return err
		}
		in := inputs(m, batch)
		var times []float64
		var steps [][]exec.Took // of passes
		if layers {
			err := m.Exclusive(context.Background(), func(ws *exec.Workspace) error {
				ws.Watch = func(t exec.Took) { steps[len(steps)-1] = append(steps[len(steps)-1], t) }
				return nil
			})
			if err != nil {
				return err
			}
		}
		for end := time.Now().Add(long); time.Now().Before(end) || len(times) < 4; {
			from := time.Now()
			steps = append(steps, nil)
			if _, err := m.Run(context.Background(), in, runtime.RunOptions{}); err != nil {
				m.Close()
				return err
			}
			times = append(times, 1e3*time.Since(from).Seconds())
		}
		m.Close()
		times = times[1:] // the first makes the workspace
		slices.Sort(times)
		fmt.Printf("%s: %d passes, median %.2f ms, best %.2f ms\n", file, len(times), times[len(times)/2], times[0])
		if !layers {
			continue
		}
		table := ui.NewTable("ms", "GMAC/s", "step")
		for i, step := range steps[0] {
			var times []float64
			for _, s := range steps[1:] {
				times = append(times, s[i].Time.Seconds())
			}
			slices.Sort(times)
			median, rate := times[len(times)/2], ""
			if step.Products > 0 {
				rate = fmt.Sprintf("%.0f", step.Products/median/1e9)
			}
			table.Row(fmt.Sprintf("%.3f", 1e3*median), rate, step.Step)
		}
		if err := table.Print(os.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// inputs are numbers of no meaning for all inputs, so many rows.
func inputs(m *runtime.Model, batch int) map[string]runtime.Tensor {
	in := map[string]runtime.Tensor{}
	for _, v := range m.Graph.Inputs {
		x := runtime.Tensor{}
		n := 1
		for _, d := range v.Shape {
			size := int(d)
			if d < 0 {
				size = batch
			}
			x.Shape = append(x.Shape, size)
			n *= size
		}
		for i := range n {
			if v.DType == "i32" {
				x.I = append(x.I, 0)
			} else {
				x.F = append(x.F, float32(i%255)/127-1)
			}
		}
		in[v.Name] = x
	}
	return in
}

// network is an entry of a manifest, and its row of the table.
type network struct {
	Name string
	Away []*float64 `json:"f32_vs_f64_max_abs"`
	Peer []float64  `json:"pt2e_sqnr_db"`

	dir, second, algorithms        string
	made                           map[string]string
	golden                         *safetensors.Checkpoint
	float, int8, peer, steps, twin string
	notes                          []string
}

func manifest(dir string) (list []*network, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("-Infinity", "null", "Infinity", "null", "NaN", "null").Replace(string(data))
	return list, json.Unmarshal([]byte(text), &list)
}

func (c *network) note(format string, a ...any) { c.notes = append(c.notes, fmt.Sprintf(format, a...)) }

func (c *network) path(suffix string) string { return filepath.Join(c.dir, c.Name+suffix) }

func (c *network) check() (err error) {
	if c.golden, err = safetensors.Open(c.path(".golden.safetensors")); err != nil {
		return err
	}
	defer c.golden.Close()
	tmp, err := os.MkdirTemp("", "vision-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "f32.qpt")
	outs, err := c.run(c.path(".pt2"), file, "f32")
	if err != nil {
		return err
	}
	worst := 0.0
	for i, y := range outs {
		allowed := 1e-6
		if i < len(c.Away) && c.Away[i] != nil {
			allowed += 20 * *c.Away[i]
		}
		want, _ := c.floats(fmt.Sprintf("output.%d", i))
		d, _ := apart(y, want)
		worst = max(worst, d/allowed)
	}
	c.float = fmt.Sprintf("%.2f", worst)
	if !(worst <= 1) {
		c.note("FP32 is off")
	}
	if _, ok := c.golden.Tensor("calib.0"); ok && c.second != "" {
		if err := c.quantized(filepath.Join(tmp, "int8.qpt")); err != nil {
			return fmt.Errorf("%s: %w", c.second, err)
		}
	}
	if _, err := os.Stat(c.path(".pt2e.pt2")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return c.imported(filepath.Join(tmp, "pt2e.qpt"))
}

// quantized compares the network in int8.
func (c *network) quantized(file string) error {
	outs, err := c.run(c.path(".pt2"), file, c.second)
	if err != nil {
		return err
	}
	least, peer := math.Inf(1), math.Inf(1)
	for i, y := range outs {
		want, float := c.floats(fmt.Sprintf("output.%d", i))
		if !float {
			continue
		}
		_, db := apart(y, want)
		least = min(least, db)
		if i < len(c.Peer) {
			peer = min(peer, c.Peer[i])
			if db < c.Peer[i]-1 && c.Peer[i] < floatDB {
				c.note("output %d has %.1f dB, PyTorch's %.1f", i, db, c.Peer[i])
			}
		}
	}
	c.int8 = fmt.Sprintf("%.1f", least)
	if c.Peer != nil {
		c.peer = fmt.Sprintf("%.1f", peer)
	}
	f, err := format.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	acts, err := f.Activations()
	if err != nil {
		return err
	}
	var list []string
	for _, a := range acts {
		list = append(list, fmt.Sprint(a.Scale, a.Zero))
	}
	slices.Sort(list)
	list = slices.Compact(list) // what moves a value has its numbers again
	tensors, err := f.Tensors()
	if err != nil {
		return err
	}
	size := int64(0)
	for _, t := range tensors {
		for _, part := range t.Parts {
			size += part.Size
		}
	}
	now := fmt.Sprint(size, list)
	if was, ok := c.made[c.Name]; ok && was != now {
		c.note("another file than of the other export")
	}
	c.made[c.Name] = now
	return nil
}

// floatDB is what no int8 network reaches: PyTorch's flow has left it in float.
const floatDB = 200

// imported compares the program that PyTorch has quantized.
func (c *network) imported(file string) error {
	outs, err := c.run(c.path(".pt2e.pt2"), file, "")
	if errors.Is(err, convert.ErrUsage) && slices.Max(c.Peer) > floatDB { // nothing in it is quantized
		c.steps, c.twin = "-", "-"
		return nil
	}
	if err != nil {
		return fmt.Errorf("twin: %w", err)
	}
	f, err := format.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	acts, err := f.Activations()
	if err != nil {
		return err
	}
	steps, least, step := 0.0, math.Inf(1), float64(acts[len(acts)-1].Scale)
	off := map[int]bool{} // rows more than two steps away
	rows := 0
	for i, y := range outs {
		name := fmt.Sprintf("pt2e.output.%d", i)
		want, float := c.floats(name)
		if !float {
			continue
		}
		d, db := apart(y, want)
		steps, least = max(steps, d/step), min(least, db)
		t, _ := c.golden.Tensor(name)
		rows = t.NumRows()
		for r := range rows {
			n := min(len(y), len(want)) / rows
			if d, _ := apart(y[r*n:(r+1)*n], want[r*n:(r+1)*n]); !(d <= 2*step) {
				off[r] = true
			}
		}
	}
	c.steps, c.twin = fmt.Sprintf("%.1f", steps), fmt.Sprintf("%.1f", least)
	if !(steps <= 2 && least >= 35) {
		c.note("the twin is %.1f steps, %.1f dB from PyTorch's, in %d of %d rows", steps, least, len(off), rows)
	}
	return nil
}

// run converts an archive and gives its outputs for all input rows, whose bits are those of each row alone.
func (c *network) run(in, file, scheme string) ([][]float32, error) {
	opt := convert.Options{In: in, Out: file, Scheme: scheme}
	if scheme == "s8s8" {
		opt.Calib, opt.Algorithms = c.path(".golden.safetensors"), c.algorithms
	}
	p, err := convert.MakePlan(opt)
	if err != nil {
		return nil, err
	}
	_, err = p.Run(context.Background(), convert.Hooks{})
	p.Close()
	if err != nil {
		return nil, err
	}
	m, err := runtime.Load(file, runtime.Options{})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	inputs := map[string]runtime.Tensor{}
	rows, fixed := 0, false
	for i, v := range m.Graph.Inputs {
		t, ok := c.golden.Tensor(fmt.Sprintf("input.%d", i))
		if !ok {
			return nil, fmt.Errorf("no golden input.%d", i)
		}
		x := runtime.Tensor{Shape: t.Shape}
		x.F, _ = c.floats(t.Name)
		if v.DType == "i32" {
			for _, f := range x.F {
				x.I = append(x.I, int32(f))
			}
			x.F = nil
		}
		inputs[v.Name], rows = x, t.Shape[0]
		fixed = v.Shape[0] >= 0
	}
	outs := make([][]float32, len(m.Graph.Outputs))
	add := func(in map[string]runtime.Tensor) error {
		y, err := m.Run(context.Background(), in, runtime.RunOptions{})
		if err != nil {
			return err
		}
		for i, name := range m.Graph.Outputs {
			outs[i] = append(outs[i], y[name].F...)
			for _, v := range y[name].I {
				outs[i] = append(outs[i], float32(v))
			}
		}
		return nil
	}
	for r := range rows {
		one := map[string]runtime.Tensor{}
		for name, x := range inputs {
			n, k := len(x.F)/rows, len(x.I)/rows
			one[name] = runtime.Tensor{Shape: append([]int{1}, x.Shape[1:]...), F: x.F[r*n : (r+1)*n], I: x.I[r*k : (r+1)*k]}
		}
		if err := add(one); err != nil {
			return nil, err
		}
	}
	if fixed {
		return outs, nil
	}
	alone := outs
	outs = make([][]float32, len(alone))
	if err := add(inputs); err != nil {
		return nil, err
	}
	for i := range outs {
		if !slices.EqualFunc(alone[i], outs[i], func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			return nil, fmt.Errorf("%s: output %d of %d rows together is not what they give alone", scheme, i, rows)
		}
	}
	return outs, nil
}

// floats reads a tensor of the goldens, and tells whether it is one of floats.
func (c *network) floats(name string) (v []float32, float bool) {
	t, ok := c.golden.Tensor(name)
	if !ok {
		return nil, false
	}
	v = make([]float32, t.NumElems())
	if t.ReadRows(0, t.NumRows(), v) != nil {
		return nil, false
	}
	return v, slices.Contains([]safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16, safetensors.F64}, t.DType)
}

// apart is the greatest difference and the SQNR in dB.
func apart(got, want []float32) (worst, db float64) {
	if len(got) != len(want) {
		return math.Inf(1), math.Inf(-1)
	}
	var s, n float64
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if !(d <= worst) {
			worst = d
		}
		s, n = s+float64(w)*float64(w), n+d*d
	}
	if n == 0 {
		return worst, 999
	}
	return worst, 10 * math.Log10(s/n)
}
