package runtime_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"qpt/bench/synth"
	"qpt/convert"
	"qpt/format"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/lm"
)

// section is one section of a file that is put together by hand: whoever
// changes bytes can make new checksums too.
type section struct {
	kind   format.Kind
	name   string
	data   []byte // decoded, unless size is set
	size   int64  // decoded size of zstd data
	offset int64  // in the file, set by assemble
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// assemble writes a file of these sections (spec/qpt.md), raw unless they say
// otherwise, with sound checksums.
func assemble(sections []section) []byte {
	le := binary.LittleEndian
	b := make([]byte, 64)
	grow := func(align int) {
		for len(b)%align != 0 {
			b = append(b, 0)
		}
	}
	var table []byte
	for i := range sections {
		s := &sections[i]
		align, encoding, size := 64, 1, int64(len(s.data))
		if s.size > 0 {
			encoding, size = 2, s.size
		} else if s.kind == format.KindWeights {
			align = 4096
		}
		grow(align)
		s.offset = int64(len(b))
		e := make([]byte, 128)
		le.PutUint32(e[0:], uint32(s.kind))
		le.PutUint32(e[4:], uint32(encoding))
		le.PutUint64(e[8:], uint64(s.offset))
		le.PutUint64(e[16:], uint64(len(s.data)))
		le.PutUint64(e[24:], uint64(size))
		le.PutUint32(e[32:], uint32(align))
		le.PutUint32(e[36:], crc32.Checksum(s.data, castagnoli))
		copy(e[80:], s.name)
		table = append(table, e...)
		b = append(b, s.data...)
	}
	grow(64)
	copy(b, "\x89QPT\r\n\x1a\n")
	le.PutUint32(b[8:], 2)
	le.PutUint32(b[12:], uint32(len(sections)))
	le.PutUint64(b[24:], uint64(len(b)))
	le.PutUint64(b[32:], uint64(len(b)+len(table)))
	le.PutUint32(b[56:], crc32.Checksum(table, castagnoli))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return append(b, table...)
}

// victim converts a model of one layer and returns the sections of the file.
func victim(t testing.TB, scheme string) []section {
	t.Helper()
	dir := t.TempDir()
	shape := synth.Shapes["tiny"]
	shape.Layers, shape.Hidden, shape.Heads, shape.KVHeads, shape.FFN = 1, 32, 2, 1, 48
	in := filepath.Join(dir, "model")
	check(t, synth.Write(in, shape, synth.Options{}))
	opt := convert.Options{In: in, Out: filepath.Join(dir, "m.qpt"), Scheme: scheme, References: 4}
	if scheme == "s8s8" {
		opt.Calib, opt.Preset = filepath.Join(dir, "calib.txt"), "fast"
		check(t, os.WriteFile(opt.Calib, []byte("Once upon a time."), 0o644))
	}
	plan, err := convert.MakePlan(opt)
	check(t, err)
	defer plan.Close()
	_, err = plan.Run(t.Context(), convert.Hooks{})
	check(t, err)
	f, err := format.Open(plan.Opt.Out)
	check(t, err)
	defer f.Close()
	var list []section
	for i, s := range f.Sections() {
		data, err := f.Data(i)
		check(t, err)
		list = append(list, section{kind: s.Kind, name: s.Name, data: bytes.Clone(data)})
	}
	return list
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// find returns the index of a section.
func find(t testing.TB, list []section, name string) int {
	t.Helper()
	i := slices.IndexFunc(list, func(s section) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("no section %q", name)
	}
	return i
}

// replaced returns list with other data in one section.
func replaced(list []section, i int, data []byte) []section {
	c := slices.Clone(list)
	c[i].data = data
	return c
}

// use does with a file what commands do: logits, the check against the
// references, a text. A bad file ends in an error; a panic ends the test.
func use(ctx context.Context, path string) (logits []float32, err error) {
	m, err := lm.Load(path, runtime.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if logits, err = m.Forward(ctx, []int32{1, 2, 3, 4, 5}); err != nil {
		return nil, err
	}
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	for _, ids := range [][]int32{{1, 2}, {3}} {
		if m.Context() < 3 {
			break
		}
		if _, err := s.Append(ctx, ids); err != nil {
			return nil, err
		}
	}
	if _, err := compare.Check(ctx, m); err != nil && !errors.Is(err, format.ErrMissing) {
		return nil, err
	}
	tok, err := m.Tokenizer()
	if err != nil {
		return logits, nil
	}
	tok.Decode([]int32{0, 1, 5, 300, 511, 1 << 20, -1}, false)
	for t, err := range m.Generate(ctx, "One day, a <s> big  dog\n\xff 123 \u00e9\U0001f600", lm.GenerateOptions{MaxTokens: 3, Stop: []string{"zz"}}) {
		if err != nil { // logits that are no numbers, a token that the model does not have
			break
		}
		_ = t.Text
	}
	return logits, nil
}

// harness tries files.
type harness struct {
	testing.TB
	path string
	tmp  string
}

func newHarness(t testing.TB) *harness {
	dir := t.TempDir()
	return &harness{t, filepath.Join(dir, "m.qpt"), filepath.Join(dir, "new")}
}

// try uses a file and says whether it is sound; it holds errors to be errors
// about the file, and memory to a limit in MiB.
func (h *harness) try(name string, file []byte, limit uint64) (logits []float32, err error) {
	h.Helper()
	// Under a new inode: the pages of a file that is mapped must not change.
	check(h, os.WriteFile(h.tmp, file, 0o644))
	check(h, os.Rename(h.tmp, h.path))
	defer func() {
		if r := recover(); r != nil {
			h.Errorf("%s: panic: %v", name, r)
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	logits, err = use(h.Context(), h.path)
	goruntime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > limit {
		h.Errorf("%s: %d MiB allocated, a file of %d bytes", name, n, len(file))
	}
	if err != nil && !convert.IsBadInput(err) {
		h.Errorf("%s: not an error about the file: %v", name, err)
	}
	if err != nil && len(err.Error()) > 4000 {
		h.Errorf("%s: an error of %d bytes: %.200q", name, len(err.Error()), err)
	}
	return logits, err
}

// usual is the limit of memory for files that ask for nothing large.
const usual = 24

// Truncated files and flipped bits: every byte that is used is under a
// checksum, so a file that still loads gives the same bits.
func TestDamaged(t *testing.T) {
	h := newHarness(t)
	file := assemble(victim(t, "da8w4"))
	want, err := h.try("as it is", file, usual)
	check(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 150 {
		n := rng.IntN(len(file))
		if i < 70 {
			n = i
		}
		if _, err := h.try(fmt.Sprintf("cut to %d", n), file[:n], usual); err == nil {
			t.Errorf("cut to %d: no error", n)
		}
	}
	for i := range 300 {
		bit := rng.IntN(8 * len(file))
		if i < 150 {
			bit = rng.IntN(8 * 128)
		}
		b := bytes.Clone(file)
		b[bit/8] ^= 1 << (bit % 8)
		got, err := h.try(fmt.Sprintf("bit %d", bit), b, usual)
		if err == nil && !slices.Equal(got, want) {
			t.Errorf("bit %d: other logits, no error", bit)
		}
	}
	if _, err := h.try("one byte more", append(bytes.Clone(file), 0), usual); err == nil {
		t.Error("one byte more: no error")
	}
}

// edits returns documents that differ from a JSON document in one place: every
// value becomes each of values, is left out or stands twice.
func edits(t testing.TB, doc []byte, values []any) (docs [][]byte) {
	t.Helper()
	var root any
	check(t, json.Unmarshal(doc, &root))
	emit := func() {
		b, err := json.Marshal(root)
		check(t, err)
		docs = append(docs, b)
	}
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		for _, x := range values {
			set(x)
			emit()
		}
		switch v := v.(type) {
		case map[string]any:
			set(v)
			for _, key := range slices.Sorted(maps.Keys(v)) {
				old := v[key]
				delete(v, key)
				emit()
				v[key] = old
				walk(old, func(x any) { v[key] = x })
			}
		case []any:
			for i := range v {
				set(slices.Delete(slices.Clone(v), i, i+1))
				emit()
				set(slices.Insert(slices.Clone(v), i, v[i]))
				emit()
			}
			set(v)
			for i, old := range v {
				walk(old, func(x any) { v[i] = x })
			}
		}
		set(v)
	}
	walk(root, func(x any) { root = x })
	return docs
}

// The graph says anything at all: it is refused, or it runs.
func TestHostileGraph(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	h := newHarness(t)
	list := victim(t, "da8w4")
	i := find(t, list, "graph")
	values := []any{0, -1, -2, 1, 2, 16, 33, 4096, 1 << 31, 1 << 40, 0.5, 1e300, "", "ids", "pos", "rows", "T", "f32", "full", "rmsnorm", "gather", "model.embed_tokens", "model.embed_tokens.weight", nil, true, []any{}, map[string]any{}}
	docs := edits(t, list[i].data, values)
	ran, step := 0, 1+len(docs)/600
	for n := 0; n < len(docs); n += step {
		if _, err := h.try(fmt.Sprintf("edit %d: %.300s", n, docs[n]), assemble(replaced(list, i, docs[n])), usual); err == nil {
			ran++
		}
	}
	if ran == 0 || ran > len(docs)/2 {
		t.Errorf("%d of %d edits were accepted", ran, len(docs)/step)
	}
}

// So do the tensor directory, the meta section and the ranges of activations.
func TestHostileTensors(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	h := newHarness(t)
	list := victim(t, "s8s8")
	values := []any{0, -1, 1, 16, 31, 64, 4096, 1 << 31, 1 << 50, 0.5, 1e300, "", "data", "sum", "f32", "a16w4", "s8s8", 3e38, 1e-38, "meta", "model.layers.0", nil, true, []any{}, []any{1 << 30, 1 << 30}, map[string]any{}}
	for _, name := range []string{"tensors", "meta", "activations"} {
		i := find(t, list, name)
		docs := edits(t, list[i].data, values)
		step := 1 + len(docs)/250
		for n := 0; n < len(docs); n += step {
			h.try(fmt.Sprintf("%s: edit %d", name, n), assemble(replaced(list, i, docs[n])), usual)
		}
	}
}

// The ranges in a file are those of the values that s8s8 layers read, no more and no less.
func TestActivationsMatch(t *testing.T) {
	h := newHarness(t)
	list := victim(t, "s8s8")
	i := find(t, list, "activations")
	_, err := h.try("as it is", assemble(list), usual)
	check(t, err)
	var doc struct {
		Activations []format.Activation `json:"activations"`
	}
	check(t, json.Unmarshal(list[i].data, &doc))
	encode := func() []byte {
		b, err := json.Marshal(doc)
		check(t, err)
		return b
	}
	doc.Activations[1].Value = "model.norm"
	if _, err := h.try("another value", assemble(replaced(list, i, encode())), usual); !errors.Is(err, format.ErrCorrupt) || !strings.Contains(err.Error(), `reads value "model.layers.0.self_attn", which has no entry`) {
		t.Error(err)
	}
	if _, err := h.try("without", assemble(slices.Delete(slices.Clone(list), i, i+1)), usual); !errors.Is(err, format.ErrCorrupt) || !strings.Contains(err.Error(), "has no entry") {
		t.Error(err)
	}
	doc.Activations[1].Value = "model.layers.0.self_attn"
	doc.Activations = append(doc.Activations, format.Activation{Value: "model.norm", Scale: 1})
	if _, err := h.try("one more", assemble(replaced(list, i, encode())), usual); !errors.Is(err, format.ErrCorrupt) || !strings.Contains(err.Error(), `no layer of scheme s8s8 reads value "model.norm"`) {
		t.Error(err)
	}
}

// Tokenizer, references and weights are bytes; the scales among them must be
// numbers, the codes may be any.
func TestHostileBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, scheme := range []string{"da8w4", "da8w6", "a16w8", "f32"} {
		h := newHarness(t)
		list := victim(t, scheme)
		for i, s := range list {
			if s.kind == format.KindMeta || s.kind == format.KindGraph || s.kind == format.KindTensors {
				continue
			}
			for n := range 12 {
				data := bytes.Clone(s.data)
				switch at := rng.IntN(len(data)); n % 6 {
				case 0: // an early length or count
					data[rng.IntN(min(len(data), 24))] ^= byte(1 + rng.IntN(255))
				case 1:
					data = data[:at]
				case 2:
					data = slices.Insert(data, at, byte(rng.Uint32()))
				case 3: // a huge or negative number, NaN
					binary.LittleEndian.PutUint32(data[min(at&^3, len(data)-4):], []uint32{math.MaxUint32, 0x80000000, 0x7fc00000, 0x7f800000, 1 << 20}[rng.IntN(5)])
				default:
					data[at] ^= byte(1 + rng.IntN(255))
				}
				h.try(fmt.Sprintf("%s %s: change %d", scheme, s.name, n), assemble(replaced(list, i, data)), usual)
			}
			c := slices.Delete(slices.Clone(list), i, i+1)
			h.try("without "+s.name, assemble(c), usual)
		}
	}
}

// Scales and vectors that are no numbers are found when loading.
func TestScalesAreNumbers(t *testing.T) {
	h := newHarness(t)
	list := victim(t, "da8w4")
	var dir struct{ Tensors []format.Tensor }
	check(t, json.Unmarshal(list[find(t, list, "tensors")].data, &dir))
	for _, x := range dir.Tensors {
		for _, p := range x.Parts {
			if p.Role != format.RoleScale && x.Format != format.PlainF32 {
				continue
			}
			i := find(t, list, p.Section)
			data := bytes.Clone(list[i].data)
			binary.LittleEndian.PutUint32(data[p.Offset+4:], 0x7fc00000)
			if _, err := h.try(x.Name, assemble(replaced(list, i, data)), usual); !errors.Is(err, format.ErrCorrupt) || !strings.Contains(err.Error(), x.Name) {
				t.Errorf("%s, %s: error %v", x.Name, p.Role, err)
			}
		}
	}
}

// Small files that would like to be large ones.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	list := victim(t, "da8w4")
	h := newHarness(t)
	// zip compresses a section with the format's own writer.
	zip := func(data []byte) section {
		path := filepath.Join(t.TempDir(), "z.qpt")
		w, err := format.Create(path, format.WriteOptions{})
		check(t, err)
		check(t, w.Put(format.KindWeights, "w", format.Zstd, data))
		check(t, w.Commit())
		f, err := format.Open(path)
		check(t, err)
		defer f.Close()
		s := f.Sections()[0]
		file, err := os.ReadFile(path)
		check(t, err)
		return section{data: file[s.Offset:][:s.Stored], size: s.Size}
	}
	repeat := func(head, part, tail string, size int) []byte {
		return []byte(head + strings.Repeat(part, (size-len(head)-len(tail))/len(part)) + tail)
	}
	for what, data := range map[string][]byte{
		"zeros":   make([]byte, 20<<20),
		"numbers": repeat("[0", ",0", "]", 6<<20),
		"tensors": repeat(`{"tensors":[{}`, ",{}", "]}", 6<<20),
		"nodes":   repeat(`{"nodes":[0`, ",0", "]}", 2<<20),
		"a key":   repeat(`{"`, "k", `":[`+strings.Repeat("0,", 1<<19)+`0]}`, 6<<20),
		"deep":    repeat("", "[", "", 6<<20),
		"counts":  repeat("", "\xff\xff\x00\x00", "", 6<<20),
	} {
		z := zip(data)
		for _, name := range []string{"meta", "graph", "tensors", "tokenizer", "references"} {
			i := find(t, list, name)
			c := slices.Clone(list)
			z.kind, z.name = c[i].kind, name
			c[i] = z
			if _, err := h.try(name+" of "+what, assemble(c), 128); err == nil {
				t.Errorf("%s of %s: no error", name, what)
			}
		}
	}
}

// A file that is cut short while it is mapped: the calls that read the lost
// pages say so, and the process lives on.
func TestTruncatedWhileMapped(t *testing.T) {
	for _, threads := range []int{1, 2} {
		path := filepath.Join(t.TempDir(), "m.qpt")
		check(t, os.WriteFile(path, assemble(victim(t, "da8w8")), 0o644))
		m, err := lm.Load(path, runtime.Options{Threads: threads})
		check(t, err)
		defer m.Close()
		ids := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}
		if _, err := m.Forward(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		s, err := m.NewSession()
		check(t, err)
		check(t, os.Truncate(path, 4096))
		if _, err := m.Forward(t.Context(), ids); !errors.Is(err, runtime.ErrLost) {
			t.Errorf("%d threads, Forward: %v", threads, err)
		}
		if _, err := s.Append(t.Context(), ids[:1]); !errors.Is(err, runtime.ErrLost) {
			t.Errorf("%d threads, Append: %v", threads, err)
		}
		if _, err := compare.Check(t.Context(), m); !errors.Is(err, runtime.ErrLost) {
			t.Errorf("%d threads, Check: %v", threads, err)
		}
		if _, err := lm.Load(path, runtime.Options{}); !errors.Is(err, format.ErrTruncated) {
			t.Errorf("%d threads, Load: %v", threads, err)
		}
	}
}

// FuzzLoad puts any bytes in place of one section, with sound checksums. The
// large ones, whose bytes are numbers, are left to TestHostileBytes.
func FuzzLoad(f *testing.F) {
	list := victim(f, "da8w4")
	for i, s := range list {
		if len(s.data) < 16<<10 {
			f.Add(uint8(i), s.data)
		}
	}
	h := newHarness(f)
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		if int(i) >= len(list) || len(data) > 64<<10 {
			return
		}
		h := &harness{t, h.path, h.tmp}
		h.try("fuzz", assemble(replaced(list, int(i), data)), 256)
	})
}
