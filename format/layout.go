package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Kind is what a section holds. Numbers of retired kinds are never used again.
type Kind uint32

// Section kinds. A file holds any number of weights sections, under any name; a graph for each program, named
// "graph" (the program Main) or "graph.NAME"; and at most one of each other kind, under the kind's name (see Kind.String).
const (
	KindMeta        Kind = 1 // JSON, see Meta
	KindGraph       Kind = 2 // JSON, see File.Program
	KindTensors     Kind = 3 // JSON, see Tensor
	KindWeights     Kind = 4 // the bytes of the tensors
	KindTokenizer   Kind = 5 // vocabulary and rules, see package runtime/lm/tokenizer
	KindReferences  Kind = 6 // FP32 results, see References
	KindActivations Kind = 7 // JSON, see Activation
	KindRewrites    Kind = 8 // see Rewrites

	lastKind = KindRewrites
)

var kindNames = [...]string{1: "meta", "graph", "tensors", "weights", "tokenizer", "references", "activations", "rewrites"}

func (k Kind) String() string {
	if k < 1 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", uint32(k))
	}
	return kindNames[k]
}

// Encoding is how a section's bytes are stored.
type Encoding uint32

// Section encodings.
const (
	Raw  Encoding = 1 // as they are
	Zstd Encoding = 2 // zstd frames of at most chunk bytes each, see frames.go
)

func (e Encoding) String() string {
	switch e {
	case Raw:
		return "raw"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("encoding %d", uint32(e))
}

// Section is one entry of the section table.
type Section struct {
	Name     string
	Kind     Kind
	Encoding Encoding
	Align    int64    // Offset is the next multiple of it after the section before
	Offset   int64    // in the file
	Stored   int64    // bytes in the file
	Size     int64    // bytes when decoded
	CRC      uint32   // CRC-32C of the stored bytes
	SHA256   [32]byte // of the decoded bytes, thus the same in the mapped and the transport form
}

// Sizes and limits of the layout (spec/qpt.md, "Limits").
const (
	version     = 2
	headerSize  = 64
	entrySize   = 128
	nameSize    = 48
	maxSections = 1 << 16
	minAlign    = 64
	pageAlign   = 4096 // of raw weights
	maxAlign    = 2 << 20
	maxFile     = 1 << 56
)

const magic = "\x89QPT\r\n\x1a\n"

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// maxSize bounds the decoded size of a zstd section, so that a small hostile
// file cannot ask for much memory.
func maxSize(stored int64) int64 { return 64<<20 + 256*stored }

// pad returns n rounded up to a multiple of the power of two a.
func pad(n, a int64) int64 { return (n + a - 1) &^ (a - 1) }

func encodeHeader(table []byte, tableOffset int64) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	le.PutUint32(b[8:], version)
	le.PutUint32(b[12:], uint32(len(table)/entrySize))
	// b[16:24]: required features, none so far
	le.PutUint64(b[24:], uint64(tableOffset))
	le.PutUint64(b[32:], uint64(tableOffset)+uint64(len(table)))
	// b[40:56]: reserved
	le.PutUint32(b[56:], crc32.Checksum(table, castagnoli))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func encodeEntry(s *Section) []byte {
	b := make([]byte, entrySize)
	le.PutUint32(b[0:], uint32(s.Kind))
	le.PutUint32(b[4:], uint32(s.Encoding))
	le.PutUint64(b[8:], uint64(s.Offset))
	le.PutUint64(b[16:], uint64(s.Stored))
	le.PutUint64(b[24:], uint64(s.Size))
	le.PutUint32(b[32:], uint32(s.Align))
	le.PutUint32(b[36:], s.CRC)
	// b[40:48]: reserved
	copy(b[48:80], s.SHA256[:])
	copy(b[80:], s.Name)
	return b
}

// parse checks the header and the table of the whole file b and returns the
// sections. It needs memory for the table only.
func parse(b []byte) ([]Section, error) {
	if !bytes.HasPrefix(b, []byte(magic)) {
		switch {
		case len(b) < len(magic) && bytes.HasPrefix([]byte(magic), b):
			return nil, fmt.Errorf("%w: %d bytes, the header alone has %d", ErrTruncated, len(b), headerSize)
		case bytes.HasPrefix(b, []byte(magic[:4])):
			return nil, fmt.Errorf("%w: line endings were changed on the way; transfer it as a binary file", ErrMagic)
		}
		return nil, fmt.Errorf("%w: starts with % x, want % x", ErrMagic, b[:min(len(b), len(magic))], magic)
	}
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes, the header alone has %d", ErrTruncated, len(b), headerSize)
	}
	if crc32.Checksum(b[:60], castagnoli) != le.Uint32(b[60:]) {
		return nil, ErrHeaderChecksum
	}
	if v := le.Uint32(b[8:]); v == 1 {
		return nil, fmt.Errorf("%w: 1 was a draft, this program reads %d; convert the checkpoint again", ErrVersion, version)
	} else if v != version {
		return nil, fmt.Errorf("%w: %d, this program reads %d; use a newer qpt", ErrVersion, v, version)
	}
	if x := le.Uint64(b[16:]); x != 0 {
		return nil, fmt.Errorf("%w: bits %#x; use a newer qpt", ErrFeatures, x)
	}
	if !zero(b[40:56]) {
		return nil, fmt.Errorf("%w: header", ErrReserved)
	}
	count, off, size := uint64(le.Uint32(b[12:])), le.Uint64(b[24:]), le.Uint64(b[32:])
	switch have := uint64(len(b)); {
	case have < size:
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrTruncated, have, size)
	case have > size:
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrTrailing, have, size)
	}
	if count > maxSections || size > maxFile || off > size || off%minAlign != 0 || off < headerSize || size-off != count*entrySize {
		return nil, fmt.Errorf("%w: %d entries at 0x%x, file of %d bytes", ErrTable, count, off, size)
	}
	table := b[off:]
	if crc32.Checksum(table, castagnoli) != le.Uint32(b[56:]) {
		return nil, ErrTableChecksum
	}
	sections := make([]Section, count)
	end := int64(headerSize)
	seen := make(map[string]bool, count)
	for i := range sections {
		s := &sections[i]
		if err := parseEntry(s, table[i*entrySize:][:entrySize], end, int64(off)); err != nil {
			return nil, fmt.Errorf("section %d %q: %w", i, s.Name, err)
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("section %d %q: %w", i, s.Name, ErrDuplicate)
		}
		seen[s.Name] = true
		end = s.Offset + s.Stored
	}
	if want := pad(end, minAlign); int64(off) != want {
		return nil, fmt.Errorf("%w: table at 0x%x, the sections end at 0x%x", ErrHole, off, end)
	}
	return sections, checkDecoded(sections)
}

// checkDecoded bounds what all zstd sections decode to together, as maxSize bounds one.
func checkDecoded(sections []Section) error {
	var size, stored int64
	for _, s := range sections {
		if s.Encoding == Zstd {
			size, stored = size+s.Size, stored+s.Stored
		}
	}
	if size > maxSize(stored) {
		return fmt.Errorf("%w: all zstd sections decode from %d to %d bytes, at most %d allowed", ErrSize, stored, size, maxSize(stored))
	}
	return nil
}

// parseEntry decodes one table entry into s and checks it. The section must
// follow end, the end of what comes before it, and end at limit or before.
func parseEntry(s *Section, b []byte, end, limit int64) error {
	name := bytes.TrimRight(b[80:], "\x00")
	s.Name = string(name)
	s.Kind = Kind(le.Uint32(b[0:]))
	s.Encoding = Encoding(le.Uint32(b[4:]))
	s.CRC = le.Uint32(b[36:])
	copy(s.SHA256[:], b[48:80])
	if s.Kind < KindMeta || s.Kind > lastKind {
		return fmt.Errorf("%w: %d; use a newer qpt", ErrKind, uint32(s.Kind))
	}
	if s.Encoding != Raw && s.Encoding != Zstd {
		return fmt.Errorf("%w: %d; use a newer qpt", ErrEncoding, uint32(s.Encoding))
	}
	if err := checkName(s.Kind, s.Name); err != nil {
		return err
	}
	if !zero(b[40:48]) {
		return ErrReserved
	}
	align := int64(le.Uint32(b[32:]))
	if align&(align-1) != 0 || align < wantAlign(s.Kind, s.Encoding) || align > maxAlign {
		return fmt.Errorf("%w: %d, must be a power of two from %d to %d", ErrAlign, align, wantAlign(s.Kind, s.Encoding), maxAlign)
	}
	s.Align = align
	off, stored, size := le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
	switch want := uint64(pad(end, align)); {
	case off%uint64(align) != 0:
		return fmt.Errorf("%w: 0x%x, alignment %d", ErrMisplaced, off, align)
	case off < want:
		return fmt.Errorf("%w: it starts at 0x%x, the bytes before it end at 0x%x", ErrOverlap, off, end)
	case off > uint64(limit) || stored > uint64(limit)-off:
		return fmt.Errorf("%w: %d bytes at 0x%x, the table is at 0x%x", ErrBounds, stored, off, limit)
	case off > want:
		return fmt.Errorf("%w: it starts at 0x%x, want 0x%x", ErrHole, off, want)
	}
	s.Offset, s.Stored = int64(off), int64(stored)
	if s.Encoding == Raw && size != stored {
		return fmt.Errorf("%w: raw, but %d bytes stored and %d decoded", ErrSize, stored, size)
	}
	if s.Encoding == Zstd && size > uint64(maxSize(s.Stored)) {
		return fmt.Errorf("%w: %d bytes decoded from %d, at most %d allowed", ErrSize, size, stored, maxSize(s.Stored))
	}
	s.Size = int64(size)
	return nil
}

// MaxName is the greatest length of a section's name, in bytes.
const MaxName = nameSize

// checkName holds the rules of names: 1 to 48 visible ASCII characters, "graph" or "graph.NAME" for programs, and
// the kind's name for the others that are no weights.
func checkName(k Kind, name string) error {
	if len(name) == 0 || len(name) > nameSize {
		return fmt.Errorf("%w: %d bytes long, must be 1 to %d", ErrName, len(name), nameSize)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("%w: byte 0x%02x, must be visible ASCII", ErrName, c)
		}
	}
	if k == KindGraph && programOf(name) != "" {
		return nil
	}
	if k != KindWeights && name != k.String() {
		return fmt.Errorf("%w: must be %q for this kind", ErrName, k)
	}
	return nil
}

// wantAlign is the least alignment of a section, and the one that Writer uses.
func wantAlign(k Kind, e Encoding) int64 {
	if k == KindWeights && e == Raw {
		return pageAlign
	}
	return minAlign
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
