package convert_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	nlp "github.com/nlpodyssey/safetensors"

	"qpt/convert"
	"qpt/convert/export"
	"qpt/convert/safetensors"
	"qpt/convert/safetensors/sttest"
	"qpt/format"
	"qpt/format/rewrite"
	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/diff"
)

// pixels is a tensor of a .safetensors file.
func pixels(t *testing.T, path, name string) runtime.Tensor {
	t.Helper()
	v, shape := sttest.Open(t, path).Floats(name)
	return runtime.Tensor{Shape: shape, F: v}
}

// sqnr in dB.
func sqnr(want, got []float32) float64 {
	var s, n float64
	for i, w := range want {
		d := float64(w) - float64(got[i])
		s, n = s+float64(w)*float64(w), n+d*d
	}
	return 10 * math.Log10(s/max(n, 1e-300))
}

// TestExported: networks of torch.export as they are and in int8: near PyTorch's FP32, the same bits alone and together, on any
// number of threads and every instruction set.
func TestExported(t *testing.T) {
	for name, least := range map[string]float64{"residual": 28, "branches": 27, "tokens": 30, "choices": 30, "writes": 30, "writes_decomposed": 30} {
		golden := "../testdata/export/" + name + ".golden.safetensors"
		in, rows := pixels(t, golden, "input.0"), 0
		if rows = in.Shape[0]; name == "writes" { // exported for one picture
			in.F, in.Shape[0] = in.F[:len(in.F)/rows], 1
		}
		for _, scheme := range []string{"f32", "s8s8", "da8w8"} {
			out := filepath.Join(t.TempDir(), "m.qpt")
			opt := convert.Options{In: "../testdata/export/" + name + ".pt2", Out: out, Scheme: scheme, Threads: 2}
			if scheme == "s8s8" {
				opt.Calib = golden
			}
			p, err := convert.MakePlan(opt)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Run(context.Background(), convert.Hooks{})
			p.Close()
			if err != nil {
				t.Fatal(err)
			}
			run := func(threads int, x runtime.Tensor) []runtime.Tensor {
				m, err := runtime.Load(out, runtime.Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				y, err := m.Run(t.Context(), map[string]runtime.Tensor{"input.0": x}, runtime.RunOptions{})
				if err != nil {
					t.Fatal(err)
				}
				var list []runtime.Tensor
				for i := range len(y) {
					list = append(list, y[fmt.Sprintf("output.%d", i)])
				}
				return list
			}
			want := run(1, in)
			for i, y := range want {
				goal := pixels(t, golden, fmt.Sprintf("output.%d", i)).F
				goal = goal[:len(goal)/rows*in.Shape[0]]
				db := map[string]float64{"f32": 110, "s8s8": least, "da8w8": 25}[scheme]
				if got := sqnr(goal, y.F); got < db {
					t.Errorf("%s, %s: output %d is %.1f dB from PyTorch's, want %.0f", name, scheme, i, got, db)
				}
			}
			same := func(what string, got []runtime.Tensor, row int) {
				for i, y := range got {
					w := want[i].F
					if row >= 0 {
						n := len(w) / in.Shape[0]
						w = w[row*n : (row+1)*n]
					}
					if !slices.Equal(y.F, w) {
						t.Errorf("%s, %s: %s gives other bits", name, scheme, what)
					}
				}
			}
			same("two threads", run(2, in), -1)
			n := len(in.F) / in.Shape[0]
			for r := range in.Shape[0] {
				same(fmt.Sprint("row ", r, " alone"), run(2, runtime.Tensor{Shape: append([]int{1}, in.Shape[1:]...), F: in.F[r*n : (r+1)*n]}), r)
			}
			if scheme != "s8s8" || name != "residual" && name != "branches" { // attention and sums of others are float32
				continue
			}
			for isa := cpu.Generic; isa < cpu.Active(); isa++ {
				if cpu.Has(isa) {
					restore := cpu.SetMax(isa)
					same(isa.String(), run(2, in), -1)
					restore()
				}
			}
		}
	}
}

// TestTwin: a program that PyTorch has quantized comes in with its scales, zero points and codes, and gives its results but for single steps; as s8s8 it is
// observed anew, as f32 it is a network of those weights.
func TestTwin(t *testing.T) {
	golden, out := "../testdata/export/branches.golden.safetensors", filepath.Join(t.TempDir(), "m.qpt")
	p, err := convert.MakePlan(convert.Options{In: "../testdata/export/branches.pt2e.pt2", Out: out, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	m, err := runtime.Load(out, runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	y, err := m.Run(t.Context(), map[string]runtime.Tensor{"input.0": pixels(t, golden, "input.0")}, runtime.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(y) {
		got := y[fmt.Sprintf("output.%d", i)].F
		if db := sqnr(pixels(t, golden, fmt.Sprintf("pt2e.output.%d", i)).F, got); db < 40 {
			t.Errorf("output %d is %.1f dB from PyTorch's quantized program", i, db)
		}
	}
	// what the archive says: its quantize nodes, and the scales of its first weights
	a, err := export.Open("../testdata/export/branches.pt2e.pt2")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if len(a.Static) < 6 {
		t.Errorf("%d values are static", len(a.Static))
	}
	for _, s := range a.Static {
		if k, ok := m.Activation(s.Value); !ok || k.Scale != s.Scale || k.Zero != s.Zero || !k.Stored {
			t.Errorf("value %q: %+v, in the file %+v", s.Value, s, k)
		}
	}
	coded := 0
	for _, w := range a.Tensors {
		if w.Scale == nil {
			continue
		}
		coded++
		l, err := m.Linear(w.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		n := w.Values() / w.Shape[0]
		row, codes := make([]float32, n), make([]int8, n)
		for r, scale := range w.Scale {
			if err := w.ReadPart(r*n, row); err != nil {
				t.Fatal(err)
			}
			linear.Row(l.Weight, r, codes)
			for i, q := range codes {
				if l.Weight.Scale[r] != scale || float32(q)*scale != row[i] {
					t.Fatalf("%s, row %d: code %d of scale %v, want %v of %v", w.Name, r, q, l.Weight.Scale[r], row[i], scale)
				}
			}
		}
	}
	if coded < 6 {
		t.Errorf("%d weights are codes", coded)
	}
	if _, err := convert.MakePlan(convert.Options{In: "../testdata/export/branches.pt2e.pt2", Out: out, Calib: golden}); !errors.Is(err, convert.ErrUsage) {
		t.Errorf("with --calib: %v", err)
	}
}

// TestTwinMeans: means of codes that become codes of the same scale lie at a tie of these every fourth time; there too they are PyTorch's.
func TestTwinMeans(t *testing.T) {
	golden := "../testdata/export/means.golden.safetensors"
	out := filepath.Join(t.TempDir(), "m.qpt")
	p, err := convert.MakePlan(convert.Options{In: "../testdata/export/means.pt2e.pt2", Out: out, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	m, err := runtime.Load(out, runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	y, err := m.Run(t.Context(), map[string]runtime.Tensor{"input.0": pixels(t, golden, "input.0")}, runtime.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if db := sqnr(pixels(t, golden, "pt2e.output.0").F, y["output.0"].F); db < 120 {
		t.Errorf("%.1f dB from PyTorch's quantized program: a code differs", db)
	}
}

// TestExportedErrors: what is wrong with calibration data for a network on tensors is told.
func TestExportedErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, shape []int, v float32) string {
		n := 1
		for _, d := range shape {
			n *= d
		}
		path := filepath.Join(dir, fmt.Sprintf("%s-%v-%v.safetensors", name, shape[2], v))
		x := slices.Repeat([]float32{v}, n)
		if err := safetensors.WriteFile(path, map[string]tensorView{name: {shape, x}}, nil); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ calib, algorithms, want string }{
		{"", "", "needs calibration data"},
		{write("input.0", []int{4, 3, 16, 16}, 1), "", "has no tensor"},
		{write("input.0", []int{4, 3, 32, 32}, float32(math.NaN())), "", "is NaN"},
		{write("input.0", []int{1, 3, 32, 32}, 2), "", "has 1 rows: must be 2 to"},
		{filepath.Join(dir, "none.safetensors"), "", "no such file"},
		{"../testdata/export/residual.golden.safetensors", "scales,descent", "takes equalize, correct, gptq, descent"},
	} {
		p, err := convert.MakePlan(convert.Options{In: "../testdata/export/residual.pt2", Out: filepath.Join(dir, "m.qpt"), Scheme: "s8s8", Calib: c.calib, Algorithms: c.algorithms})
		if err == nil {
			_, err = p.Run(t.Context(), convert.Hooks{})
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.calib, err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "m.qpt")); err == nil {
		t.Error("an output file is left")
	}
}

// The algorithms of networks on tensors give a file that loads, whose record of scales fits its graph, and results near FP32's.
func TestTensorAlgorithms(t *testing.T) {
	out := filepath.Join(t.TempDir(), "m.qpt")
	p, err := convert.MakePlan(convert.Options{In: "../testdata/export/residual.pt2", Out: out, Scheme: "s8s8", Calib: "../testdata/export/residual.golden.safetensors", Algorithms: "equalize,correct,gptq,descent"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	f, err := format.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g, err := f.Program(format.Main)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := f.Rewrites()
	if err == nil {
		_, err = rewrite.Original(g, rec)
	}
	if err != nil {
		t.Error(err)
	}
	meta, err := f.Meta()
	if err != nil || !slices.ContainsFunc(meta.Recipe.Results, func(r format.Result) bool {
		return r.Name == "equalized" && strings.Contains(r.Value, "dB on every second calibration row")
	}) {
		t.Errorf("results %v, %v", meta.Recipe.Results, err)
	}
}

// tensorView is floats for WriteFile.
type tensorView struct {
	shape []int
	data  []float32
}

func (v tensorView) DType() nlp.DType { return nlp.F32 }
func (v tensorView) DataLen() uint64  { return 4 * uint64(len(v.data)) }
func (v tensorView) Data() []byte     { return num.BytesOf(v.data) }
func (v tensorView) Shape() []uint64 {
	var s []uint64
	for _, d := range v.shape {
		s = append(s, uint64(d))
	}
	return s
}

// A network's file has rows of its calibration data, and the results that the network in float32 has for exactly these numbers.
func TestRowReferences(t *testing.T) {
	const in, golden = "../testdata/export/branches.pt2", "../testdata/export/branches.golden.safetensors"
	make := func(o convert.Options) *runtime.Model {
		o.In, o.Out = in, filepath.Join(t.TempDir(), "m.qpt")
		p, err := convert.MakePlan(o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Run(t.Context(), convert.Hooks{}); err != nil {
			t.Fatal(err)
		}
		m, err := runtime.Load(o.Out, runtime.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	float := make(convert.Options{Scheme: "f32"})
	if _, err := float.References(); !errors.Is(err, format.ErrMissing) {
		t.Errorf("without calibration data: %v", err)
	}
	calib := pixels(t, golden, "calib.0")
	for _, n := range []int{0, 3, -1} {
		m := make(convert.Options{Scheme: "s8s8", Calib: golden, References: n})
		refs, err := m.References()
		if n < 0 {
			if !errors.Is(err, format.ErrMissing) {
				t.Errorf("--references -1: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		w, want := refs.Rows, cmp.Or(n, 8)
		if w.N != want || len(w.Inputs) != 1 || len(w.Outputs) != 2 {
			t.Fatalf("%d rows of %d inputs and %d outputs", w.N, len(w.Inputs), len(w.Outputs))
		}
		x := runtime.Tensor{Shape: append([]int{w.N}, w.Inputs[0].Shape...)}
		for r := range w.N {
			row := w.Inputs[0].Row(r)
			at, step := r*8/w.N, float64(w.Inputs[0].High[r]-w.Inputs[0].Low[r])/255
			for i, v := range row {
				if d := math.Abs(float64(v) - float64(calib.F[at*len(row)+i])); d > 0.5001*step {
					t.Fatalf("row %d is %g from row %d of the data, a step is %g", r, d, at, step)
				}
			}
			x.F = append(x.F, row...)
		}
		y, err := float.Run(t.Context(), map[string]runtime.Tensor{"input.0": x}, runtime.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range w.Outputs {
			var d diff.Tensor
			d.Add(y[o.Name].F, o.Values)
			if !(d.SQNR() > 110) {
				t.Errorf("%s: %.1f dB beside the network in float32", o.Name, d.SQNR())
			}
		}
		if err := m.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
