package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxHeader is the format's cap on the header (decimal, not MiB). It is also
// our cap on an index file.
const maxHeader = 100_000_000

// header is what a file says about itself.
type header struct {
	tensors  []*Tensor // in the order of their data
	metadata map[string]string
	unknown  []string // fields of entries that the format does not know, first few
}

// readHeader reads and checks the header of a file of size bytes. It allocates
// nothing that the size does not warrant. Its errors do not name the file.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	if size < 8 {
		return nil, fmt.Errorf("%w: found %d bytes, want at least 8", ErrHeaderTooSmall, size)
	}
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil && err != io.EOF {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return nil, fmt.Errorf("%w: found a length of %d bytes, want at most %d: is this a .safetensors file?", ErrHeaderTooLarge, n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("%w: found a length of %d bytes, %d follow", ErrHeaderLength, n, size-8)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, 8, int64(n)), text); err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, ErrHeaderUTF8
	}
	h, err := parseHeader(text)
	if err != nil {
		return nil, err
	}
	return h, h.place(8+int64(n), size)
}

// parseHeader reads the JSON. Tensors come out with off relative to the data,
// not yet checked.
func parseHeader(text []byte) (*header, error) {
	h := &header{}
	s := &scanner{b: text}
	err := s.object(func(name string) error {
		if name == "__metadata__" {
			h.metadata = map[string]string{}
			err := s.object(func(key string) (err error) {
				h.metadata[key], err = s.str()
				return err
			})
			if err != nil {
				return fmt.Errorf("__metadata__: %w", err)
			}
			return nil
		}
		t, err := h.entry(s)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", clip(name), err)
		}
		t.Name = name
		h.tensors = append(h.tensors, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, s.end()
}

// entry reads one tensor's dtype, shape and data_offsets.
func (h *header) entry(s *scanner) (*Tensor, error) {
	t := &Tensor{Shape: []int{}}
	var dtype, shape, offsets bool
	err := s.object(func(key string) (err error) {
		switch key {
		case "dtype":
			dtype = true
			var name string
			if name, err = s.str(); err != nil {
				return fmt.Errorf("dtype: %w", err)
			}
			if t.DType, dtype = ParseDType(name); !dtype {
				return s.errorf("unknown dtype %s", clip(name))
			}
		case "shape":
			shape = true
			if t.Shape, err = s.ints(t.Shape); err != nil {
				return fmt.Errorf("shape: %w", err)
			}
		case "data_offsets":
			offsets = true
			var span [2]int
			if got, err := s.ints(span[:0]); err != nil {
				return fmt.Errorf("data_offsets: %w", err)
			} else if len(got) != 2 {
				return s.errorf("data_offsets: found %d numbers, want 2", len(got))
			}
			t.off, t.size = int64(span[0]), int64(span[1])-int64(span[0])
		default:
			h.unknown = note(h.unknown, key)
			return s.skip(0)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		key string
		ok  bool
	}{{"dtype", dtype}, {"shape", shape}, {"data_offsets", offsets}} {
		if !f.ok {
			return nil, s.errorf("no %s", f.key)
		}
	}
	return t, nil
}

// ints appends an array of whole numbers to dst.
func (s *scanner) ints(dst []int) ([]int, error) {
	err := s.array(func() error {
		n, err := s.int()
		dst = append(dst, n)
		return err
	})
	return dst, err
}

// place checks that the tensors fill a file of size bytes from data to its end,
// one behind the other, and makes their offsets absolute.
func (h *header) place(data, size int64) error {
	// The end decides between two that start together, so that a tensor
	// without elements may stand between two others.
	slices.SortFunc(h.tensors, func(a, b *Tensor) int {
		return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.size, b.size), strings.Compare(a.Name, b.Name))
	})
	end := int64(0)
	for _, t := range h.tensors {
		if t.off != end || t.size < 0 {
			return fmt.Errorf("tensor %s: %w: found [%d %d], want start %d and an end not before it",
				clip(t.Name), ErrOffsets, t.off, t.off+t.size, end)
		}
		want, err := byteSize(t.DType, t.Shape)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", clip(t.Name), err)
		}
		if want != t.size {
			return fmt.Errorf("tensor %s: %w: found %d bytes, want %d for %v of %v",
				clip(t.Name), ErrTensorSize, t.size, want, t.Shape, t.DType)
		}
		end += t.size
		t.off += data
	}
	if end != size-data {
		return fmt.Errorf("%w: found %d bytes, want %d", ErrFileLength, size, data+end)
	}
	return nil
}
