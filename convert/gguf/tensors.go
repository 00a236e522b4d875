package gguf

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"qpt/convert/stored"
)

// maxExperts bounds the matrices of a stack.
const maxExperts = 1024

// blockName is the name of a tensor of a layer.
var blockName = regexp.MustCompile(`^blk\.(\d+)\.(.+)$`)

// names gives the tensors the names of the HuggingFace model.
func (m *model) names(list map[string]*region) error {
	joined := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		t := list[name]
		if joined[name] || slices.Contains(inConfig, name) {
			continue
		}
		base, ending := name, ""
		for _, e := range []string{".weight", ".bias"} {
			if s, ok := strings.CutSuffix(name, e); ok {
				base, ending = s, e
			}
		}
		prefix, to, ok := m.arch.tensor(base)
		if !ok {
			return fmt.Errorf("%w: tensor %q (%s) is not part of a %s model: it may change what the model computes", ErrUnsupported, name, t.kind.name, m.meta.arch)
		}
		if t.kind.numbers == nil && t.kind.block == nil {
			return fmt.Errorf("%w: tensor %q is of type %s, which is not read: take a file of another type, or the original checkpoint", ErrUnsupported, name, t.kind.name)
		}
		rows := m.arch.rows(m, base)
		how := ""
		if strings.ContainsRune("&+|", rune(to[0])) {
			how, to, _ = strings.Cut(to, " ")
		}
		if rest, ok := strings.CutPrefix(to, "="); ok {
			to = rest
			ending = map[string]string{".bias": "_bias"}[ending]
		}
		to = prefix + to
		if how != "" {
			parts := blockName.FindStringSubmatch(name)
			other := "blk." + parts[1] + "." + how[1:] + name[len(base):]
			joined[other] = true
			x, err := join2(how[0], t, list[other], other, to+ending)
			if err != nil {
				return err
			}
			m.tensors = append(m.tensors, x)
			continue
		}
		if !strings.Contains(to, "{e}") {
			m.tensors = append(m.tensors, t.tensor(to+ending, t.shape, 0, rows))
			continue
		}
		if len(t.shape) < 2 {
			return fmt.Errorf("%w: tensor %q %v: a stack of experts must have another dimension", ErrCorrupt, name, t.shape)
		}
		if t.shape[0] > maxExperts {
			return fmt.Errorf("%w: tensor %q %v: %d experts, at most %d are read", ErrUnsupported, name, t.shape, t.shape[0], maxExperts)
		}
		for e := range t.shape[0] {
			m.tensors = append(m.tensors, t.tensor(strings.ReplaceAll(to, "{e}", strconv.Itoa(e))+ending, t.shape[1:], e, nil))
		}
	}
	for _, t := range m.tensors {
		t.Natural = t.Natural || m.arch.natural || strings.Contains(t.Name, ".mlp.experts.down_proj")
	}
	if m.arch.plusOne {
		for _, t := range m.tensors {
			if len(t.Shape) == 1 && strings.HasSuffix(t.Name, "norm.weight") {
				t.Numbers = lessOne{t.Numbers}
			}
		}
	}
	return nil
}

// tensor is the tensor, or matrix e of a stack, whose row i is row rows(i) of the file.
func (t *region) tensor(name string, shape []int, e int, rows func(i int) int) *stored.Tensor {
	values := 1
	for _, d := range shape {
		values *= d
	}
	out := &stored.Tensor{Name: name, Shape: shape, Type: t.kind.name, File: t.in.path}
	width := shape[len(shape)-1]
	if len(shape) == 1 && t.kind.block == nil {
		width = 1
	}
	s := &slice{t: t, off: t.off + int64(e)*int64(values)/int64(t.kind.values)*int64(t.kind.bytes), values: values, width: width, rows: rows}
	if t.kind.block == nil {
		out.Numbers = s
		return out
	}
	codes := t.kind.codes
	codes.N, codes.K = values/width, width
	codes.Group = min(codes.Group, codes.K)
	codes.Read = s.codes
	out.Codes = &codes
	if len(shape) == 1 { // a vector is a matrix of one row
		out.Shape = []int{codes.N, codes.K}
	}
	return out
}

// slice is rows of a region of a file.
type slice struct {
	t      *region
	off    int64
	values int
	width  int // of a row
	rows   func(i int) int
}

// join2 is the tensor of t and of other, which names of architectures tell by how.
func join2(how byte, t, other *region, otherName, name string) (*stored.Tensor, error) {
	if other == nil {
		return nil, fmt.Errorf("%w: tensor %q is there, but no %q", ErrCorrupt, t.name, otherName)
	}
	a, b := t.tensor(t.name, t.shape, 0, nil), other.tensor(otherName, other.shape, 0, nil)
	switch {
	case how == '|':
		return stored.Heads(name, a, b)
	case !slices.Equal(t.shape, other.shape) || t.kind != other.kind:
		return nil, fmt.Errorf("%w: tensor %q is %s %v, %q %s %v: must be the same", ErrUnsupported, t.name, t.kind.name, t.shape, otherName, other.kind.name, other.shape)
	case len(t.shape) < 2 || t.shape[0] > maxExperts:
		return nil, fmt.Errorf("%w: tensor %q %v is no stack of experts", ErrUnsupported, t.name, t.shape)
	}
	width, shape := 1, slices.Clone(t.shape)
	if shape[1] *= 2; len(shape) > 2 {
		width = shape[2]
	}
	a.Natural = true
	return stored.Gather(name, shape, width, a, stored.Turns(a, b, t.shape[1], how == '&')), nil
}

// buffers holds the memory of reads.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// each calls f with the stored bytes of rows r0 to r1-1, some at a time, which begin at row r0+at.
func (s *slice) each(r0, r1 int, f func(at int, b []byte)) error {
	size := s.width / s.t.kind.values * s.t.kind.bytes
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for r := r0; r < r1; {
		from, n := r, max(1, min(r1-r, 1<<18/size))
		if s.rows != nil {
			from = s.rows(r)
			for i := 1; i < n; i++ {
				if s.rows(r+i) != from+i {
					n = i
				}
			}
		}
		if cap(*buf) < n*size {
			*buf = make([]byte, n*size)
		}
		b := (*buf)[:n*size]
		if err := s.read(b, int64(from)*int64(size)); err != nil {
			return err
		}
		f(r-r0, b)
		r += n
	}
	return nil
}

func (s *slice) read(b []byte, at int64) error {
	if _, err := s.t.in.in.ReadAt(b, s.off+at); err == io.EOF {
		return fmt.Errorf("%s: tensor %q: %w", s.t.in.path, s.t.name, io.ErrUnexpectedEOF) // truncated since it was opened
	} else if err != nil {
		return fmt.Errorf("%s: tensor %q: %w", s.t.in.path, s.t.name, err)
	}
	return nil
}

// ReadRows implements stored.Numbers for plain types.
func (s *slice) ReadRows(r0, r1 int, dst []float32) error {
	if r0 < 0 || r1 < r0 || len(dst) != (r1-r0)*s.width {
		return fmt.Errorf("%s: tensor %q: rows %d to %d asked for as %d values", s.t.in.path, s.t.name, r0, r1, len(dst))
	}
	return s.ReadPart(r0*s.width, dst)
}

// ReadPart implements stored.Numbers for plain types.
func (s *slice) ReadPart(from int, dst []float32) error {
	if from < 0 || len(dst) > s.values-from {
		return fmt.Errorf("%s: tensor %q: %d values from %d on asked for, it has %d", s.t.in.path, s.t.name, len(dst), from, s.values)
	}
	size := s.t.kind.bytes
	if s.rows == nil {
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		for len(dst) > 0 {
			n := min(len(dst), 1<<16)
			if cap(*buf) < n*size {
				*buf = make([]byte, n*size)
			}
			if err := s.read((*buf)[:n*size], int64(from)*int64(size)); err != nil {
				return err
			}
			s.t.kind.numbers(dst[:n], *buf)
			from, dst = from+n, dst[n:]
		}
		return nil
	}
	for len(dst) > 0 { // to the end of a row
		r, at := from/s.width, from%s.width
		n := min(len(dst), s.width-at)
		err := s.each(r, r+1, func(_ int, b []byte) { s.t.kind.numbers(dst[:n], b[at*size:]) })
		if err != nil {
			return err
		}
		from, dst = from+n, dst[n:]
	}
	return nil
}

// codes implements stored.Codes.Read.
func (s *slice) codes(r0, r1 int, b *stored.Block) error {
	k := s.t.kind
	blocks := s.width / k.values
	per := k.values / min(k.codes.Group, k.values)
	return s.each(r0, r1, func(at int, data []byte) {
		i := at * blocks
		for ; len(data) > 0; data, i = data[k.bytes:], i+1 {
			to := part{codes: b.Codes[i*k.values:][:k.values], scale: b.Scale[i*per:][:per]}
			if k.codes.Offsets {
				to.offset = b.Offset[i*per:][:per]
			}
			k.block(data[:k.bytes], &to)
		}
	})
}

// lessOne is the weight w of a norm that multiplies with 1 + w, of which the file has 1 + w.
type lessOne struct{ stored.Numbers }

func (n lessOne) ReadRows(r0, r1 int, dst []float32) error {
	return minusOne(n.Numbers.ReadRows(r0, r1, dst), dst)
}
func (n lessOne) ReadPart(from int, dst []float32) error {
	return minusOne(n.Numbers.ReadPart(from, dst), dst)
}

func minusOne(err error, dst []float32) error {
	for i := range dst {
		dst[i]--
	}
	return err
}
