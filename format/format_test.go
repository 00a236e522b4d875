package format

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/internal/outfile"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fill returns n bytes that depend on n and seed only.
func fill(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.NormFloat64() * 20)
	}
	return b
}

var sampleMeta = Meta{
	Tool:    "qconv test",
	Model:   ModelInfo{Name: "tiny", Architecture: "LlamaForCausalLM", Parameters: 1168, Context: 64, BOS: -1, EOS: []int{2, 0}},
	Sources: []Source{{Name: "model.safetensors", Size: 4800, SHA256: strings.Repeat("0f", 32)}},
	Recipe: Recipe{Scheme: "da8w4", Group: 32, Preset: "balanced",
		Rules:       []Rule{{Match: "up", Except: "0", Scheme: "da8w4", Group: 16, Reason: "asked for"}, {Role: "output", Scheme: "da8w8"}},
		Calibration: &Calibration{Algorithms: []string{"scales"}, Alpha: []float64{0, 0.5}, Beta: []float64{0.25}, Damp: 0.01, Samples: 8, Length: 64, Seed: 1},
		Mixed:       &Mixed{Target: "5 bits per weight", PredictedKL: 0.0125, Calibration: strings.Repeat("c3", 32)},
		Activations: &Activations{Observer: "mse", Symmetric: true}, Results: []Result{{"calib-tokens", "512"}}},
	Calibration: strings.Repeat("a5", 32),
}

var sampleRefs = References{Vocab: 3, Top: 1, Tail: 1, Cases: []Reference{
	{Prompt: "héllo", Tokens: []int32{0, 2, 1, 1}, Rows: []int32{0, 2}, Preds: []Prediction{
		{2.25, 3, []int32{2, 1}, []float32{3, 2}}, {1.25, 1, []int32{1, 2}, []float32{1, 1}}}},
	{Tokens: []int32{2, 2}, Rows: []int32{0}, Preds: []Prediction{{-0.75, -2, []int32{0, 1}, []float32{1e-40, -1}}}},
}}

// sampleRows are those of a network: two inputs, an output as it is and a sample of one.
var sampleRows = References{Rows: &Rows{N: 2,
	Inputs:  []RowsInput{NewRowsInput("x", []int{2, 2}, []float32{-1, 0, 0.5, 3, 2, 2, 2, 2}), NewRowsInput("y", []int{}, []float32{7, -7})},
	Outputs: []RowsOutput{{"logits", 3, nil, []float32{1, 2, 3, 4, 5, 6}}, {"map", 9, []int32{0, 8}, []float32{-1, 1e-40, 3, 4}}},
}}

var sampleRewrites = Rewrites{
	Values: []RewrittenValue{
		{Value: "norm", Gain: "norm", Offset: 1, Rotation: num.NewRotation(12, 1), Scales: []float32{1, 0.5, 2}},
		{Value: "v", Rotation: num.NewRotation(12, 1)},
		{Value: "gated", Scales: []float32{4}},
	},
	Params: []RewrittenParam{{Param: "head", Change: Copied, Of: "embed"}, {Param: "up.bias", Change: Added}, {Param: "b", Change: Corrected}},
}

// sampleGraph is a graph of one node.
func sampleGraph(t testing.TB) *graph.Graph {
	b := graph.NewBuilder()
	x := b.Input("x", graph.Float, b.Symbol("T"), 5)
	b.Output("y", b.Node("norm", graph.RMSNorm{Eps: 1e-5}, []string{x}, b.Param("norm", 5)))
	g, err := b.Graph()
	check(t, err)
	return g
}

var sampleActivations = []Activation{
	{Value: "norm", Scale: 1. / 30, Zero: 117, Observer: "mse", Min: -3.75, Max: 4.125, Clipped: 0.015625},
	{Value: "gated", Scale: minScale, Observer: "minmax"},
}

// sampleTensors writes two weights sections and returns their tensors.
func sampleTensors(t testing.TB, w *Writer, enc Encoding) []Tensor {
	t.Helper()
	ts := []Tensor{
		{Name: "up", Shape: []int{10, 60}, Format: I4, Layout: LayoutN16K4, Group: 32, Scheme: "da8w4", SQNR: 21.5},
		{Name: "norm", Shape: []int{5}, Format: PlainF32, Scheme: "f32", Reason: "it is a vector"},
		{Name: "head", Shape: []int{16, 3}, Format: BF16, Layout: LayoutN16K4, Scheme: "bf16", Reason: "asked for"},
	}
	sizes := [][]Part{
		{{Role: RoleData, Size: 512}, {Role: RoleGroups, Size: 32}, {Role: RoleScale, Size: 64}, {Role: RoleSum, Size: 64}},
		{{Role: RoleData, Size: 20}},
		{{Role: RoleData, Size: 2048}},
	}
	var s *SectionWriter
	for i := range ts {
		if i != 1 { // "up" and "norm" share a section
			if s != nil {
				check(t, s.Close())
			}
			var err error
			s, err = w.Section(KindWeights, []string{0: "layer.0", 2: "head"}[i], enc)
			check(t, err)
		}
		for j, p := range sizes[i] {
			check(t, s.Align(64))
			p.Section, p.Offset = s.s.Name, s.Offset()
			_, err := s.Write(fill(int(p.Size), uint64(10*i+j)))
			check(t, err)
			ts[i].Parts = append(ts[i].Parts, p)
		}
	}
	check(t, s.Close())
	return ts
}

// sample writes a file with a section of every kind; enc is for the weights.
func sample(t testing.TB, path string, enc Encoding, threads int) []Tensor {
	t.Helper()
	w, err := Create(path, WriteOptions{Threads: threads})
	check(t, err)
	defer w.Abort()
	ts := sampleTensors(t, w, enc)
	check(t, w.WriteProgram(Main, sampleGraph(t)))
	check(t, w.WriteTensors(ts))
	check(t, w.WriteMeta(sampleMeta))
	check(t, w.Put(KindTokenizer, "tokenizer", Zstd, nil))
	check(t, w.WriteReferences(sampleRefs))
	check(t, w.WriteActivations(sampleActivations))
	check(t, w.WriteProgram("head", sampleGraph(t)))
	check(t, w.WriteRewrites(sampleRewrites))
	check(t, w.Commit())
	return ts
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openFile(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	check(t, err)
	t.Cleanup(func() { check(t, f.Close()) })
	return f
}

// openBytes is Open for a file in memory.
func openBytes(b []byte) (*File, error) {
	f := &File{path: "mem.qpt", b: b, unmap: func([]byte) error { return nil }}
	return f, f.init()
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, enc := range []Encoding{Raw, Zstd} {
		t.Run(enc.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.qpt")
			ts := sample(t, path, enc, 0)
			f := openFile(t, path)
			var done, total int64
			check(t, f.Verify(t.Context(), func(d, n int64) { done, total = d, n }))
			if done != total || total == 0 {
				t.Errorf("progress ended at %d of %d", done, total)
			}
			m, err := f.Meta()
			check(t, err)
			if d := cmp.Diff(sampleMeta, m); d != "" {
				t.Error("meta:", d)
			}
			got, err := f.Tensors()
			check(t, err)
			if d := cmp.Diff(ts, got); d != "" {
				t.Error("tensors:", d)
			}
			refs, err := f.References()
			check(t, err)
			if d := cmp.Diff(sampleRefs, refs); d != "" {
				t.Error("references:", d)
			}
			acts, err := f.Activations()
			check(t, err)
			if d := cmp.Diff(sampleActivations, acts); d != "" {
				t.Error("activations:", d)
			}
			for i, x := range got {
				for j, p := range x.Parts {
					b, err := f.Part(p)
					check(t, err)
					if !bytes.Equal(b, fill(int(p.Size), uint64(10*i+j))) {
						t.Errorf("tensor %s, part %s: other bytes than written", x.Name, p.Role)
					}
				}
			}
			rewrites, err := f.Rewrites()
			check(t, err)
			if d := cmp.Diff(sampleRewrites, rewrites); d != "" {
				t.Error("rewrites:", d)
			}
			if got := f.Programs(); !slices.Equal(got, []string{"main", "head"}) {
				t.Errorf("programs %q", got)
			}
			for _, name := range f.Programs() {
				g, err := f.Program(name)
				check(t, err)
				if d := cmp.Diff(sampleGraph(t), g); d != "" {
					t.Error(name, d)
				}
			}
		})
	}
}

// TestChunks writes a section of several frames in odd pieces, with any number
// of threads, and repacks it there and back.
func TestChunks(t *testing.T) {
	dir := t.TempDir()
	data := append(fill(2*chunk, 1), make([]byte, chunk+5)...)
	write := func(name string, enc Encoding, threads, step int) []byte {
		w, err := Create(filepath.Join(dir, name), WriteOptions{Threads: threads})
		check(t, err)
		defer w.Abort()
		s, err := w.Section(KindWeights, "w", enc)
		check(t, err)
		for at := 0; at < len(data); at += step {
			_, err := s.Write(data[at:min(at+step, len(data))])
			check(t, err)
		}
		check(t, s.Close())
		check(t, w.WriteMeta(sampleMeta))
		check(t, w.Commit())
		return readFile(t, filepath.Join(dir, name))
	}
	raw := write("raw", Raw, 1, len(data))
	one := write("one", Zstd, 1, 1000003)
	three := write("three", Zstd, 3, len(data))
	if !bytes.Equal(one, three) {
		t.Error("the number of threads changes the bytes")
	}
	f := openFile(t, filepath.Join(dir, "one"))
	if b, err := f.Data(0); err != nil || !bytes.Equal(b, data) {
		t.Errorf("decoded data differ (%v)", err)
	}
	check(t, f.Verify(t.Context(), nil))

	check(t, Rewrite(t.Context(), f, filepath.Join(dir, "back"), Raw, nil))
	if !bytes.Equal(readFile(t, filepath.Join(dir, "back")), raw) {
		t.Error("zstd to raw gives another file than writing raw")
	}
	check(t, Rewrite(t.Context(), openFile(t, filepath.Join(dir, "back")), filepath.Join(dir, "again"), Zstd, nil))
	if !bytes.Equal(readFile(t, filepath.Join(dir, "again")), one) {
		t.Error("raw to zstd gives another file than writing zstd")
	}
}

func TestRewriteKeepsTensors(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	want := sample(t, a, Raw, 0)
	fa := openFile(t, a)
	var done, total int64
	check(t, Rewrite(t.Context(), fa, b, Zstd, func(d, n int64) { done, total = d, n }))
	if done != total {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	if err := Rewrite(t.Context(), fa, a, Zstd, nil); !errors.Is(err, outfile.ErrInput) {
		t.Errorf("onto itself: %v", err)
	}
	fb := openFile(t, b)
	check(t, fb.Verify(t.Context(), nil))
	got, err := fb.Tensors()
	check(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for i, s := range fa.Sections() {
		if o := fb.Sections()[i]; s.Name != o.Name || s.Size != o.Size || s.SHA256 != o.SHA256 {
			t.Errorf("section %q: content changed", s.Name)
		}
	}
}

func TestDeterminism(t *testing.T) {
	dir := t.TempDir()
	sample(t, filepath.Join(dir, "a"), Zstd, 1)
	sample(t, filepath.Join(dir, "b"), Zstd, 4)
	if !bytes.Equal(readFile(t, filepath.Join(dir, "a")), readFile(t, filepath.Join(dir, "b"))) {
		t.Error("two runs gave different files")
	}
}

// TestFailuresLeaveNothing: whatever goes wrong, the folder holds only the old target.
func TestFailuresLeaveNothing(t *testing.T) {
	for name, fail := range map[string]func(w *Writer) error{
		"abort":        func(w *Writer) error { w.Abort(); return w.Commit() },
		"open section": func(w *Writer) error { w.Section(KindWeights, "w", Raw); return w.Commit() },
		"bad section": func(w *Writer) error {
			w.Section(KindMeta, "other", Raw) // its error sticks
			return w.Commit()
		},
		"too compressible": func(w *Writer) error {
			w.Put(KindWeights, "zeros", Zstd, make([]byte, 70<<20))
			return w.Commit()
		},
		"disk": func(w *Writer) error {
			w.file.Close() // every later write fails
			w.Put(KindWeights, "w", Raw, make([]byte, 2<<20))
			return w.Commit()
		},
		"killed": func(w *Writer) error {
			w.Put(KindWeights, "w", Raw, make([]byte, 2<<20))
			outfile.RemoveAll()
			return w.Commit()
		},
		"target is a folder": func(w *Writer) error {
			check(t, os.Remove(w.path))
			check(t, os.Mkdir(w.path, 0o755))
			err := w.Commit()
			check(t, os.Remove(w.path))
			check(t, os.WriteFile(w.path, []byte("old"), 0o644))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.qpt")
			check(t, os.WriteFile(path, []byte("old"), 0o644))
			w, err := Create(path, WriteOptions{Threads: 1})
			check(t, err)
			if err := fail(w); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that names the file", err)
			}
			w.Abort()
			es, err := os.ReadDir(dir)
			check(t, err)
			if len(es) != 1 || string(readFile(t, path)) != "old" {
				t.Errorf("folder holds %v", es)
			}
		})
	}
}

func TestCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.qpt")
	w, err := Create(path, WriteOptions{})
	check(t, err)
	check(t, w.Commit())
	w.Abort() // must not remove it
	fi, err := os.Stat(path)
	check(t, err)
	if fi.Mode()&0o600 != 0o600 || fi.Mode()&^0o644 != 0 {
		t.Errorf("mode %v, want 0644 less the umask", fi.Mode())
	}
	f := openFile(t, path)
	check(t, f.Verify(t.Context(), nil))
	if f.Size() != headerSize {
		t.Errorf("empty file of %d bytes", f.Size())
	}
	if _, err := f.Meta(); !errors.Is(err, ErrMissing) {
		t.Errorf("meta of an empty file: %v", err)
	}
	if err := w.Put(KindMeta, "meta", Raw, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("section after commit: %v", err)
	}
}

func TestOneSectionAtATime(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "m.qpt"), WriteOptions{})
	check(t, err)
	defer w.Abort()
	a, err := w.Section(KindWeights, "a", Raw)
	check(t, err)
	check(t, a.Close())
	if _, err := a.Write([]byte{1}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write to a closed section: %v", err)
	}
	if err := a.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
	if _, err := w.Section(KindWeights, "b", Raw); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Section(KindWeights, "c", Raw); err == nil {
		t.Error("two sections open")
	}
}

// What the zero value leaves out is no null, which the reader would refuse.
func TestEmptyMeta(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.qpt")
	w, err := Create(path, WriteOptions{})
	check(t, err)
	defer w.Abort()
	check(t, w.WriteMeta(Meta{Recipe: Recipe{Calibration: &Calibration{}}}))
	check(t, w.Commit())
	if _, err := openFile(t, path).Meta(); err != nil {
		t.Error(err)
	}
}
