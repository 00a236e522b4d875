// Package stored holds what every reader of checkpoints hands over: named
// tensors, under the names and in the shapes of the HuggingFace model, as plain
// numbers or as codes in the state their file has them in.
//
//	c := stored.Plain(safetensors)          // numbers only
//	c, err := gguf.Open("model.gguf")       // numbers and codes
//	t, ok := c.Tensor("model.layers.0.mlp.up_proj.weight")
//	err = t.ReadRows(0, 16, rows)           // float32, whatever it is stored as
//	if t.Codes != nil { ... }               // codes, scales, offsets as they are
//
// A reader makes a list of Tensors and joins them with New. It hides the
// tensors that a matrix was put together from (codes, scales, zeros, order).
package stored

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"qpt/convert/safetensors"
)

// ErrCodes is matched by errors about codes, scales, offsets, zeros or orders that are not what a matrix of codes may have.
var ErrCodes = errors.New("bad quantized tensor")

// Numbers are the values of a tensor, as float32.
type Numbers interface {
	// ReadRows reads rows r0 to r1-1, of a vector its values, into dst. Several goroutines may call it at once.
	ReadRows(r0, r1 int, dst []float32) error
	// ReadPart reads the values from on, row-major, wherever their rows begin.
	ReadPart(from int, dst []float32) error
}

// Tensor is one tensor of a checkpoint.
type Tensor struct {
	Numbers
	Name  string
	Shape []int
	Type  string // what the file calls its numbers: "BF16", "Q4_K", "gptq int4"
	File  string // where it is, for messages

	// Natural: a row is an output, [.., N, K], also where the model's own tensor of the name is [.., K, N] (Conv1D, experts of gpt-oss).
	Natural bool

	// Inexact: it is quantized in a way that Codes do not hold to the bit.
	Inexact bool

	Codes *Codes              // nil: plain numbers
	Scale []float32           // not nil: numbers of row i are int8 codes times Scale[i], for a layer whose inputs are static
	Plain *safetensors.Tensor // the tensor that it is, unchanged; nil: none of a safetensors file
}

// Values is the number of values.
func (t *Tensor) Values() int {
	if slices.Contains(t.Shape, 0) { // [0, 1<<40, 1<<40] is a sound shape
		return 0
	}
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// File is one file of a checkpoint.
type File struct {
	Path   string
	Size   int64
	Reader func() io.Reader // of the bytes of the file that is open, whatever stands at Path by now
}

// Checkpoint is the open tensors of a checkpoint.
type Checkpoint struct {
	tensors   map[string]*Tensor
	files     []File
	warnings  []string
	unchanged func() error
	close     func() error
}

// Source is where the tensors of a New checkpoint are.
type Source struct {
	Files     []File
	Warnings  []string
	Unchanged func() error // says whether a file was written to since it was opened
	Close     func() error
}

// New joins tensors whose names differ.
func New(tensors []*Tensor, s Source) (*Checkpoint, error) {
	c := &Checkpoint{tensors: map[string]*Tensor{}, files: s.Files, warnings: s.Warnings, unchanged: s.Unchanged, close: s.Close}
	for _, t := range tensors {
		if c.tensors[t.Name] != nil {
			return nil, fmt.Errorf("%w: %s: two tensors are %q", ErrCodes, t.File, t.Name)
		}
		if t.Codes != nil {
			if err := t.Codes.check(t.Shape); err != nil {
				return nil, fmt.Errorf("%w: %s: tensor %q: %w", ErrCodes, t.File, t.Name, err)
			}
			t.Numbers = numbers{t}
		}
		c.tensors[t.Name] = t
	}
	return c, nil
}

// Plain is a checkpoint of safetensors files, whose tensors are numbers.
func Plain(c *safetensors.Checkpoint) *Checkpoint {
	p := &Checkpoint{tensors: map[string]*Tensor{}, warnings: c.Warnings(), unchanged: c.Unchanged, close: c.Close}
	for _, name := range c.Names() {
		t, _ := c.Tensor(name)
		p.tensors[name] = PlainTensor(name, t)
	}
	p.files = Files(c)
	return p
}

// Join takes in the tensors of another checkpoint, with the prefix before their names, and its files.
func (c *Checkpoint) Join(prefix string, more *Checkpoint) error {
	for name, t := range more.tensors {
		if c.tensors[prefix+name] != nil {
			return fmt.Errorf("%w: %s: tensor %q: there is another %q", ErrCodes, t.File, name, prefix+name)
		}
		one := *t
		one.Name = prefix + name
		c.tensors[one.Name] = &one
	}
	first := *c
	c.unchanged = func() error { return errors.Join(first.Unchanged(), more.Unchanged()) }
	c.close = func() error { return errors.Join(first.Close(), more.Close()) }
	c.files, c.warnings = append(c.files, more.files...), append(c.warnings, more.warnings...)
	return nil
}

// PlainTensor is a tensor of numbers of a safetensors file, under a name that need not be its own.
func PlainTensor(name string, t *safetensors.Tensor) *Tensor {
	return &Tensor{Numbers: t, Name: name, Shape: t.Shape, Type: t.DType.String(), File: t.File(), Plain: t}
}

// Files are those of a safetensors checkpoint, for a Source.
func Files(c *safetensors.Checkpoint) (list []File) {
	for _, f := range c.Files() {
		list = append(list, File{f.Path, f.Size, f.Reader})
	}
	return list
}

// Names returns the names of all tensors, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.tensors)) }

// Tensor returns the tensor of a name.
func (c *Checkpoint) Tensor(name string) (*Tensor, bool) {
	t, ok := c.tensors[name]
	return t, ok
}

// Files returns the files that hold tensors.
func (c *Checkpoint) Files() []File { return c.files }

// Warnings returns what is strange but does no harm.
func (c *Checkpoint) Warnings() []string { return c.warnings }

// Unchanged returns an error if a file was written to since it was opened.
func (c *Checkpoint) Unchanged() error {
	if c.unchanged == nil {
		return nil
	}
	return c.unchanged()
}

// Close releases the files.
func (c *Checkpoint) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// ReadRows implements graph.Source, to which a vector is a single row.
func (c *Checkpoint) ReadRows(name string, r0, r1 int, dst []float32) error {
	t, ok := c.Tensor(name)
	if !ok {
		return fmt.Errorf("tensor %.200q: %w in the checkpoint", name, fs.ErrNotExist)
	}
	if len(t.Shape) == 1 {
		r0, r1 = 0, t.Shape[0]
	}
	return t.ReadRows(r0, r1, dst)
}

// ReadPart implements graph.PartReader.
func (c *Checkpoint) ReadPart(name string, from int, dst []float32) error {
	t, ok := c.Tensor(name)
	if !ok {
		return fmt.Errorf("tensor %.200q: %w in the checkpoint", name, fs.ErrNotExist)
	}
	return t.ReadPart(from, dst)
}
