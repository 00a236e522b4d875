// Package optest holds both executors to the results of an independent
// implementation, op by op: testdata/ops, made by testdata/gen/ops.py.
package optest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/format/graph"
)

// Case is a graph of one op, or a few, with inputs and the outputs that they must give.
type Case struct {
	Kind, Name string
	Graph      *graph.Graph
	Params     map[string]graph.Tensor
	Passes     []Pass
}

// Pass is one pass of a case.
type Pass struct {
	Parts   []Part
	In, Out map[string]graph.Tensor
}

// Part is a part of the pass, of sequence Seq, or of none if that is negative.
type Part struct {
	Seq  int     `json:"seq"`
	N    int     `json:"n"`
	Rows []int32 `json:"rows"`
	End  int     `json:"end"`
}

// Executor runs the graph of one case.
type Executor interface {
	NewSequence() graph.Sequence
	Run(ctx context.Context, b *graph.Batch) ([]graph.Tensor, error)
}

// ReadRows implements graph.Source on the params.
func (c *Case) ReadRows(name string, r0, r1 int, dst []float32) error {
	x, ok := c.Params[name]
	if !ok {
		return fmt.Errorf("no param %q", name)
	}
	width := len(x.F) / x.Shape[0]
	if len(x.Shape) == 1 {
		width = len(x.F)
	}
	if copy(dst, x.F[r0*width:r1*width]) != len(dst) {
		return fmt.Errorf("param %q: rows %d to %d are no %d values", name, r0, r1, len(dst))
	}
	return nil
}

// Load reads the cases in dir, the repository's testdata/ops.
func Load(t testing.TB, dir string) (list []*Case) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || files == nil {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Name   string
			Graph  json.RawMessage
			Passes [][]Part
		}
		if err := json.Unmarshal(data, &cases); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		base := strings.TrimSuffix(path, ".json")
		tensors := read(t, base+".safetensors")
		for _, x := range cases {
			c := &Case{Kind: filepath.Base(base), Name: x.Name, Params: under(tensors, x.Name+"/param/")}
			if c.Graph, err = graph.Unmarshal(x.Graph); err != nil {
				t.Fatalf("%s: %s: %v", path, x.Name, err)
			}
			for i, parts := range x.Passes {
				at := fmt.Sprintf("%s/%d/", x.Name, i)
				c.Passes = append(c.Passes, Pass{parts, under(tensors, at+"in/"), under(tensors, at+"out/")})
			}
			list = append(list, c)
		}
	}
	return list
}

func read(t testing.TB, path string) map[string]graph.Tensor {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := map[string]graph.Tensor{}
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		y := graph.Tensor{Shape: x.Shape, F: make([]float32, x.NumElems())}
		if err := x.ReadRows(0, x.NumRows(), y.F); err != nil {
			t.Fatal(err)
		}
		if x.DType == safetensors.I32 { // small numbers, exact in float32
			y.I = make([]int32, len(y.F))
			for i, v := range y.F {
				y.I[i] = int32(v)
			}
			y.F = nil
		}
		m[name] = y
	}
	return m
}

// under is the part of m whose names begin with prefix, without it.
func under(m map[string]graph.Tensor, prefix string) map[string]graph.Tensor {
	out := map[string]graph.Tensor{}
	for name, x := range m {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			out[rest] = x
		}
	}
	return out
}

// Run runs every case on the executor that start makes of it, and holds its
// outputs against the expected ones: integers equal, floats within tolerance times the greatest expected. Parts
// without a sequence must give the same bits alone. A start that returns nil and no error leaves the case out.
func Run(t *testing.T, dir string, tolerance float64, start func(t *testing.T, c *Case) (Executor, error)) {
	for _, c := range Load(t, dir) {
		t.Run(c.Kind+"/"+c.Name, func(t *testing.T) {
			x, err := start(t, c)
			if err != nil {
				t.Fatal(err)
			}
			if x == nil {
				return
			}
			seqs := map[int]graph.Sequence{}
			for i, p := range c.Passes {
				b := &graph.Batch{Inputs: p.In}
				lone := true
				for _, part := range p.Parts {
					if part.Seq >= 0 && seqs[part.Seq] == nil {
						seqs[part.Seq] = x.NewSequence()
					}
					lone = lone && part.Seq < 0
					b.Parts = append(b.Parts, graph.Part{Seq: seqs[part.Seq], N: part.N, Rows: part.Rows, End: part.End})
				}
				got, err := x.Run(t.Context(), b)
				if err != nil {
					t.Fatalf("pass %d: %v", i, err)
				}
				got = slices.Clone(got) // valid until the next pass
				for j := range got {
					got[j].F, got[j].I = slices.Clone(got[j].F), slices.Clone(got[j].I)
				}
				for j, name := range c.Graph.Outputs {
					if err := near(got[j], p.Out[name], tolerance); err != nil {
						t.Errorf("pass %d: output %s: %v", i, name, err)
					}
				}
				if lone && len(p.Parts) > 1 {
					alone(t, x, c.Graph, b, got)
				}
			}
		})
	}
}

// near says how two tensors differ.
func near(got, want graph.Tensor, tolerance float64) error {
	if !slices.Equal(got.Shape, want.Shape) {
		return fmt.Errorf("shape %v, want %v", got.Shape, want.Shape)
	}
	if !slices.Equal(got.I, want.I) || len(got.F) != len(want.F) {
		return fmt.Errorf("%v (%d floats), want %v (%d floats)", got.I, len(got.F), want.I, len(want.F))
	}
	most, worst, at := 0.0, 0.0, 0
	for i, v := range want.F {
		most = max(most, math.Abs(float64(v)))
		if d := math.Abs(float64(got.F[i]) - float64(v)); !(d <= worst) { // NaN too
			worst, at = d, i
		}
	}
	if !(worst <= tolerance*most) {
		return fmt.Errorf("value %d is %v, want %v: off by %.3g of the greatest, at most %.3g are allowed", at, got.F[at], want.F[at], worst/most, tolerance)
	}
	return nil
}

// alone runs each part of b by itself: its rows must be those of the pass, bit for bit.
func alone(t *testing.T, x Executor, g *graph.Graph, b *graph.Batch, together []graph.Tensor) {
	t.Helper()
	shapes := map[string][]graph.Dim{}
	for name, v := range g.ValueMap() {
		shapes[name] = v.Shape
	}
	// rows is the range of rows of part i in a value.
	rows := func(name string, i int) (r0, r1 int, ok bool) {
		d := shapes[name][0]
		if d >= 0 || !slices.Contains([]string{"T", "R", "S"}, g.Symbols[-1-d]) {
			return 0, 0, false
		}
		for j, p := range b.Parts[:i+1] {
			n := map[string]int{"T": p.N, "R": len(p.Rows), "S": 1}[g.Symbols[-1-d]]
			if r1 += n; j < i {
				r0 = r1
			}
		}
		return r0, r1, true
	}
	cut := func(name string, v graph.Tensor, i int) graph.Tensor {
		r0, r1, ok := rows(name, i)
		if !ok {
			return v
		}
		width := 1
		for _, d := range v.Shape[1:] {
			width *= d
		}
		out := graph.Tensor{Shape: slices.Concat([]int{r1 - r0}, v.Shape[1:])}
		if v.I != nil {
			out.I = v.I[r0*width : r1*width]
		} else {
			out.F = v.F[r0*width : r1*width]
		}
		return out
	}
	for i, p := range b.Parts {
		one := &graph.Batch{Parts: []graph.Part{p}, Inputs: map[string]graph.Tensor{}}
		for _, name := range slices.Sorted(maps.Keys(b.Inputs)) {
			one.Inputs[name] = cut(name, b.Inputs[name], i)
		}
		got, err := x.Run(t.Context(), one)
		if err != nil {
			t.Fatalf("part %d alone: %v", i, err)
		}
		for j, name := range g.Outputs {
			want := cut(name, together[j], i)
			bits := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
			if !slices.EqualFunc(got[j].F, want.F, bits) || !slices.Equal(got[j].I, want.I) {
				t.Errorf("part %d alone gives other bits in %s: %v .., with the others %v ..", i, name, head(got[j]), head(want))
			}
		}
	}
}

// head is the first values of a tensor.
func head(x graph.Tensor) any {
	if x.I != nil {
		return x.I[:min(8, len(x.I))]
	}
	return x.F[:min(8, len(x.F))]
}
