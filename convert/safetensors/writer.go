package safetensors

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

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

// Writer writes one file. The tensors' data come one after the other in the
// order of Specs, each in as many pieces as is convenient:
//
//	w, err := safetensors.Create("model.safetensors", specs, nil)
//	defer w.Abort() // leaves no file behind if Commit is not reached
//	for _, spec := range w.Specs() {
//		_, err = w.Write(data[spec.Name])
//	}
//	err = w.Commit()
type Writer struct {
	path  string
	file  *os.File // temporary, nil after Commit or Abort
	buf   *bufio.Writer
	specs []Spec
	ends  []int64 // of each tensor's data
	off   int64   // bytes of data so far
	err   error   // the first failure
	done  bool    // the file is in place
}

// Create starts a file that replaces path on Commit; until then it is a hidden
// temporary file in the same folder. The same specs and metadata give the same
// bytes, whatever their order.
func Create(path string, specs []Spec, metadata map[string]string) (*Writer, error) {
	w := &Writer{path: path, specs: canonical(specs)}
	header, err := w.header(metadata)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if w.file, err = createTemp(path); err != nil {
		return nil, err
	}
	w.buf = bufio.NewWriterSize(w.file, 1<<20)
	if _, err := w.buf.Write(header); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// canonical returns specs in the order of the official writer: dtypes by
// alignment, the largest first, so that every tensor is aligned; then names.
func canonical(specs []Spec) []Spec {
	return slices.SortedFunc(slices.Values(specs), func(a, b Spec) int {
		return cmp.Or(-cmp.Compare(a.DType, b.DType), strings.Compare(a.Name, b.Name))
	})
}

// header returns the bytes before the data and fills w.ends.
func (w *Writer) header(metadata map[string]string) ([]byte, error) {
	b := append(make([]byte, 8), '{') // the length comes last
	if len(metadata) > 0 {
		b = append(b, `"__metadata__":{`...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(key + metadata[key]) {
				return nil, fmt.Errorf("metadata %s: not valid UTF-8", clip(key))
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(append(appendString(b, key), ':'), metadata[key])
		}
		b = append(b, '}')
	}
	seen := map[string]bool{}
	end := int64(0)
	for _, s := range w.specs {
		size, err := s.Size()
		if err != nil {
			return nil, err
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("tensor %s: %w", clip(s.Name), ErrDuplicateKey)
		}
		seen[s.Name] = true
		if end+size < end {
			return nil, fmt.Errorf("tensor %s: %w: the file would be too large", clip(s.Name), ErrOverflow)
		}
		if len(b) > 9 {
			b = append(b, ',')
		}
		b = fmt.Appendf(appendString(b, s.Name), `:{"dtype":"%v","shape":%s,"data_offsets":[%d,%d]}`,
			s.DType, strings.ReplaceAll(fmt.Sprint(s.Shape), " ", ","), end, end+size)
		end += size
		w.ends = append(w.ends, end)
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b)-8 > maxHeader {
		return nil, fmt.Errorf("%w: it would have %d bytes, at most %d are allowed", ErrHeaderTooLarge, len(b)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, nil
}

// Specs returns the tensors in the order in which their data must come.
func (w *Writer) Specs() []Spec { return w.specs }

// Write appends data.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err == nil && w.file == nil {
		w.err = fmt.Errorf("%s: %w", w.path, os.ErrClosed)
	}
	if w.err == nil && int64(len(p)) > w.total()-w.off {
		w.err = fmt.Errorf("%s: %d bytes of data, the tensors have %d", w.path, w.off+int64(len(p)), w.total())
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.buf.Write(p)
	w.off += int64(n)
	w.err = err
	return n, err
}

func (w *Writer) total() int64 {
	if len(w.ends) == 0 {
		return 0
	}
	return w.ends[len(w.ends)-1]
}

// Commit makes the file appear, complete and synced to disk.
func (w *Writer) Commit() error {
	if err := w.finish(); err != nil {
		w.Abort()
		return err
	}
	return w.publish()
}

// finish writes and syncs what is left, still in the temporary file.
func (w *Writer) finish() error {
	if w.file == nil {
		return fmt.Errorf("%s: %w", w.path, os.ErrClosed)
	}
	if w.err != nil {
		return w.err
	}
	if w.off != w.total() {
		i, _ := slices.BinarySearch(w.ends, w.off+1)
		return fmt.Errorf("%s: tensor %s: data incomplete: %d bytes so far, all tensors have %d",
			w.path, clip(w.specs[i].Name), w.off, w.total())
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	return w.file.Sync()
}

// publish renames the finished file.
func (w *Writer) publish() error {
	err := w.file.Close()
	if err == nil {
		err = os.Rename(w.file.Name(), w.path)
	}
	if err != nil {
		os.Remove(w.file.Name())
	}
	w.file, w.done = nil, err == nil
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(w.path))
}

// Abort removes the temporary file; after Commit it does nothing.
func (w *Writer) Abort() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
		w.file = nil
	}
}

func createTemp(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%016x.tmp", base, rand.Uint64()))
	return os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
}
