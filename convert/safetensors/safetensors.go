// Package safetensors reads and writes checkpoints in the safetensors format:
// single files, and folders of shards with an index file.
//
//	c, err := safetensors.Open("Llama-3.2-1B") // a folder, an index file or a .safetensors file
//	defer c.Close()
//	t, ok := c.Tensor("model.norm.weight")
//	row := make([]float32, t.RowLen())
//	err = t.ReadRows(0, 1, row)
//
// The reader is strict: Open checks everything that the headers and the index
// say, before it trusts any of it, and every way of being wrong is an error of
// its own (errors.go), which names the file and the tensor. Memory is bounded
// by the size of the headers; no tensor is read before it is asked for. Where
// the format's reference implementation is lax (two equal keys), this is not;
// fields that it ignores in a tensor's entry are ignored too, with a warning.
//
// Tensor.Bytes returns mapped memory, which lives until Checkpoint.Close.
//
// # Package nlp
//
// Files that are read and written in one go (ReadFile, WriteFile, WriteSharded) pass through
// github.com/nlpodyssey/safetensors, in its types, behind the rules of this package: its Deserialize sees no
// file that Open would refuse, its SerializeToWriter no name, size or header that breaks the format. Open has its own reader
// because nlp's would make it worse:
//
//   - it reads no tensor of a file that has one of FP8, FP6, FP4 or C64, as checkpoints do;
//   - it keeps the last of two equal keys and changes names that are not UTF-8, so the header would be parsed twice to be strict,
//     and then nothing is left for it to find;
//   - its errors cannot be told apart and do not name the tensor where sizes do not fit; its map of
//     maps takes some ten times the header's bytes, and tensors without elements come in any order.
//
// A test and a fuzz target hold both readers to one answer, and list where they differ (nlp_test.go).
package safetensors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	singleName  = "model.safetensors"
	indexSuffix = ".index.json"
	indexName   = singleName + indexSuffix
)

// Checkpoint is an open checkpoint.
type Checkpoint struct {
	files    []*file
	tensors  map[string]*Tensor
	metadata map[string]string
	warnings []string
}

// FileInfo is one file that a checkpoint consists of.
type FileInfo struct {
	Path string
	Size int64
	file *file
}

// Reader reads the bytes of the file that is open, whatever stands at Path by now.
func (i FileInfo) Reader() io.Reader { return io.NewSectionReader(i.file.f, 0, i.Size) }

// Open opens path: a .safetensors file, an index file (*.index.json), or a
// folder that has model.safetensors or model.safetensors.index.json. Where a
// folder has both, the single file counts, as in transformers, with a warning.
func Open(path string) (*Checkpoint, error) {
	c := &Checkpoint{tensors: map[string]*Tensor{}, metadata: map[string]string{}}
	if err := c.open(path); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Checkpoint) open(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		single, index := filepath.Join(path, singleName), filepath.Join(path, indexName)
		_, noSingle := os.Stat(single)
		_, noIndex := os.Stat(index)
		switch {
		case errors.Is(noIndex, fs.ErrNotExist) && errors.Is(noSingle, fs.ErrNotExist):
			return fmt.Errorf("%s: neither %s nor %s in this folder: %w", path, indexName, singleName, fs.ErrNotExist)
		case noSingle != nil && errors.Is(noSingle, fs.ErrNotExist):
			path = index
		case noIndex == nil:
			c.warn("%s: %s and its shards are ignored, %s counts, as in transformers", path, indexName, singleName)
			fallthrough
		default:
			path = single
		}
	}
	if strings.HasSuffix(path, indexSuffix) {
		return c.openIndex(path)
	}
	_, err = c.addFile(path)
	return err
}

// addFile opens one .safetensors file and adds its tensors.
func (c *Checkpoint) addFile(path string) (*header, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	c.files = append(c.files, f)
	h, err := readHeader(f.f, f.size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, t := range h.tensors {
		t.file = f
		c.tensors[t.Name] = t
	}
	for key, value := range h.metadata {
		if _, ok := c.metadata[key]; !ok {
			c.metadata[key] = value
		}
	}
	if h.unknown != nil {
		c.warn("%s: unknown fields in tensor entries: %s", path, strings.Join(h.unknown, ", "))
	}
	return h, nil
}

func (c *Checkpoint) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

// Names returns the names of all tensors, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.tensors)) }

// Tensor returns the tensor of a name.
func (c *Checkpoint) Tensor(name string) (*Tensor, bool) {
	t, ok := c.tensors[name]
	return t, ok
}

// Metadata returns __metadata__ of all files together; where two files differ,
// the first counts. It must not be changed.
func (c *Checkpoint) Metadata() map[string]string { return c.metadata }

// Files returns the files that hold tensors, in the order of their names.
func (c *Checkpoint) Files() []FileInfo {
	infos := make([]FileInfo, len(c.files))
	for i, f := range c.files {
		infos[i] = FileInfo{f.path, f.size, f}
	}
	return infos
}

// Unchanged returns ErrChanged if one of the open files was written to since Open, as far as its size and time tell. A file that
// was replaced by another of its name does not count: this one is still there.
func (c *Checkpoint) Unchanged() error {
	for _, f := range c.files {
		st, err := f.f.Stat()
		if err != nil {
			return err
		}
		if st.Size() != f.size || !st.ModTime().Equal(f.time) {
			return fmt.Errorf("%s: %w: it had %d bytes of %s, now %d of %s", f.path, ErrChanged,
				f.size, f.time.Format(time.RFC3339Nano), st.Size(), st.ModTime().Format(time.RFC3339Nano))
		}
	}
	return nil
}

// Warnings returns what is strange but does no harm, such as a wrong total_size.
func (c *Checkpoint) Warnings() []string { return c.warnings }

// Close unmaps and closes all files. What Bytes returned must not be used any more.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

// file is an open file, mapped when it is first needed.
type file struct {
	path string
	f    *os.File
	size int64
	time time.Time // of the last change

	mu   sync.Mutex // guards what follows
	data []byte
	free func([]byte) error
}

func openFile(path string) (*file, error) {
	info, err := os.Stat(path) // first: opening a pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, ErrNotFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, err
	}
	return &file{path: path, f: f, size: info.Size(), time: info.ModTime()}, nil
}

// mapped returns the whole file.
func (f *file) mapped() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return nil, os.ErrClosed
	}
	if f.data == nil {
		data, free, err := mapFile(f.f, int(f.size))
		if err != nil {
			return nil, err
		}
		f.data, f.free = data, free
	}
	return f.data, nil
}

func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	if f.data != nil {
		err = errors.Join(err, f.free(f.data))
	}
	f.f, f.data = nil, nil
	return err
}

// ReadRows reads rows of a tensor by name for the FP32 executor, to which a
// vector is a single row; see Tensor.ReadRows.
func (c *Checkpoint) ReadRows(name string, r0, r1 int, dst []float32) error {
	t, ok := c.Tensor(name)
	if !ok {
		return fmt.Errorf("tensor %s: %w in the checkpoint", clip(name), fs.ErrNotExist)
	}
	if len(t.Shape) == 1 {
		r0, r1 = 0, t.NumRows()
	}
	return t.ReadRows(r0, r1, dst)
}

// ReadPart reads values of a tensor by name; see Tensor.ReadPart.
func (c *Checkpoint) ReadPart(name string, from int, dst []float32) error {
	t, ok := c.Tensor(name)
	if !ok {
		return fmt.Errorf("tensor %s: %w in the checkpoint", clip(name), fs.ErrNotExist)
	}
	return t.ReadPart(from, dst)
}
