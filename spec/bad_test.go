package spec_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/format"
)

// section is one section of a file that is put together by hand.
type section struct {
	kind     format.Kind
	name     string
	data     []byte
	encoding uint32 // 0: raw
}

var le = binary.LittleEndian

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// assemble writes a file of these sections, with sound checksums.
func assemble(sections []section) []byte {
	b := make([]byte, 64)
	grow := func(align int) { b = append(b, make([]byte, -len(b)&(align-1))...) }
	var table []byte
	for _, s := range sections {
		align := 64
		if s.kind == format.KindWeights {
			align = 4096
		}
		grow(align)
		e := make([]byte, 128)
		le.PutUint32(e, uint32(s.kind))
		le.PutUint32(e[4:], max(s.encoding, 1))
		le.PutUint64(e[8:], uint64(len(b)))
		le.PutUint64(e[16:], uint64(len(s.data)))
		le.PutUint64(e[24:], uint64(len(s.data)))
		le.PutUint32(e[32:], uint32(align))
		le.PutUint32(e[36:], crc(s.data))
		sum := sha256.Sum256(s.data)
		copy(e[48:], sum[:])
		copy(e[80:], s.name)
		table, b = append(table, e...), append(b, s.data...)
	}
	grow(64)
	copy(b, "\x89QPT\r\n\x1a\n")
	le.PutUint32(b[8:], 2)
	le.PutUint32(b[12:], uint32(len(sections)))
	le.PutUint64(b[24:], uint64(len(b)))
	le.PutUint64(b[32:], uint64(len(b)+len(table)))
	b = append(b, table...)
	seal(b)
	return b
}

// seal puts the checksums of table and header right.
func seal(b []byte) {
	if at := le.Uint64(b[24:]); at <= uint64(len(b)) {
		le.PutUint32(b[56:], crc(b[at:]))
	}
	le.PutUint32(b[60:], crc(b[:60]))
}

// entry is that of section i in the table.
func entry(b []byte, i int) []byte { return b[le.Uint64(b[24:])+uint64(128*i):][:128] }

// Bytes of a file, or a section of it, are changed; checksums are put right unless the case is about them.
type badFile struct {
	name, rule string
	want       error
	file       func(b []byte) []byte // of the whole file
	section    string                // or of a section:
	old, new   string                // text, or
	edit       func(b []byte)        // bytes
}

func put(i, at int, v uint64, size int) func(b []byte) []byte {
	return func(b []byte) []byte {
		if e := entry(b, i); size == 4 {
			le.PutUint32(e[at:], uint32(v))
		} else {
			le.PutUint64(e[at:], v)
		}
		seal(b)
		return b
	}
}

func header(at int, v ...byte) func(b []byte) []byte {
	return func(b []byte) []byte { copy(b[at:], v); seal(b); return b }
}

// Sections of baseFile: 0 weights, 1 tensors, 2 graph, 3 graph.rows, 4 meta, 5 references, 6 rewrites.
var badFiles = []badFile{
	{name: "magic", rule: "line endings were changed on the way", want: format.ErrMagic, file: func(b []byte) []byte { return bytes.Replace(b, []byte("\r\n"), []byte("\n"), 1) }},
	{name: "truncated", rule: "the length of the file is the header's", want: format.ErrTruncated, file: func(b []byte) []byte { return b[:len(b)-1] }},
	{name: "trailing", rule: "nothing follows the table", want: format.ErrTrailing, file: func(b []byte) []byte { return append(b, 0) }},
	{name: "header-crc", rule: "CRC of the header", want: format.ErrHeaderChecksum, file: func(b []byte) []byte { b[30] ^= 1; return b }},
	{name: "version-1", rule: "version 1 was a draft", want: format.ErrVersion, file: header(8, 1)},
	{name: "version-3", rule: "a version to come", want: format.ErrVersion, file: header(8, 3)},
	{name: "feature", rule: "unknown required features are refused", want: format.ErrFeatures, file: header(16, 1)},
	{name: "reserved", rule: "reserved bytes are zero", want: format.ErrReserved, file: header(48, 1)},
	{name: "table-offset", rule: "the table ends the file", want: format.ErrTable, file: header(12, 6)},
	{name: "table-crc", rule: "CRC of the table", want: format.ErrTableChecksum, file: func(b []byte) []byte { entry(b, 2)[60] ^= 1; return b }},
	{name: "kind", rule: "a kind to come", want: format.ErrKind, file: put(4, 0, 9, 4)},
	{name: "encoding", rule: "an encoding to come", want: format.ErrEncoding, file: put(4, 4, 3, 4)},
	{name: "name", rule: "names are visible ASCII", want: format.ErrName, file: func(b []byte) []byte { entry(b, 0)[82] = ' '; seal(b); return b }},
	{name: "program-main", rule: "main is the section graph", want: format.ErrName, file: func(b []byte) []byte { copy(entry(b, 3)[80:], "graph.main"); seal(b); return b }},
	{name: "duplicate", rule: "no two sections of one name", want: format.ErrDuplicate, file: func(b []byte) []byte { copy(entry(b, 3)[80:], "graph\x00\x00\x00\x00\x00"); seal(b); return b }},
	{name: "align", rule: "raw weights are aligned to 4096", want: format.ErrAlign, file: put(0, 32, 2048, 4)},
	{name: "misplaced", rule: "an offset is a multiple of its alignment", want: format.ErrMisplaced, file: func(b []byte) []byte { return put(1, 8, le.Uint64(entry(b, 1)[8:])+8, 8)(b) }},
	{name: "overlap", rule: "sections do not overlap", want: format.ErrOverlap, file: func(b []byte) []byte { return put(2, 8, le.Uint64(entry(b, 1)[8:]), 8)(b) }},
	{name: "hole", rule: "there are no holes between sections", want: format.ErrHole, file: func(b []byte) []byte { return put(1, 8, le.Uint64(entry(b, 2)[8:]), 8)(b) }},
	{name: "bounds", rule: "sections lie before the table", want: format.ErrBounds, file: put(6, 16, 1<<40, 8)},
	{name: "size", rule: "a raw section decodes to its own size", want: format.ErrSize, file: put(4, 24, 7, 8)},
	{name: "crc", rule: "CRC of a section", want: format.ErrChecksum, file: func(b []byte) []byte { b[le.Uint64(entry(b, 4)[8:])+3] ^= 1; return b }},
	{name: "frames", rule: "a zstd section is a row of frames", want: format.ErrFrame, file: put(4, 4, 2, 4)},
	{name: "padding", rule: "padding is zero", want: format.ErrPadding, file: func(b []byte) []byte { b[100] = 1; return b }},
	{name: "sha256", rule: "SHA-256 of the decoded bytes", want: format.ErrDigest, file: func(b []byte) []byte { entry(b, 4)[50] ^= 1; seal(b); return b }},

	{name: "meta-null", rule: "null stands nowhere", want: format.ErrMeta, section: "meta", old: `"sources":[]`, new: `"sources":null`},
	{name: "meta-key", rule: "a key to come", want: format.ErrKey, section: "meta", old: `"tool"`, new: `"made_by":"x","tool"`},
	{name: "meta-twice", rule: "no key stands twice", want: format.ErrMeta, section: "meta", old: `"tool"`, new: `"tool":"x","tool"`},
	{name: "graph-op", rule: "an op to come", want: format.ErrNewGraph, section: "graph", old: `"op":"gather"`, new: `"op":"gather_along"`},
	{name: "graph-attribute", rule: "an attribute to come", want: format.ErrNewGraph, section: "graph", old: `"op":"gather"`, new: `"op":"gather","attrs":{"axis":1}`},
	{name: "graph-shape", rule: "embedding: the table's rows are the result's", want: format.ErrGraph, section: "graph.rows", old: `"shape":[8,20]`, new: `"shape":[8,21]`},
	{name: "tensor-twice", rule: "names of tensors are unique", want: format.ErrTensorName, section: "tensors", old: `"name":"head"`, new: `"name":"table"`},
	{name: "tensor-shape", rule: "extents are positive", want: format.ErrTensorShape, section: "tensors", old: `"shape":[8,20]`, new: `"shape":[0,20]`},
	{name: "format-17", rule: "a format that is retired, or to come", want: format.ErrTensorFormat, section: "tensors", old: `"format":4`, new: `"format":17`},
	{name: "layout", rule: "a layout to come", want: format.ErrTensorLayout, section: "tensors", old: `"layout":1`, new: `"layout":2`},
	{name: "group", rule: "groups of int4 are 16, 32, 64 or 128", want: format.ErrTensorGroup, section: "tensors", old: `"group":16`, new: `"group":48`},
	{name: "scheme", rule: "a scheme to come", want: format.ErrScheme, section: "tensors", old: `"da8w4"`, new: `"da8w3"`},
	{name: "stored-as", rule: "int4 is not stored for an int8 scheme", want: format.ErrStoredAs, section: "tensors", old: `"da8w4"`, new: `"da8w8"`},
	{name: "role", rule: "a role to come", want: format.ErrRole, section: "tensors", old: `"role":"sum"`, new: `"role":"min"`},
	{name: "parts", rule: "a format has exactly its parts", want: format.ErrPartRole, section: "tensors", old: `"role":"sum"`, new: `"role":"scale"`},
	{name: "part-section", rule: "parts are in weights sections", want: format.ErrPartSection, section: "tensors", old: `"section":"weights"`, new: `"section":"meta"`},
	{name: "part-offset", rule: "parts begin at multiples of 64", want: format.ErrPartOffset, section: "tensors", old: `"offset":1024`, new: `"offset":1032`},
	{name: "part-overlap", rule: "parts do not overlap", want: format.ErrPartOverlap, section: "tensors", old: `"offset":1024`, new: `"offset":960`},
	{name: "part-bounds", rule: "parts end within their section", want: format.ErrPartBounds, section: "tensors", old: `"offset":1024`, new: `"offset":65536`},

	{name: "d1-padding", rule: "(D1) padding has w8 = 0", want: format.ErrData, section: "weights", edit: func(b []byte) { b[20/4*64] = 1 }},
	{name: "d2-w8", rule: "(D2) every w8 is an int8", want: format.ErrData, section: "weights", edit: func(b []byte) { b[groupsAt] = 15 << 4 }},
	{name: "d4-sum", rule: "(D4) sums are those of the rows", want: format.ErrData, section: "weights", edit: func(b []byte) { b[1024+64]++ }},
	{name: "d5-scale", rule: "(D5) scales are finite", want: format.ErrData, section: "weights", edit: func(b []byte) { le.PutUint32(b[1024:], math.Float32bits(float32(math.Inf(1)))) }},

	{name: "references-form", rule: "a form to come", want: format.ErrReferencesForm, section: "references", edit: func(b []byte) { b[0] = 9 }},
	{name: "references-output", rule: "form 2 names an output", want: format.ErrReferences, section: "references", edit: func(b []byte) { b[0] = 2 }},
	{name: "references-vocabulary", rule: "V is the graph's", want: format.ErrReferences, section: "references", edit: func(b []byte) { b[4] = 9 }},
	{name: "references-order", rule: "the likeliest come first", want: format.ErrReferences, section: "references", edit: func(b []byte) { le.PutUint32(b[len(b)-8:], math.Float32bits(3)) }},
	{name: "references-nan", rule: "logits are finite", want: format.ErrReferences, section: "references", edit: func(b []byte) { le.PutUint32(b[len(b)-4:], 0x7fc00000) }},
	{name: "rewrites-change", rule: "a change to come", want: format.ErrChange, section: "rewrites", old: `"scales":20}]`, new: `"scales":20}],"params":[{"param":"head","change":"pruned"}]`},
	{name: "rewrites-value", rule: "the graph has every value", want: format.ErrRewrites, section: "rewrites", old: `"wanted"`, new: `"nobody"`},
	{name: "rewrites-scales", rule: "one scale a channel", want: format.ErrRewrites, section: "rewrites", old: `"scales":20`, new: `"scales":19`},
	{name: "rewrites-zero", rule: "scales are positive", want: format.ErrRewrites, section: "rewrites", edit: func(b []byte) { clear(b[len(b)-4:]) }},
}

// groupsAt is where the groups of head are in baseFile's weights: behind data, scale and sum of table and data of head.
const groupsAt = 1024 + 64 + 64 + 512

func (c *badFile) make(t *testing.T) []byte {
	list := baseFile(t)
	if c.file != nil {
		return c.file(assemble(list))
	}
	i := slices.IndexFunc(list, func(s section) bool { return s.name == c.section })
	if s := &list[i]; c.edit != nil {
		c.edit(s.data)
	} else {
		text := s.data
		if c.section == "rewrites" {
			text = text[4:]
		}
		edited := []byte(strings.Replace(string(text), c.old, c.new, 1))
		if bytes.Equal(edited, text) {
			t.Fatalf("%s is not in %s", c.old, shorten(string(text)))
		}
		if c.section == "rewrites" { // its text's length
			n := len(edited) - (len(text) - int(le.Uint32(s.data)))
			edited = append(le.AppendUint32(nil, uint32(n)), edited...)
		}
		s.data = edited
	}
	return assemble(list)
}

// TestBad: each file breaks one rule, and gives its error, corrupt or newer.
func TestBad(t *testing.T) {
	names := map[error]string{format.ErrMagic: "ErrMagic", format.ErrTruncated: "ErrTruncated", format.ErrTrailing: "ErrTrailing", format.ErrHeaderChecksum: "ErrHeaderChecksum",
		format.ErrVersion: "ErrVersion", format.ErrFeatures: "ErrFeatures", format.ErrReserved: "ErrReserved", format.ErrTable: "ErrTable", format.ErrTableChecksum: "ErrTableChecksum",
		format.ErrKind: "ErrKind", format.ErrEncoding: "ErrEncoding", format.ErrName: "ErrName", format.ErrDuplicate: "ErrDuplicate", format.ErrAlign: "ErrAlign",
		format.ErrMisplaced: "ErrMisplaced", format.ErrOverlap: "ErrOverlap", format.ErrHole: "ErrHole", format.ErrBounds: "ErrBounds", format.ErrSize: "ErrSize",
		format.ErrChecksum: "ErrChecksum", format.ErrFrame: "ErrFrame", format.ErrPadding: "ErrPadding", format.ErrDigest: "ErrDigest", format.ErrMeta: "ErrMeta", format.ErrKey: "ErrKey",
		format.ErrNewGraph: "ErrNewGraph", format.ErrGraph: "ErrGraph", format.ErrTensorName: "ErrTensorName", format.ErrTensorShape: "ErrTensorShape", format.ErrTensorFormat: "ErrTensorFormat",
		format.ErrTensorLayout: "ErrTensorLayout", format.ErrTensorGroup: "ErrTensorGroup", format.ErrScheme: "ErrScheme", format.ErrStoredAs: "ErrStoredAs", format.ErrRole: "ErrRole",
		format.ErrPartRole: "ErrPartRole", format.ErrPartSection: "ErrPartSection", format.ErrPartOffset: "ErrPartOffset", format.ErrPartOverlap: "ErrPartOverlap", format.ErrPartBounds: "ErrPartBounds",
		format.ErrData: "ErrData", format.ErrReferencesForm: "ErrReferencesForm", format.ErrReferences: "ErrReferences", format.ErrChange: "ErrChange", format.ErrRewrites: "ErrRewrites"}
	if err := readAll(filepath.Join(dir, "programs.qpt")); err != nil {
		t.Fatalf("the file that they are made of: %v", err)
	}
	var table strings.Builder
	for _, c := range badFiles {
		path := filepath.Join(dir, "bad", c.name+".qpt")
		if *update && !exists(path) {
			check(t, os.MkdirAll(filepath.Dir(path), 0o755))
			check(t, os.WriteFile(path, c.make(t), 0o644))
		}
		err := readAll(path)
		if err == nil || !errors.Is(err, c.want) || errors.Is(err, format.ErrCorrupt) == errors.Is(err, format.ErrUnsupported) {
			t.Errorf("%s: %v, want %s", path, err, names[c.want])
		}
		class := "corrupt"
		if errors.Is(c.want, format.ErrUnsupported) {
			class = "unsupported"
		}
		fmt.Fprintf(&table, "| %s | `%s` | %s | %s |\n", c.name, names[c.want], class, c.rule)
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	check(t, err)
	for _, v := range vectors {
		fmt.Fprintf(&table, "| %s | %s |\n", v.name, v.what)
	}
	for line := range strings.Lines(table.String()) {
		if !strings.Contains(string(readme), line) {
			t.Errorf("vectors/README.md lacks\n%s", line)
		}
	}
}
