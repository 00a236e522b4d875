package safetensors

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	nlp "github.com/nlpodyssey/safetensors"

	"qpt/internal/outfile"
)

// Files read and written in one go by package nlp, behind the rules of this one; the package doc says why only these.

// ReadFile reads a whole .safetensors file into memory. Tensors of dtypes that package nlp lacks (FP8, FP6, FP4, C64) are an error.
func ReadFile(path string) (map[string]nlp.TensorView, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	b := make([]byte, f.size)
	if _, err := io.ReadFull(f.f, b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	tensors, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tensors, nil
}

// Decode is ReadFile of a file in memory, which the tensors share.
func Decode(b []byte) (map[string]nlp.TensorView, error) {
	h, err := readHeader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for _, t := range h.tensors {
		if _, err := nlp.ParseDType(t.DType.String()); err != nil {
			return nil, fmt.Errorf("tensor %s: %w: %v: convert it to one of F32, BF16, F16 or integers", clip(t.Name), ErrDType, t.DType)
		}
	}
	file, err := nlp.Deserialize(b)
	if err != nil { // what is checked above says more
		return nil, fmt.Errorf("%w: %w", ErrJSON, err)
	}
	tensors := make(map[string]nlp.TensorView, file.Len())
	for _, t := range file.Tensors() {
		tensors[t.Name] = t.TensorView
	}
	return tensors, nil
}

// WriteFile writes a file in one go; it replaces path only when it is complete. The same tensors and metadata give the same bytes.
// Each tensor's Data is asked for once, in the order of the file (by falling alignment, then by name), so that a
// View may make it then; bytes are written before the next is asked for.
func WriteFile[V nlp.View](path string, tensors map[string]V, metadata map[string]string) error {
	f, err := newWhole(path, tensors, metadata)
	if err != nil {
		return err
	}
	defer f.Abort()
	return f.Commit()
}

// newWhole writes a file up to Commit.
func newWhole[V nlp.View](path string, tensors map[string]V, metadata map[string]string) (*outfile.File, error) {
	f, err := outfile.Create(path)
	if err != nil {
		return nil, err
	}
	if err := encode(f, tensors, metadata); err != nil {
		f.Abort()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// encode writes the bytes of a file, or says which rule they would break.
func encode[V nlp.View](w io.Writer, tensors map[string]V, metadata map[string]string) error {
	for key, value := range metadata {
		if !utf8.ValidString(key + value) {
			return fmt.Errorf("metadata %s: not valid UTF-8", clip(key))
		}
	}
	total := int64(0)
	views := make(map[string]*exact, len(tensors))
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		v := &exact{View: tensors[name]}
		spec := Spec{Name: name}
		spec.DType, _ = ParseDType(v.DType().String())
		for _, n := range v.Shape() {
			spec.Shape = append(spec.Shape, int(min(n, math.MaxInt)))
		}
		var err error
		if v.size, err = spec.Size(); err != nil {
			return err
		}
		if total += v.size; total < 0 {
			return fmt.Errorf("tensor %s: %w: the file would be too large", clip(name), ErrOverflow)
		}
		views[name] = v
	}
	count := &counter{w: w}
	buf := bufio.NewWriterSize(count, 1<<20)
	if err := nlp.SerializeToWriter(views, metadata, buf); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(views)) {
		if v := views[name]; v.got != v.size {
			return fmt.Errorf("tensor %s: %w: found %d bytes of data, want %d", clip(name), ErrTensorSize, v.got, v.size)
		}
	}
	if header := count.n - 8 - total; header > maxHeader {
		return fmt.Errorf("%w: it would have %d bytes, at most %d are allowed", ErrHeaderTooLarge, header, maxHeader)
	}
	return nil
}

// exact is a View held to the bytes that its dtype and shape have, which package nlp does not check.
type exact struct {
	nlp.View
	size, got int64
}

func (v *exact) DataLen() uint64 { return uint64(v.size) }

func (v *exact) Data() []byte {
	b := v.View.Data()
	v.got = int64(len(b))
	return b
}

// counter counts the bytes written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Spec declares a tensor that will be written.
type Spec struct {
	Name  string
	DType DType
	Shape []int
}

// Size returns the number of bytes, or an error for an impossible spec.
func (s Spec) Size() (int64, error) {
	if s.Name == "__metadata__" || !utf8.ValidString(s.Name) || !s.DType.valid() {
		return 0, fmt.Errorf("tensor %s: the name must be valid UTF-8 and not reserved, the dtype (%v) must exist", clip(s.Name), s.DType)
	}
	size, err := byteSize(s.DType, s.Shape)
	if err != nil {
		return 0, fmt.Errorf("tensor %s: %w", clip(s.Name), err)
	}
	return size, nil
}

// made is the View of a tensor whose data fill makes when they are written.
type made struct {
	Spec
	dtype nlp.DType
	fill  func(Spec, io.Writer) error
	fail  *error // of the first fill that failed; those after it are not called
}

func (m made) DType() nlp.DType { return m.dtype }

func (m made) Shape() []uint64 {
	shape := make([]uint64, len(m.Spec.Shape))
	for i, n := range m.Spec.Shape {
		shape[i] = uint64(n)
	}
	return shape
}

func (m made) DataLen() uint64 {
	n, _ := m.Size()
	return uint64(n)
}

func (m made) Data() []byte {
	if *m.fail != nil {
		return nil
	}
	b := bytes.NewBuffer(make([]byte, 0, m.DataLen()))
	*m.fail = m.fill(m.Spec, b)
	return b.Bytes()
}

// writeShard writes a file of tensors that fill makes one by one, up to Commit.
func writeShard(path string, specs []Spec, metadata map[string]string, fill func(Spec, io.Writer) error) (*outfile.File, error) {
	var fail error
	views := map[string]made{}
	for _, s := range specs {
		d, err := nlp.ParseDType(s.DType.String())
		if err != nil {
			return nil, fmt.Errorf("%s: tensor %s: %w: %v is not written", path, clip(s.Name), ErrDType, s.DType)
		}
		views[s.Name] = made{s, d, fill, &fail}
	}
	f, err := newWhole(path, views, metadata)
	if fail != nil {
		if err == nil {
			f.Abort()
		}
		return nil, fail
	}
	return f, err
}
