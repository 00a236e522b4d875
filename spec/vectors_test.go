// Package spec_test holds the test vectors of the file format: small files that every later version must read as this one
// does (vectors), and bad ones with the rule that each breaks (vectors/bad).
package spec_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/bench/synth"
	"qpt/convert"
	"qpt/format"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/lm"
)

// update writes files that are missing. Those that are there are frozen: to replace one, before it is released, remove it.
var update = flag.Bool("update", false, "write the vectors that are missing")

const dir = "vectors"

// The good files: how each is made, and what for.
var vectors = []struct {
	name, what string
	opt        convert.Options
}{
	{"f32", "binary32 throughout; table and output layer tied", convert.Options{Scheme: "f32"}},
	{"bf16", "bfloat16 weights", convert.Options{Scheme: "bf16"}},
	{"da8w8", "int8 weights; 6 predictions, 216 + 32 tokens kept of each", convert.Options{Scheme: "da8w8", References: 6}},
	{"da8w4", "two-level int4, groups of 16", convert.Options{Scheme: "da8w4", Group: 16}},
	{"da8w4-torchao", "int4 with float group scales, groups of 32", convert.Options{Scheme: "da8w4", Compat: "torchao"}},
	{"da8w6", "two-level int6, groups of 64", convert.Options{Scheme: "da8w6", Group: 64}},
	{"a16w4", "int4 weights of different schemes: rules of a recipe", convert.Options{Scheme: "a16w4", Overrides: []convert.Override{{Match: "down_proj", Scheme: "a16w8"}, {Match: "q_proj", Scheme: "a16w4:64"}}}},
	{"s8s8", "static activations", convert.Options{Scheme: "s8s8", Preset: "fast", Calib: "calib.txt"}},
	{"rewritten", "rotations, channel scales, a copied table and added biases", convert.Options{Scheme: "da8w4", Algorithms: "rotate,scales,gptq,bias", Calib: "calib.txt", Seed: 1}},
	{"transport", "da8w4 in the transport form", convert.Options{Scheme: "da8w4", Group: 16, Compress: true}},
}

// expected is what a file means.
type expected struct {
	What    string           `json:"what"`
	Tensors []expectedTensor `json:"tensors"`
	IDs     []int32          `json:"ids"` // one sequence, keys and values in KV
	KV      string           `json:"kv"`
	Logits  []float32        `json:"logits"` // behind the last of IDs
}

type expectedTensor struct {
	Name   string    `json:"name"`
	Shape  []int     `json:"shape"`
	First  []float32 `json:"first_row"` // of the values that the weights have; for vectors, all
	Last   []float32 `json:"last_row,omitempty"`
	SHA256 string    `json:"sha256"` // of all values, binary32, row by row
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// make writes a good file.
func makeVector(t *testing.T, path string, opt convert.Options) {
	tmp := t.TempDir()
	shape := synth.Shape{Hidden: 32, Layers: 1, Heads: 2, KVHeads: 1, HeadDim: 16, FFN: 48, Vocab: 360, Context: 64, RopeTheta: 1e4, Tied: true}
	opt.In, opt.Out = filepath.Join(tmp, "tiny"), path
	check(t, synth.Write(opt.In, shape, synth.Options{Seed: 5}))
	if opt.Calib != "" {
		opt.Calib = filepath.Join(tmp, opt.Calib)
		check(t, os.WriteFile(opt.Calib, []byte(strings.Repeat("Once upon a time. ", 20)), 0o644))
	}
	if opt.References == 0 {
		opt.References = -1
	}
	opt.Tool = "qpt vectors"
	p, err := convert.MakePlan(opt)
	check(t, err)
	defer p.Close()
	_, err = p.Run(t.Context(), convert.Hooks{})
	check(t, err)
}

// meaning reads what a file means.
func meaning(t *testing.T, path string) (e expected, layout []byte) {
	t.Helper()
	f, err := format.Open(path)
	check(t, err)
	defer f.Close()
	check(t, f.Verify(t.Context(), nil))
	var dump bytes.Buffer
	check(t, format.Dump(&dump, f))
	m, err := lm.Load(path, runtime.Options{Threads: 2, KV: "f32"})
	check(t, err)
	defer m.Close()
	check(t, m.Verify(t.Context()))
	for _, x := range m.Tensors() {
		e.Tensors = append(e.Tensors, values(t, m.Model, x))
	}
	e.IDs, e.KV = []int32{1, 5, 200, 77, 3, 150, 260, 42}, m.KV()
	logits, err := m.Forward(t.Context(), e.IDs)
	check(t, err)
	e.Logits = logits[len(logits)-m.Vocab():]
	return e, dump.Bytes()
}

// values are those of a tensor.
func values(t *testing.T, m *runtime.Model, x *format.Tensor) expectedTensor {
	t.Helper()
	e := expectedTensor{Name: x.Name, Shape: x.Shape}
	h := sha256.New()
	add := func(row []float32) {
		b := make([]byte, 0, 4*len(row))
		for _, v := range row {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		h.Write(b)
	}
	if x.Format == format.PlainF32 {
		v, err := m.Vector(x.Name)
		check(t, err)
		e.First = slices.Clone(v)
		add(v)
	} else {
		l, err := m.Linear(x.Name, "")
		check(t, err)
		for n := range l.Weight.N {
			row := make([]float32, l.Weight.K)
			linear.EmbedRow(row, l.Weight, n)
			if add(row); n == 0 {
				e.First = row
			}
			e.Last = row
		}
	}
	e.SHA256 = hex.EncodeToString(h.Sum(nil))
	return e
}

// TestVectors: a file of this version means for ever what it meant when it was written.
func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			path := filepath.Join(dir, v.name+".qpt")
			if *update && !exists(path) {
				makeVector(t, path, v.opt)
			}
			got, layout := meaning(t, path)
			got.What = v.what
			golden, text := strings.TrimSuffix(path, ".qpt")+".json", strings.TrimSuffix(path, ".qpt")+".txt"
			if *update && !exists(golden) {
				b, err := json.Marshal(got)
				check(t, err)
				check(t, os.WriteFile(golden, append(bytes.ReplaceAll(b, []byte(`{"name"`), []byte("\n"+`{"name"`)), '\n'), 0o644))
			}
			if *update && !exists(text) {
				check(t, os.WriteFile(text, layout, 0o644))
			}
			b, err := os.ReadFile(golden)
			check(t, err)
			var want expected
			check(t, json.Unmarshal(b, &want))
			same(t, &want, &got)
			if b, err = os.ReadFile(text); err != nil || !bytes.Equal(b, layout) {
				t.Errorf("the layout reads otherwise: %v\n%s", err, layout)
			}
		})
	}
}

// same compares tensors bit for bit and logits, whose float operations depend on the instruction set, within 1e-5 of the
// largest; integer steps may turn such a difference into one of a code, hence 1e-2 for them.
func same(t *testing.T, want, got *expected) {
	t.Helper()
	if len(want.Tensors) != len(got.Tensors) || want.KV != got.KV || len(want.Logits) != len(got.Logits) {
		t.Fatalf("%d tensors, KV %s, %d logits; want %d, %s, %d", len(got.Tensors), got.KV, len(got.Logits), len(want.Tensors), want.KV, len(want.Logits))
	}
	for i, w := range want.Tensors {
		g := got.Tensors[i]
		if w.Name != g.Name || !slices.Equal(w.Shape, g.Shape) || w.SHA256 != g.SHA256 || !slices.Equal(w.First, g.First) || !slices.Equal(w.Last, g.Last) {
			t.Errorf("tensor %s %v is %s %v: other values", w.Name, w.Shape, g.Name, g.Shape)
		}
	}
	var most, off float64
	for i, w := range want.Logits {
		most = max(most, math.Abs(float64(w)))
		off = max(off, math.Abs(float64(w)-float64(got.Logits[i])))
	}
	if !(off <= 1e-2*most) || most == 0 {
		t.Errorf("logits differ by %g of %g", off, most)
	}
	t.Logf("logits within %.2g of the largest", off/most)
}

// TestPrograms: two graphs over one tensor directory.
func TestPrograms(t *testing.T) {
	path := filepath.Join(dir, "programs.qpt")
	if *update && !exists(path) {
		check(t, os.WriteFile(path, assemble(baseFile(t)), 0o644))
	}
	f, err := format.Open(path)
	check(t, err)
	defer f.Close()
	check(t, f.Verify(t.Context(), nil))
	if got := f.Programs(); !slices.Equal(got, []string{"main", "rows"}) {
		t.Errorf("programs %q", got)
	}
	for _, name := range f.Programs() {
		g, err := f.Program(name)
		check(t, err)
		if len(g.Nodes) != map[string]int{"main": 3, "rows": 1}[name] {
			t.Errorf("%s has %d nodes", name, len(g.Nodes))
		}
	}
}

// readAll is the first error that a reader finds in a file.
func readAll(path string) error {
	f, err := format.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Verify(context.Background(), nil); err != nil {
		return err
	}
	m, err := runtime.Load(path, runtime.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Verify(context.Background())
}

// baseFile is the sections of the smallest file that runs: ids -> table -> linear layer -> logits.
func baseFile(t *testing.T) []section {
	t.Helper()
	const vocab, width = 8, 20
	table, head := linear.NewWeight(linear.I8, vocab, width, 0), linear.NewWeight(linear.I4, vocab, width, 16)
	for i := range head.Groups {
		head.Groups[i] = linear.I4.Join(8, 3)
	}
	codes := make([]int8, width)
	for n := range 16 {
		for k := range codes {
			codes[k] = int8((7*n + 5*k) % 16)
			if n >= vocab { // padding
				codes[k] = 8
			}
		}
		grown := *head
		grown.N = 16
		linear.PutRow(&grown, n, codes)
		if n < vocab {
			for k := range codes {
				codes[k] = codes[k]*9 - 64
			}
			linear.PutRow(table, n, codes)
			table.Scale[n], head.Scale[n] = 0.01, 0.125
		}
	}
	linear.FillSums(table)
	linear.FillSums(head)
	var data []byte
	part := func(role format.Role, b []byte) format.Part {
		data = append(data, make([]byte, -len(data)&63)...)
		p := format.Part{Role: role, Section: "weights", Offset: int64(len(data)), Size: int64(len(b))}
		data = append(data, b...)
		return p
	}
	words := func(f []float32, s []int32) (b []byte) {
		for _, v := range f {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		for _, v := range s {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
		return b
	}
	tensors := []format.Tensor{
		{Name: "table", Shape: []int{vocab, width}, Format: format.I8, Layout: 1, Scheme: "a16w8", Parts: []format.Part{
			part(format.RoleData, table.Data), part(format.RoleScale, words(table.Scale, nil)), part(format.RoleSum, words(nil, table.Sum))}},
		{Name: "head", Shape: []int{vocab, width}, Format: format.I4, Layout: 1, Group: 16, Scheme: "da8w4", Parts: []format.Part{
			part(format.RoleData, head.Data), part(format.RoleGroups, head.Groups), part(format.RoleScale, words(head.Scale, nil)), part(format.RoleSum, words(nil, head.Sum))}},
	}
	directory, err := json.Marshal(map[string]any{"tensors": tensors})
	check(t, err)
	program := func(whole bool) []byte {
		b := graph.NewBuilder()
		tokens := b.Symbol("T")
		ids := b.Input("ids", graph.Int, tokens)
		h := b.Node("embed", graph.Embedding{}, []string{ids}, b.Param("table", vocab, width))
		if whole {
			rows := b.Input("rows", graph.Int, b.Symbol("R"))
			h = b.Linear("head", b.Node("wanted", graph.Gather{}, []string{h, rows}), b.Param("head", vocab, width), "")
			b.Output("logits", h)
		} else {
			b.Output("rows_of_table", h)
		}
		g, err := b.Graph()
		check(t, err)
		data, err := graph.Marshal(g)
		check(t, err)
		return data
	}
	refs := words(nil, []int32{1, vocab, 2, 1, 1, 2, 3, 1})
	refs = append(refs, "ab"...)
	refs = append(refs, words(nil, []int32{1, 2, 3, 0})...)
	refs = append(binary.LittleEndian.AppendUint64(refs, math.Float64bits(1.5)), words([]float32{0.25}, []int32{4, 5, 0})...)
	refs = append(refs, words([]float32{2, 1, 0.5}, nil)...)
	text := `{"values":[{"value":"wanted","scales":20}]}`
	rewrites := append(words(nil, []int32{int32(len(text))}), text...)
	rewrites = append(rewrites, words(slices.Repeat([]float32{2}, width), nil)...)
	return []section{
		{kind: format.KindWeights, name: "weights", data: data},
		{kind: format.KindTensors, name: "tensors", data: directory},
		{kind: format.KindGraph, name: "graph", data: program(true)},
		{kind: format.KindGraph, name: "graph.rows", data: program(false)},
		{kind: format.KindMeta, name: "meta", data: []byte(`{"tool":"qpt vectors","model":{"name":"base","architecture":"","parameters":320,"context":8,"bos":-1},"sources":[],"recipe":{"scheme":"da8w4","group":16}}`)},
		{kind: format.KindReferences, name: "references", data: refs},
		{kind: format.KindRewrites, name: "rewrites", data: rewrites},
	}
}

func shorten(s string) string { return fmt.Sprintf("%.200s", s) }
