package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"qpt/format/graph"

	"github.com/klauspost/compress/zstd"
)

// sampleBytes is the file that the tests below damage: sections layer.0, head,
// graph, tensors, meta, tokenizer, references, activations, graph.head, rewrites.
func sampleBytes(t testing.TB) []byte {
	path := filepath.Join(t.TempDir(), "m.qpt")
	sample(t, path, Raw, 0)
	return readFile(t, path)
}

// entry returns the table entry of section i.
func entry(b []byte, i int) []byte { return b[le.Uint64(b[24:])+uint64(i*entrySize):][:entrySize] }

// seal sets the checksums of header and table to what they should be.
func seal(b []byte) {
	if at := le.Uint64(b[24:]); at <= uint64(len(b)) {
		le.PutUint32(b[56:], crc32.Checksum(b[at:], castagnoli))
	}
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

// sealSection sets the checksum of section i's stored bytes, and seals.
func sealSection(b []byte, i int) {
	e := entry(b, i)
	stored := b[le.Uint64(e[8:]):][:le.Uint64(e[16:])]
	le.PutUint32(e[36:], crc32.Checksum(stored, castagnoli))
	seal(b)
}

// TestOpenErrors damages a file in one place a case, the checksums put right,
// so that the rule itself has to find it.
func TestOpenErrors(t *testing.T) {
	put32 := func(i, at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint32(entry(b, i)[at:], v); seal(b); return b }
	}
	put64 := func(i, at int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint64(entry(b, i)[at:], v); seal(b); return b }
	}
	header := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); seal(b); return b }
	}
	base := sampleBytes(t)
	table := le.Uint64(base[24:])
	offset := func(i int) uint64 { return le.Uint64(entry(base, i)[8:]) }
	for _, c := range []struct {
		name    string
		want    error
		section string // its name must be in the message
		edit    func(b []byte) []byte
	}{
		{"empty", ErrTruncated, "", func(b []byte) []byte { return nil }},
		{"half a magic", ErrTruncated, "", func(b []byte) []byte { return b[:5] }},
		{"half a header", ErrTruncated, "", func(b []byte) []byte { return b[:40] }},
		{"no table", ErrTruncated, "", func(b []byte) []byte { return b[:table] }},
		{"one byte short", ErrTruncated, "", func(b []byte) []byte { return b[:len(b)-1] }},
		{"one byte long", ErrTrailing, "", func(b []byte) []byte { return append(b, 0) }},
		{"other file", ErrMagic, "", func(b []byte) []byte { return []byte("GGUF is not this format") }},
		{"text mode", ErrMagic, "", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }},
		{"header bit", ErrHeaderChecksum, "", func(b []byte) []byte { b[45] ^= 1; return b }},
		{"version 1", ErrVersion, "", header(8, 1)},
		{"version 3", ErrVersion, "", header(8, 3)},
		{"feature", ErrFeatures, "", header(23, 0x80)},
		{"reserved in header", ErrReserved, "", header(55, 1)},
		{"too many sections", ErrTable, "", header(12, 0xff, 0xff, 0xff, 0xff)},
		{"one section less", ErrTable, "", header(12, 6)},
		{"table offset", ErrTable, "", header(24, byte(table)+1)},
		{"table past the end", ErrTable, "", header(31, 0xff)},
		{"huge file claimed", ErrTruncated, "", header(39, 0x7f)},
		{"table bit", ErrTableChecksum, "", func(b []byte) []byte { b[table+50] ^= 4; return b }},

		{"kind 0", ErrKind, "layer.0", put32(0, 0, 0)},
		{"kind 9", ErrKind, "head", put32(1, 0, 9)},
		{"encoding 0", ErrEncoding, "meta", put32(4, 4, 0)},
		{"encoding 3", ErrEncoding, "meta", put32(4, 4, 3)},
		{"no name", ErrName, "", func(b []byte) []byte { clear(entry(b, 0)[80:]); seal(b); return b }},
		{"zero in a name", ErrName, "layer", func(b []byte) []byte { entry(b, 0)[85] = 0; seal(b); return b }},
		{"space in a name", ErrName, "layer 0", func(b []byte) []byte { entry(b, 0)[85] = ' '; seal(b); return b }},
		{"program without a name", ErrName, "graph.", func(b []byte) []byte { copy(entry(b, 8)[80:], "graph.\x00\x00\x00\x00"); seal(b); return b }},
		{"program named main", ErrName, "graph.main", func(b []byte) []byte { copy(entry(b, 8)[80:], "graph.main"); seal(b); return b }},
		{"program in capitals", ErrName, "graph.Head", func(b []byte) []byte { copy(entry(b, 8)[80:], "graph.Head"); seal(b); return b }},
		{"other name for a kind", ErrName, "grapH", func(b []byte) []byte { entry(b, 2)[84] = 'H'; seal(b); return b }},
		{"same name", ErrDuplicate, "layer.0", func(b []byte) []byte { copy(entry(b, 1)[80:], "layer.0"); seal(b); return b }},
		{"reserved in entry", ErrReserved, "graph", put32(2, 44, 1)},
		{"alignment 0", ErrAlign, "layer.0", put32(0, 32, 0)},
		{"alignment 4097", ErrAlign, "layer.0", put32(0, 32, 4097)},
		{"weights aligned to 2048", ErrAlign, "layer.0", put32(0, 32, 2048)},
		{"alignment 32", ErrAlign, "tensors", put32(3, 32, 32)},
		{"alignment 2^31", ErrAlign, "tensors", put32(3, 32, 1<<31)},
		{"misplaced", ErrMisplaced, "head", put64(1, 8, offset(1)+64)},
		{"overlap", ErrOverlap, "head", put64(1, 8, offset(0))},
		{"overlaps the header", ErrOverlap, "layer.0", put64(0, 8, 0)},
		{"hole", ErrHole, "layer.0", put64(0, 8, offset(1))},
		{"hole before the table", ErrHole, "", func(b []byte) []byte {
			// The table moves 64 bytes on.
			b = append(b[:table:table], append(make([]byte, 64), b[table:]...)...)
			le.PutUint64(b[24:], table+64)
			le.PutUint64(b[32:], uint64(len(b)))
			seal(b)
			return b
		}},
		{"past the table", ErrBounds, "references", put64(6, 16, table)},
		{"size overflows", ErrBounds, "references", put64(6, 16, ^uint64(63))},
		{"offset overflows", ErrBounds, "references", put64(6, 8, 1<<63)},
		{"raw sizes differ", ErrSize, "head", put64(1, 24, 5)},
		{"zstd bomb", ErrSize, "tensors", put64(3, 24, 1<<40)},
		{"many small zstd bombs", ErrSize, "all zstd sections decode from", func(b []byte) []byte {
			for i := 2; i < 10; i++ { // each within the bound of one
				if le.Uint32(entry(b, i)[4:]) == uint32(Zstd) {
					le.PutUint64(entry(b, i)[24:], 60<<20)
				}
			}
			seal(b)
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.edit(bytes.Clone(base))
			path := filepath.Join(t.TempDir(), "bad.qpt")
			check(t, os.WriteFile(path, b, 0o644))
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatal("no error")
			}
			wantError(t, err, c.want, path, c.section)
			if c.name == "text mode" && !strings.Contains(err.Error(), "line endings") {
				t.Errorf("%v: does not tell about line endings", err)
			}
		})
	}
}

// wantError checks that err is want, is of one class, and names what it is about.
func wantError(t *testing.T, err, want error, mentions ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if errors.Is(err, ErrCorrupt) == errors.Is(err, ErrUnsupported) {
		t.Errorf("%v: must be either corrupt or unsupported", err)
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("%q does not mention %q", err, m)
		}
	}
}

// withSections writes a file with the given raw sections beside the weights of sampleTensors.
func withSections(t *testing.T, kind Kind, data []byte) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.qpt")
	w, err := Create(path, WriteOptions{})
	check(t, err)
	defer w.Abort()
	sampleTensors(t, w, Raw)
	check(t, w.Put(kind, kind.String(), Raw, data))
	check(t, w.Commit())
	return openFile(t, path)
}

func TestDataErrors(t *testing.T) {
	base := sampleBytes(t)
	edit := func(fn func(b []byte)) *File {
		b := bytes.Clone(base)
		fn(b)
		f, err := openBytes(b)
		check(t, err)
		return f
	}
	at := func(i int) int { return int(le.Uint64(entry(base, i)[8:])) }
	const tensors = 3 // zstd

	f := edit(func(b []byte) { b[at(0)+100] ^= 1 })
	for range 2 { // the second answer is remembered
		_, err := f.Data(0)
		wantError(t, err, ErrChecksum, "mem.qpt", "layer.0")
	}
	if _, err := f.Data(1); err != nil {
		t.Errorf("damage in one section stops another: %v", err)
	}
	wantError(t, f.Verify(t.Context(), nil), ErrChecksum, "layer.0")

	f = edit(func(b []byte) { b[at(0)-1] = 1 })
	wantError(t, f.Verify(t.Context(), nil), ErrPadding, "layer.0")
	f = edit(func(b []byte) { b[le.Uint64(b[24:])-1] = 1 })
	wantError(t, f.Verify(t.Context(), nil), ErrPadding)
	f = edit(func(b []byte) { entry(b, 1)[50] ^= 1; seal(b) })
	wantError(t, f.Verify(t.Context(), nil), ErrDigest, "head")
	_, err := f.Section("nothing")
	wantError(t, err, ErrMissing, "nothing")
	_, err = f.Part(Part{Section: "nothing"})
	wantError(t, err, ErrMissing, "nothing")
	_, err = f.Part(Part{Section: "head", Offset: 64, Size: 1 << 62})
	wantError(t, err, ErrPartBounds, "head")

	// Frames, with the CRC put right.
	for name, fn := range map[string]func(e, stored []byte){
		"magic":          func(e, s []byte) { s[0]++ },
		"skippable":      func(e, s []byte) { copy(s, "\x50\x2a\x4d\x18\x01\x00\x00\x00") },
		"no checksum":    func(e, s []byte) { s[4] &^= 4 },
		"dictionary":     func(e, s []byte) { s[4] |= 1 },
		"block too long": func(e, s []byte) { s[9] = 0xff },
		"content":        func(e, s []byte) { s[len(s)/2] ^= 0x10 },
		"checksum":       func(e, s []byte) { s[len(s)-1] ^= 1 },
		"decoded size":   func(e, s []byte) { le.PutUint64(e[24:], le.Uint64(e[24:])+1) },
	} {
		f := edit(func(b []byte) {
			e := entry(b, tensors)
			fn(e, b[at(tensors):][:le.Uint64(e[16:])])
			sealSection(b, tensors)
		})
		if _, err := f.Data(tensors); !errors.Is(err, ErrFrame) || !strings.Contains(err.Error(), `"tensors"`) {
			t.Errorf("frame with wrong %s: error %v, want %v", name, err, ErrFrame)
		}
		if err := f.stream(tensors, func([]byte) error { return nil }); !errors.Is(err, ErrFrame) {
			t.Errorf("frame with wrong %s, streamed: error %v, want %v", name, err, ErrFrame)
		}
	}
}

// TestFrameSizes: a frame must state a decoded size from 1 to chunk.
func TestFrameSizes(t *testing.T) {
	big, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true))
	check(t, err)
	frame := big.EncodeAll(make([]byte, chunk+1), nil)
	_, err = splitFrames(frame, chunk+1)
	wantError(t, err, ErrFrame, "must be stated")
	empty, err := zstd.NewWriter(nil, zstd.WithZeroFrames(true), zstd.WithSingleSegment(true))
	check(t, err)
	_, err = splitFrames(empty.EncodeAll(nil, nil), 0)
	wantError(t, err, ErrFrame, "must be stated")
	var stream bytes.Buffer // a streaming encoder does not know the size
	unsized, err := zstd.NewWriter(&stream)
	check(t, err)
	unsized.Write(make([]byte, 1<<20))
	check(t, unsized.Flush())
	unsized.Write([]byte{1})
	check(t, unsized.Close())
	_, err = splitFrames(stream.Bytes(), 1<<20+1)
	wantError(t, err, ErrFrame, "must be stated")
	for n := range frame[:min(len(frame), 200)] { // cut anywhere
		if _, _, err := frameSize(frame[:n]); err == nil {
			t.Fatalf("frame cut to %d of %d bytes is accepted", n, len(frame))
		}
	}
}

func TestMetaErrors(t *testing.T) {
	hash := strings.Repeat("0f", 32)
	for _, text := range []string{
		``, `[]`, `{`, `{}{}`, `{} `[:2] + `x`, `{"tool":1}`, "{\"tool\":\"\xff\"}",
		`{"tool":"a","tool":"b"}`, `{"tool":null}`, `{"model":null}`, `{"sources":[null]}`, `null`,
		`{"model":{"parameters":-1}}`, `{"model":{"bos":-2}}`, `{"model":{"eos":[-1]}}`, `{"model":{"context":-1}}`,
		`{"sources":[{"name":"a","size":1,"sha256":"` + hash[1:] + `"}]}`,
		`{"sources":[{"name":"a","size":1,"sha256":"` + strings.ToUpper(hash) + `"}]}`,
		`{"sources":[{"name":"a","size":-1,"sha256":"` + hash + `"}]}`,
		`{"calibration":"yes"}`, `{"recipe":{"mixed":{"target":"x","calibration":"yes"}}}`, `{"recipe":{"rules":{}}}`,
		strings.Repeat("[", 100000),
	} {
		f := withSections(t, KindMeta, []byte(text))
		_, err := f.Meta()
		if len(text) > 100 {
			text = text[:100]
		}
		if !errors.Is(err, ErrMeta) || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want %v", text, err, ErrMeta)
		}
		if !errors.Is(f.Verify(t.Context(), nil), ErrMeta) {
			t.Errorf("%s: not found by Verify", text)
		}
	}
	if _, err := withSections(t, KindMeta, []byte(" {\"tool\":\"x\"}\n")).Meta(); err != nil {
		t.Error(err)
	}
	for _, text := range []string{`{"Tool":"a"}`, `{"tool":"a","color":"red"}`, `{"recipe":{"rules":[{"scheme":"f32","every":2}]}}`} {
		_, err := withSections(t, KindMeta, []byte(text)).Meta()
		wantError(t, err, ErrKey, "m.qpt")
	}
}

func TestTensorErrors(t *testing.T) {
	const up, norm, head = 0, 1, 2
	for _, c := range []struct {
		name string
		want error
		edit func(ts []Tensor)
	}{
		{"no name", ErrTensorName, func(ts []Tensor) { ts[up].Name = "" }},
		{"long name", ErrTensorName, func(ts []Tensor) { ts[up].Name = strings.Repeat("x", maxName+1) }},
		{"same name", ErrTensorName, func(ts []Tensor) { ts[up].Name = "head" }},
		{"no shape", ErrTensorShape, func(ts []Tensor) { ts[norm].Shape = []int{} }},
		{"zero extent", ErrTensorShape, func(ts []Tensor) { ts[up].Shape[1] = 0 }},
		{"negative extent", ErrTensorShape, func(ts []Tensor) { ts[up].Shape[0] = -16 }},
		{"product overflows", ErrTensorShape, func(ts []Tensor) { ts[up].Shape = []int{1 << 40, 1 << 40} }},
		{"9 dimensions", ErrTensorShape, func(ts []Tensor) { ts[norm].Shape = []int{5, 1, 1, 1, 1, 1, 1, 1, 1} }},
		{"packed vector", ErrTensorShape, func(ts []Tensor) { ts[head].Shape = []int{16} }},
		{"format 0", ErrTensorFormat, func(ts []Tensor) { ts[up].Format = 0 }},
		{"format 9", ErrTensorFormat, func(ts []Tensor) { ts[up].Format = 9 }},
		{"layout 0", ErrTensorLayout, func(ts []Tensor) { ts[up].Layout = 0 }},
		{"layout of plain", ErrTensorLayout, func(ts []Tensor) { ts[norm].Layout = 1 }},
		{"no group", ErrTensorGroup, func(ts []Tensor) { ts[up].Group = 0 }},
		{"group 48", ErrTensorGroup, func(ts []Tensor) { ts[up].Group = 48 }},
		{"group of bf16", ErrTensorGroup, func(ts []Tensor) { ts[head].Group = 32 }},
		{"group 5 of bf16", ErrTensorGroup, func(ts []Tensor) { ts[head].Group = 5 }},
		{"part missing", ErrPartRole, func(ts []Tensor) { ts[up].Parts = ts[up].Parts[1:] }},
		{"part twice", ErrPartRole, func(ts []Tensor) { ts[up].Parts[1] = ts[up].Parts[0] }},
		{"unknown role", ErrRole, func(ts []Tensor) { ts[up].Parts[1].Role = "zeros" }},
		{"too many parts", ErrPartRole, func(ts []Tensor) { ts[head].Parts = append(ts[head].Parts, Part{Role: RoleSum}) }},
		{"unknown scheme", ErrScheme, func(ts []Tensor) { ts[up].Scheme = "da8w2" }},
		{"no wild columns", ErrPartRole, func(ts []Tensor) { ts[up].Format, ts[up].Group, ts[up].Scheme = I8Wild, 0, "da8w8" }},
		{"other scheme", ErrStoredAs, func(ts []Tensor) { ts[up].Scheme = "da8w8" }},
		{"vector of a scheme", ErrStoredAs, func(ts []Tensor) { ts[norm].Scheme = "bf16" }},
		{"no section", ErrPartSection, func(ts []Tensor) { ts[up].Parts[0].Section = "layer.1" }},
		{"not weights", ErrPartSection, func(ts []Tensor) { ts[up].Parts[0].Section = "tensors" }},
		{"offset 32", ErrPartOffset, func(ts []Tensor) { ts[up].Parts[1].Offset = 32 }},
		{"negative offset", ErrPartOffset, func(ts []Tensor) { ts[up].Parts[1].Offset = -64 }},
		{"past the section", ErrPartBounds, func(ts []Tensor) { ts[head].Parts[0].Size += 4096 }},
		{"offset past the section", ErrPartBounds, func(ts []Tensor) { ts[head].Parts[0].Offset = 1 << 40 }},
		{"end overflows", ErrPartBounds, func(ts []Tensor) { ts[head].Parts[0].Size = 1<<63 - 1 }},
		{"empty part", ErrPartBounds, func(ts []Tensor) { ts[head].Parts[0].Size = 0 }},
		{"size of plain", ErrPartSize, func(ts []Tensor) { ts[norm].Parts[0].Size = 16 }},
		{"overlap", ErrPartOverlap, func(ts []Tensor) { ts[up].Parts[1].Offset = 448 }},
		{"same bytes", ErrPartOverlap, func(ts []Tensor) { ts[up].Parts[2].Offset = ts[up].Parts[3].Offset }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := Create(filepath.Join(t.TempDir(), "m.qpt"), WriteOptions{})
			check(t, err)
			defer w.Abort()
			ts := sampleTensors(t, w, Raw)
			c.edit(ts)
			wantError(t, w.WriteTensors(ts), c.want)
			b, err := json.Marshal(directory{ts})
			check(t, err)
			_, err = withSections(t, KindTensors, b).Tensors()
			wantError(t, err, c.want, "m.qpt")
		})
	}
	for _, text := range []string{`[]`, `{"tensors":{}}`, `{"tensors":[{"name":null}]}`, `{"tensors":[]}]`} {
		_, err := withSections(t, KindTensors, []byte(text)).Tensors()
		wantError(t, err, ErrTensors, "m.qpt")
	}
	_, err := withSections(t, KindTensors, []byte(`{"tensors":[{"name":"a","stride":1}]}`)).Tensors()
	wantError(t, err, ErrKey, "m.qpt", "tensors[0].stride")
}

func TestActivationErrors(t *testing.T) {
	for name, edit := range map[string]func(a []Activation) []Activation{
		"no list":       func(a []Activation) []Activation { return nil },
		"no name":       func(a []Activation) []Activation { a[0].Value = ""; return a },
		"twice":         func(a []Activation) []Activation { a[1].Value = a[0].Value; return a },
		"scale 0":       func(a []Activation) []Activation { a[1].Scale = 0; return a },
		"negative":      func(a []Activation) []Activation { a[1].Scale = -1; return a },
		"tiny":          func(a []Activation) []Activation { a[1].Scale = 1e-40; return a },
		"huge":          func(a []Activation) []Activation { a[1].Scale = 1e38; return a },
		"zero below":    func(a []Activation) []Activation { a[1].Zero = -1; return a },
		"zero above":    func(a []Activation) []Activation { a[1].Zero = 256; return a },
		"range":         func(a []Activation) []Activation { a[1].Min = a[1].Max + 1; return a },
		"clipped":       func(a []Activation) []Activation { a[1].Clipped = 1.5; return a },
		"clipped below": func(a []Activation) []Activation { a[1].Clipped = -1; return a },
	} {
		t.Run(name, func(t *testing.T) {
			list := edit(slices.Clone(sampleActivations))
			w, err := Create(filepath.Join(t.TempDir(), "m.qpt"), WriteOptions{})
			check(t, err)
			defer w.Abort()
			wantError(t, w.WriteActivations(list), ErrActivations, "m.qpt")
			b, err := json.Marshal(activations{list})
			check(t, err)
			_, err = withSections(t, KindActivations, b).Activations()
			wantError(t, err, ErrActivations, "m.qpt")
		})
	}
	for _, text := range []string{`[]`, `{"activations":{}}`, `{"activations":[{"value":null}]}`, `{"activations":[{"value":"a","scale":1e39}]}`} {
		_, err := withSections(t, KindActivations, []byte(text)).Activations()
		wantError(t, err, ErrActivations, "m.qpt")
	}
}

func TestReferenceErrors(t *testing.T) {
	good := sampleRefs.encode()
	for n := range good {
		if _, err := decodeReferences(good[:n]); !errors.Is(err, ErrReferences) {
			t.Fatalf("cut to %d of %d bytes: error %v", n, len(good), err)
		}
	}
	const first = 20 + 12 // the first case's prompt of 6 bytes, 4 tokens, 2 rows
	const preds = first + 6 + 4*(4+2)
	for name, c := range map[string]struct {
		want error
		edit func(b []byte) []byte
	}{
		"trailing":     {ErrReferences, func(b []byte) []byte { return append(b, 0) }},
		"form 9":       {ErrReferencesForm, func(b []byte) []byte { b[0] = 9; return b }},
		"vocabulary 0": {ErrReferences, func(b []byte) []byte { clear(b[4:]); return b }},
		"vocabulary":   {ErrReferences, func(b []byte) []byte { b[7] = 2; return b }},
		"top 0":        {ErrReferences, func(b []byte) []byte { b[8], b[12] = 0, 2; return b }},
		"tail 0":       {ErrReferences, func(b []byte) []byte { b[8], b[12] = 2, 0; return b }},
		"no cases":     {ErrReferences, func(b []byte) []byte { b[16] = 0; return b[:20] }},
		"many cases":   {ErrReferences, func(b []byte) []byte { b[19] = 0xff; return b }},
		"token":        {ErrReferences, func(b []byte) []byte { b[first+6] = 3; return b }},
		"rows":         {ErrReferences, func(b []byte) []byte { b[first+6+16] = 2; return b }},
		"row past":     {ErrReferences, func(b []byte) []byte { b[first+6+20] = 3; return b }},
		"prompt":       {ErrReferences, func(b []byte) []byte { b[first] = 0xff; return b }},
		"rest":         {ErrReferences, func(b []byte) []byte { le.PutUint64(b[preds:], 0x7ff8<<48); return b }},
		"next":         {ErrReferences, func(b []byte) []byte { le.PutUint32(b[preds+16:], 0x7f800000); return b }},
		"id":           {ErrReferences, func(b []byte) []byte { b[preds+24] = 3; return b }},
		"id twice":     {ErrReferences, func(b []byte) []byte { b[preds+24+4] = b[preds+24]; return b }},
		"logit":        {ErrReferences, func(b []byte) []byte { le.PutUint32(b[preds+40:], 0x7fc00000); return b }},
		"order":        {ErrReferences, func(b []byte) []byte { le.PutUint32(b[preds+40:], 0xc1000000); return b }},
		"huge": {ErrReferences, func(b []byte) []byte {
			copy(b[20:], bytes.Repeat([]byte{0xff}, 12))
			return b
		}},
	} {
		_, err := withSections(t, KindReferences, c.edit(bytes.Clone(good))).References()
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
	w, err := Create(filepath.Join(t.TempDir(), "m.qpt"), WriteOptions{})
	check(t, err)
	defer w.Abort()
	err = w.WriteReferences(References{Vocab: 2, Top: 1, Tail: 1, Cases: []Reference{{Tokens: []int32{1, 0}, Rows: []int32{0}}}})
	wantError(t, err, ErrReferences, "0 predictions of 1 rows")
}

func TestRewriteErrors(t *testing.T) {
	good, err := sampleRewrites.encode()
	check(t, err)
	text := string(good[4:][:le.Uint32(good)])
	floats := good[4+len(text):]
	for n := range good {
		if _, err := decodeRewrites(good[:n]); !errors.Is(err, ErrRewrites) {
			t.Fatalf("cut to %d of %d bytes: error %v", n, len(good), err)
		}
	}
	for name, c := range map[string]struct {
		want     error
		old, new string
	}{
		"key":            {ErrKey, `"value":"v"`, `"value":"v","program":"x"`},
		"change":         {ErrChange, `"added"`, `"bent"`},
		"value twice":    {ErrRewrites, `"value":"v"`, `"value":"norm"`},
		"no name":        {ErrRewrites, `"value":"v"`, `"value":""`},
		"as it was":      {ErrRewrites, `"value":"v","rotation":1`, `"value":"v"`},
		"no rotation 2":  {ErrRewrites, `"value":"v","rotation":1`, `"value":"v","rotation":2`},
		"offset":         {ErrRewrites, `"value":"v"`, `"value":"v","offset":1`},
		"too few scales": {ErrRewrites, `"scales":3`, `"scales":4`},
		"a scale over":   {ErrRewrites, `"scales":3`, `"scales":2`},
		"width":          {ErrRewrites, `"width":12`, `"width":20`},
		"block":          {ErrRewrites, `"block":4`, `"block":3`},
		"bit":            {ErrRewrites, `3a01"`, `3a11"`},
		"param twice":    {ErrRewrites, `"param":"b"`, `"param":"head"`},
		"copy of none":   {ErrRewrites, `,"of":"embed"`, ``},
		"of an added":    {ErrRewrites, `"change":"added"`, `"change":"added","of":"x"`},
		"null":           {ErrRewrites, `"params":[`, `"params":[null,`},
		"syntax":         {ErrRewrites, `"params":[`, `"params":`},
	} {
		edited := strings.Replace(text, c.old, c.new, 1)
		if edited == text {
			t.Fatalf("%s: %s is not in %s", name, c.old, text)
		}
		b := append(append(le.AppendUint32(nil, uint32(len(edited))), edited...), floats...)
		_, err := withSections(t, KindRewrites, b).Rewrites()
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
	le.PutUint32(floats, 0)
	_, err = withSections(t, KindRewrites, good).Rewrites()
	wantError(t, err, ErrRewrites, "scale 0 is 0")
	_, err = withSections(t, KindRewrites, append(le.AppendUint32(nil, 13), `{"values":[]}`...)).Rewrites()
	wantError(t, err, ErrRewrites, "nothing is rewritten")
}

// What this version does not know is told apart from what is wrong.
func TestProgramErrors(t *testing.T) {
	b, err := graph.Marshal(sampleGraph(t))
	check(t, err)
	for _, c := range []struct {
		want     error
		old, new string
	}{
		{ErrNewGraph, `"op":"rmsnorm"`, `"op":"deltanet"`},
		{ErrNewGraph, `"eps":0.00001`, `"eps":0.00001,"groups":2`},
		{ErrNewGraph, `"params":[{`, `"params":[{"sparsity":"2:4",`},
		{ErrNewGraph, `"op":"rmsnorm","attrs":{"eps":0.00001},"in":["x"],"params":["norm"]`, `"op":"unary","attrs":{"func":"mish"},"in":["x"]`},
		{ErrGraph, `"eps":0.00001`, `"eps":-1`},
		{ErrGraph, `"shape":[5]`, `"shape":[6]`},
		{ErrGraph, `"symbols":["T"]`, `"symbols":null`},
		{ErrGraph, `{"symbols"`, `"symbols"`},
	} {
		edited := strings.Replace(string(b), c.old, c.new, 1)
		if edited == string(b) {
			t.Fatalf("%s is not in %s", c.old, b)
		}
		f := withSections(t, KindGraph, []byte(edited))
		_, err := f.Program(Main)
		wantError(t, err, c.want, "m.qpt", `"graph"`)
		wantError(t, f.Verify(t.Context(), nil), c.want)
		_, err = f.Program("vision")
		wantError(t, err, ErrMissing, `"vision"`, `["main"]`)
	}
}

// TestWriterRules: the writer refuses what the reader would refuse.
func TestWriterRules(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		name string
		enc  Encoding
		want error
	}{
		{9, "x", Raw, ErrKind},
		{KindWeights, "x", 0, ErrEncoding},
		{KindWeights, "", Raw, ErrName},
		{KindWeights, strings.Repeat("x", 49), Raw, ErrName},
		{KindGraph, "x", Raw, ErrName},
		{KindWeights, "first", Raw, ErrDuplicate},
	} {
		w, err := Create(filepath.Join(t.TempDir(), "m.qpt"), WriteOptions{})
		check(t, err)
		check(t, w.Put(KindWeights, "first", Raw, nil))
		_, err = w.Section(c.kind, c.name, c.enc)
		wantError(t, err, c.want, "m.qpt")
		w.Abort()
	}
}

// TestSmallFilesNeedLittleMemory: what a file claims costs nothing until its bytes bear it out.
func TestSmallFilesNeedLittleMemory(t *testing.T) {
	enc, err := newEncoder(1)
	check(t, err)
	frame := enc.EncodeAll([]byte("tiny"), nil)
	file := func(kind Kind, name string, e Encoding, stored []byte, size int64) []byte {
		s := Section{Name: name, Kind: kind, Encoding: e, Align: wantAlign(kind, e), Stored: int64(len(stored)), Size: size}
		s.Offset = pad(headerSize, s.Align)
		s.CRC = crc32.Checksum(stored, castagnoli)
		b := make([]byte, s.Offset)
		b = append(b, stored...)
		b = append(b, make([]byte, pad(int64(len(b)), minAlign)-int64(len(b)))...)
		at := int64(len(b))
		b = append(b, encodeEntry(&s)...)
		copy(b, encodeHeader(b[at:], at))
		return b
	}
	var huge []byte
	for _, n := range []uint32{predictionsForm, maxVocab, maxKept, maxKept, 1 << 31, 0, 1 << 31, 1 << 31} {
		huge = le.AppendUint32(huge, n)
	}
	// Asks the frame for 4 MiB in its header: FCS field of 4 bytes, one raw block of one byte.
	claims := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa4, 0, 0, 0x40, 0, 9, 0, 0, 7, 1, 2, 3, 4}
	for name, b := range map[string][]byte{
		"sections": func() []byte {
			b := file(KindMeta, "meta", Raw, nil, 0)
			le.PutUint32(b[12:], 1<<16)
			seal(b)
			return b
		}(),
		"zstd":            file(KindMeta, "meta", Zstd, frame, 60<<20),
		"frame":           file(KindMeta, "meta", Zstd, claims, 60<<20),
		"frames' content": file(KindMeta, "meta", Zstd, bytes.Repeat(claims, 15), 60<<20),
		"references":      file(KindReferences, "references", Raw, huge, int64(len(huge))),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, err := openBytes(b)
		if err == nil && strings.HasPrefix(name, "ref") {
			_, err = f.References()
		} else if err == nil {
			_, err = f.Meta()
		}
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: a file of %d bytes took %d bytes of memory", name, len(b), n)
		}
	}
}

// TestEveryErrorIsTested keeps the tests in step with errors.go (ErrData is in package runtime's).
func TestEveryErrorIsTested(t *testing.T) {
	tests := string(readFile(t, "errors_test.go")) + string(readFile(t, "fault_linux_test.go"))
	for _, m := range regexp.MustCompile(`(?m)^\t(Err\w+) += `).FindAllStringSubmatch(string(readFile(t, "errors.go")), -1) {
		if !strings.Contains(tests, m[1]) {
			t.Errorf("%s is in no test", m[1])
		}
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	wantError(t, err, ErrMagic, dir)
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
	if _, err := Create(filepath.Join(dir, "none", "m.qpt"), WriteOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
}
