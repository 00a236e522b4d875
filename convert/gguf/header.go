package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"slices"
	"time"
)

var (
	// ErrCorrupt is matched by errors about a file that breaks the format.
	ErrCorrupt = errors.New("corrupt GGUF file")
	// ErrUnsupported is matched by errors about what a sound file asks for and is not implemented.
	ErrUnsupported = errors.New("unsupported GGUF file")
)

// Limits of what is read: the memory of a hostile file stays within the bytes it really has, and these.
const (
	maxKeys    = 1 << 16
	maxTensors = 1 << 16
	maxName    = 1 << 10  // of a key or tensor
	maxString  = 64 << 20 // a chat template, the longest seen, has 20 KB
	maxArray   = 1 << 23  // a vocabulary has up to 2^19
	maxDims    = 4
)

// file is one GGUF file: its keys and tensors, by name, as they are.
type file struct {
	path   string
	in     io.ReaderAt
	size   int64
	disk   *os.File // what in is, nil in tests
	time   time.Time
	keys   map[string]value
	order  []string // of keys
	blocks []*region
}

// region is a tensor of a file.
type region struct {
	name  string
	shape []int // slowest dimension first
	kind  *kind
	in    *file
	off   int64 // in the file
	size  int64
}

// value is a metadata value: number, bool, string, or an array of one of them.
type value struct {
	kind    uint32
	elem    uint32   // of an array
	bits    uint64   // of a number or bool, as float64 if it is a float
	text    string   // of a string
	numbers []uint64 // of an array, as bits
	texts   []string // of an array of strings
}

// Types of metadata values.
const (
	kU8 = iota
	kI8
	kU16
	kI16
	kU32
	kI32
	kF32
	kBool
	kString
	kArray
	kU64
	kI64
	kF64
)

// widths are the bytes of the types that have a fixed number of them.
var widths = [...]int{kU8: 1, kI8: 1, kU16: 2, kI16: 2, kU32: 4, kI32: 4, kF32: 4, kBool: 1, kU64: 8, kI64: 8, kF64: 8}

// openFile reads the header of a file and checks all that it says.
func openFile(path string) (_ *file, err error) {
	st, err := os.Stat(path) // first: opening a pipe would block
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file", ErrCorrupt, path)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := newFile(path, in, st.Size())
	if err != nil {
		in.Close()
		return nil, err
	}
	f.disk, f.time = in, st.ModTime()
	return f, nil
}

// newFile reads the header of a file of so many bytes.
func newFile(path string, in io.ReaderAt, size int64) (*file, error) {
	f := &file{path: path, in: in, size: size, keys: map[string]value{}}
	r := &reader{in: bufio.NewReaderSize(io.NewSectionReader(in, 0, size), 1<<16), left: size}
	if f.header(r); r.err != nil {
		return nil, fmt.Errorf("%s: %w", path, r.err)
	}
	return f, nil
}

// unchanged says whether the file was written to since it was opened, as far as size and time tell.
func (f *file) unchanged() error {
	st, err := f.disk.Stat()
	if err != nil {
		return err
	}
	if st.Size() != f.size || !st.ModTime().Equal(f.time) {
		return fmt.Errorf("%w: %s was changed while it was read", ErrCorrupt, f.path)
	}
	return nil
}

// reader reads little-endian numbers; the first error sticks.
type reader struct {
	in   *bufio.Reader
	at   int64
	left int64 // bytes of the file from at on
	err  error
	buf  [8]byte
}

func (r *reader) fail(format string, a ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, a...)...)
	}
}

func (r *reader) read(b []byte) {
	if r.err != nil {
		return
	}
	if int64(len(b)) > r.left {
		r.fail("it ends at byte %d, within its header", r.at+r.left)
		return
	}
	n, err := io.ReadFull(r.in, b)
	r.at, r.left = r.at+int64(n), r.left-int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		r.fail("it ends at byte %d, within its header", r.at)
	} else if err != nil {
		r.err = err
	}
}

func (r *reader) uint(width int) uint64 {
	r.buf = [8]byte{}
	r.read(r.buf[:width])
	return binary.LittleEndian.Uint64(r.buf[:])
}

// string reads a length and as many bytes.
func (r *reader) string(what string, most int) string {
	at := r.at
	n := r.uint(8)
	if r.err == nil && (n > uint64(r.left) || n > uint64(most)) {
		r.fail("%s at byte %d has %d bytes, the file %d more; at most %d are read", what, at, n, r.left, most)
	}
	if r.err != nil {
		return ""
	}
	b := make([]byte, n)
	r.read(b)
	return string(b)
}

func (f *file) header(r *reader) {
	var magic [4]byte
	if r.read(magic[:]); r.err == nil && string(magic[:]) != "GGUF" {
		r.fail("it begins with %q, must be GGUF", magic)
	}
	version := uint32(r.uint(4))
	switch {
	case r.err != nil:
		return
	case version != 2 && version != 3 && bits.ReverseBytes32(version) <= 3:
		r.err = fmt.Errorf("%w: it is big-endian: convert it again for a little-endian machine", ErrUnsupported)
	case version != 2 && version != 3:
		r.err = fmt.Errorf("%w: version %d of the format, 2 and 3 are read: convert the model again with a current llama.cpp", ErrUnsupported, version)
	}
	tensors, keys := r.uint(8), r.uint(8)
	if tensors > maxTensors || keys > maxKeys {
		r.fail("it says that it has %d tensors and %d keys; at most %d and %d are read", tensors, keys, maxTensors, maxKeys)
	}
	if r.err != nil {
		return
	}
	for range keys {
		if name := r.string("the name of a key", maxName); r.err == nil {
			v := r.value(name)
			if _, twice := f.keys[name]; twice {
				r.fail("key %q is there twice", name)
			}
			f.keys[name], f.order = v, append(f.order, name)
		}
	}
	align := f.alignment(r)
	seen := map[string]bool{}
	for range tensors {
		if r.err != nil {
			return
		}
		t := r.tensor(f, align)
		if seen[t.name] {
			r.fail("tensor %q is there twice", t.name)
		}
		seen[t.name] = true
		f.blocks = append(f.blocks, t)
	}
	if r.err == nil {
		f.place(r, (r.at+align-1)/align*align)
	}
}

// value reads a type and a value of it.
func (r *reader) value(key string) (v value) {
	v.kind = uint32(r.uint(4))
	switch {
	case r.err != nil:
	case v.kind == kString:
		v.text = r.string(fmt.Sprintf("the text of key %q", key), maxString)
	case v.kind == kArray:
		r.array(key, &v)
	case v.kind <= kF64:
		v.bits = r.number(v.kind)
	default:
		r.fail("key %q: type %d is unknown", key, v.kind)
	}
	return v
}

// number reads a number as 64 bits: integers with their sign, floats as float64.
func (r *reader) number(kind uint32) uint64 {
	b := r.uint(widths[kind])
	switch kind {
	case kI8:
		return uint64(int8(b))
	case kI16:
		return uint64(int16(b))
	case kI32:
		return uint64(int32(b))
	case kF32:
		return math.Float64bits(float64(math.Float32frombits(uint32(b))))
	case kBool:
		if b > 1 {
			r.fail("a bool is %d, must be 0 or 1", b)
		}
	}
	return b
}

func (r *reader) array(key string, v *value) {
	v.elem = uint32(r.uint(4))
	n := r.uint(8)
	least := 8 // bytes of an element: a string has a length
	switch {
	case r.err != nil:
		return
	case v.elem == kArray || v.elem > kF64:
		r.fail("key %q: an array of type %d, must be numbers or strings", key, v.elem)
		return
	case v.elem != kString:
		least = widths[v.elem]
	}
	if n > maxArray || n > uint64(r.left)/uint64(least) {
		r.fail("key %q: an array of %d elements, the file has %d bytes more; at most %d are read", key, n, r.left, maxArray)
		return
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		if v.elem == kString {
			v.texts = append(v.texts, r.string(fmt.Sprintf("element %d of key %q", i, key), maxString))
		} else {
			v.numbers = append(v.numbers, r.number(v.elem))
		}
	}
}

// alignment is general.alignment, 32 if absent.
func (f *file) alignment(r *reader) int64 {
	v, ok := f.keys["general.alignment"]
	if !ok {
		return 32
	}
	if v.kind != kU32 || v.bits < 1 || v.bits > 1<<20 || v.bits&(v.bits-1) != 0 {
		r.fail("general.alignment must be a u32, a power of two from 1 to 2^20")
		return 32
	}
	return int64(v.bits)
}

// tensor reads an entry; off is still from the start of the data.
func (r *reader) tensor(f *file, align int64) *region {
	t := &region{in: f, name: r.string("the name of a tensor", maxName)}
	dims := r.uint(4)
	if r.err == nil && (dims < 1 || dims > maxDims) {
		r.fail("tensor %q has %d dimensions, must be 1 to %d", t.name, dims, maxDims)
	}
	values := uint64(1)
	for i := uint64(0); i < dims && r.err == nil; i++ {
		d := r.uint(8)
		hi, lo := bits.Mul64(values, d)
		if values = lo; r.err == nil && (d == 0 || hi != 0 || lo > 1<<48) {
			r.fail("tensor %q: dimension %d is %d: the tensor must have 1 to 2^48 values", t.name, i, d)
		}
		t.shape = append(t.shape, int(d))
	}
	id, off := uint32(r.uint(4)), r.uint(8)
	if r.err != nil {
		return t
	}
	slices.Reverse(t.shape)
	if t.kind = kinds[id]; t.kind == nil {
		r.err = fmt.Errorf("%w: tensor %q is of ggml type %d, which is unknown: use a newer qpt, or, if a fork of llama.cpp made the file (ik_llama.cpp has types from 97 on), take one of llama.cpp's own types", ErrUnsupported, t.name, id)
		return t
	}
	if row := t.shape[len(t.shape)-1]; row%t.kind.values != 0 {
		r.fail("tensor %q: rows of %d values of type %s, must be a multiple of %d", t.name, row, t.kind.name, t.kind.values)
	}
	t.size = int64(values) / int64(t.kind.values) * int64(t.kind.bytes)
	if off > 1<<56 || int64(off)%align != 0 {
		r.fail("tensor %q begins at %d of the data, must be a multiple of %d", t.name, off, align)
	}
	t.off = int64(off)
	return t
}

// place holds the tensors against the file: within it, none over another. data is where the data begins.
func (f *file) place(r *reader, data int64) {
	list := slices.Clone(f.blocks)
	slices.SortStableFunc(list, func(a, b *region) int {
		return int(min(max(a.off-b.off, -1), 1))
	})
	end := int64(0)
	var last *region
	for _, t := range list {
		switch {
		case t.off < end:
			r.fail("tensor %q at %d of the data overlaps tensor %q, which ends at %d", t.name, t.off, last.name, end)
		case t.off > f.size-data || t.size > f.size-data-t.off:
			r.fail("tensor %q has %d bytes at %d of the data, the file has %d there: it is truncated, download it again", t.name, t.size, t.off, max(0, f.size-data))
		}
		end, last = t.off+t.size, t
	}
	for _, t := range f.blocks {
		t.off += data
	}
}
