package exec

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/safetensors/sttest"
	"qpt/format/graph"
	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/attn"
	"qpt/kernels/linear"
	kquant "qpt/kernels/quant"
	"qpt/runtime/ref"
)

// tensors are the float32 constants of a graph; they are a graph.Source.
type tensors map[string]tensor

type tensor struct {
	shape []int
	data  []float32
}

func (x tensors) ReadRows(name string, r0, r1 int, dst []float32) error {
	k := rowLength(x[name].shape)
	copy(dst, x[name].data[r0*k:r1*k])
	return nil
}

// rowLength is the number of values of an index of the first dimension; of a vector, 1 row, all of them.
func rowLength(shape []int) int {
	n := 1
	for _, d := range shape[min(1, len(shape)-1):] {
		n *= d
	}
	return n
}

// weights packs tensors on demand: scheme says how, by name ("i4f" is da8w4 with float group scales).
type weights struct {
	tensors
	scheme func(name string) string
	packed map[string]*linear.Weight
}

func (x tensors) as(scheme string) *weights {
	return x.mixed(func(string) string { return scheme })
}

func (x tensors) mixed(scheme func(name string) string) *weights {
	return &weights{x, scheme, map[string]*linear.Weight{}}
}

func (w *weights) Linear(name, bias string) (Layer, error) {
	x, ok := w.tensors[name]
	if !ok {
		return Layer{}, fmt.Errorf("no tensor %q", name)
	}
	scheme, opt, i4f := w.scheme(name), kquant.Options{}, false
	if scheme == "i4f" {
		scheme, i4f, opt.Compat = "da8w4", true, kquant.CompatTorchAO
	}
	s, err := linear.ParseScheme(scheme)
	if err != nil {
		return Layer{}, err
	}
	if i4f {
		s.Format = linear.I4F
	}
	p := w.packed[name]
	if p == nil {
		n, k := x.shape[0], rowLength(x.shape)
		p = linear.NewWeight(s.Format, n, k, 32)
		if s.Format == linear.F32 || s.Format == linear.BF16 {
			p.PutFloatRows(0, x.data, n)
		} else {
			q := kquant.NewQuantizer(k, opt)
			for b := range p.Blocks() {
				q.Block(p, b, x.data[b*16*k:min((b+1)*16, n)*k])
			}
		}
		w.packed[name] = p
	}
	l := Layer{Weight: p, Form: s.Form, Static: s.Static}
	if bias != "" {
		c := *p
		c.Bias = make([]float32, num.Pad(c.N, 16))
		copy(c.Bias, w.tensors[bias].data)
		l.Weight = &c
	}
	return l, nil
}

// Static is made up; the values of these models are within -8..8.
func (w *weights) Static(value string) (scale float32, zero int32, err error) {
	return 1. / 16, int32(120 + len(value)%16), nil
}

func (w *weights) Stored(string) (scale float32, zero int32, ok bool) { return 0, 0, false }

func (w *weights) Vector(name string) ([]float32, error) { return w.tensors[name].data, nil }

const variants = "../../testdata/llama-variants/"

// model loads a checkpoint.
func model(t testing.TB, dir string) (*hf.Model, tensors) {
	t.Helper()
	m, err := hf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, x := sttest.Open(t, dir), tensors{}
	for _, name := range c.Names() {
		v, shape := c.Floats(name)
		x[name] = tensor{shape, v}
	}
	return m, x
}

func compile(t testing.TB, g *graph.Graph, w Weights, opt Options) *Program {
	t.Helper()
	p, err := Compile(g, w, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// state is a sequence with a workspace of its own.
type state struct {
	p     *Program
	ws    *Workspace
	seq   *Sequence
	batch int
}

// stateOptions size a state.
type stateOptions struct {
	Context int
	Batch   int // rows of a pass at most; 0: any number
	KV      attn.KVType
}

func newState(t testing.TB, p *Program, threads int, opt stateOptions) *state {
	t.Helper()
	ws := NewWorkspace(threads)
	ws.KV = opt.KV
	t.Cleanup(ws.Close)
	return &state{p, ws, p.NewSequence(attn.NewPool(0), opt.KV, opt.Context), opt.Batch}
}

// tokens is a pass over ids that wants the last row or all.
func tokens(seq graph.Sequence, ids []int32, all bool) *graph.Batch {
	var rows []int32
	for i := range ids {
		if all || i == len(ids)-1 {
			rows = append(rows, int32(i))
		}
	}
	return &graph.Batch{
		Parts:  []graph.Part{{Seq: seq, N: len(ids), Rows: rows}},
		Inputs: map[string]graph.Tensor{"ids": {Shape: []int{len(ids)}, I: ids}},
	}
}

// Run appends ids, in passes of at most batch rows.
func (s *state) Run(ctx context.Context, ids []int32, all bool) ([]float32, error) {
	end := s.seq.Len() + len(ids)
	for {
		n := len(ids)
		if s.batch > 0 {
			n = min(n, s.batch)
		}
		b := tokens(s.seq, ids[:n], all)
		b.Parts[0].End = end
		out, err := s.p.Run(ctx, s.ws, b)
		if err != nil {
			return nil, err
		}
		if ids = ids[n:]; len(ids) == 0 {
			return out[0].F, nil
		}
	}
}

func (s *state) Len() int       { return s.seq.Len() }
func (s *state) Truncate(n int) { s.seq.Truncate(n) }

// run appends ids in calls of the given lengths, the last one repeated, and
// returns the output row of each call's last token, by position.
func run(t testing.TB, s *state, ids []int32, calls ...int) map[int][]float32 {
	t.Helper()
	rows, v := map[int][]float32{}, s.p.OutputWidth()
	for i := 0; len(ids) > 0; i++ {
		n := min(calls[min(i, len(calls)-1)], len(ids))
		y, err := s.Run(context.Background(), ids[:n], false)
		if err != nil {
			t.Fatal(err)
		}
		if len(y) != v {
			t.Fatalf("%d values, want one row of %d", len(y), v)
		}
		rows[s.Len()-1] = append([]float32(nil), y...)
		ids = ids[n:]
	}
	return rows
}

// runAll appends ids in one pass and returns all output rows.
func runAll(t testing.TB, s *state, ids []int32) []float32 {
	t.Helper()
	y, err := s.Run(context.Background(), ids, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(y) != len(ids)*s.p.OutputWidth() {
		t.Fatalf("%d values, want %d rows of %d", len(y), len(ids), s.p.OutputWidth())
	}
	return append([]float32(nil), y...)
}

// same fails unless got and want are the same bits.
func same(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	bad, first := 0, 0
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			if bad == 0 {
				first = i
			}
			bad++
		}
	}
	if bad > 0 {
		t.Fatalf("%s: %d of %d values differ, the first at %d: %v, want %v", what, bad, len(got), first, got[first], want[first])
	}
}

// sqnr is 20*log10(|want|/|want-got|).
func sqnr(got, want []float32) float64 {
	var x, d float64
	for i, w := range want {
		x += float64(w) * float64(w)
		d += (float64(w) - float64(got[i])) * (float64(w) - float64(got[i]))
	}
	return 10 * math.Log10(x/d)
}

func randomIDs(n, vocab int) []int32 {
	rng, ids := rand.New(rand.NewPCG(uint64(n), 5)), make([]int32, n)
	for i := range ids {
		ids[i] = rng.Int32N(int32(vocab))
	}
	return ids
}

// levels lists the ISA levels of the machine; with -short (the race detector
// makes Go code very slow) the best one alone.
func levels(t testing.TB) (list []cpu.ISA) {
	if testing.Short() {
		return []cpu.ISA{cpu.Active()}
	}
	for isa := cpu.Generic; isa <= cpu.AMX; isa++ {
		if isa == cpu.Generic || cpu.Has(isa) {
			list = append(list, isa)
		} else {
			t.Logf("%v: not on this machine", isa)
		}
	}
	return list
}

var schemes = []string{"f32", "bf16", "a16w8", "a16w6", "a16w4", "da8w8", "da8w6", "da8w4", "i4f", "s8s8"}

// mixture gives neighbouring layers different schemes.
func mixture(name string) string {
	for _, c := range [][2]string{{"k_proj", "f32"}, {"q_proj", "bf16"}, {"v_proj", "a16w8"}, {"o_proj", "a16w4"},
		{"up_proj", "da8w4"}, {"gate_proj", "s8s8"}, {"down_proj", "i4f"}} {
		if strings.Contains(name, c[0]) {
			return c[1]
		}
	}
	return "a16w8"
}

// reference is the FP32 executor's output, all rows.
func reference(t testing.TB, g *graph.Graph, x tensors, ids []int32) []float32 {
	t.Helper()
	y, err := ref.Logits(context.Background(), g, x, []ref.Seq{{IDs: ids}}, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return y[0].F
}
