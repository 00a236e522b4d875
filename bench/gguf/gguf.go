// Package gguf writes Llama checkpoints as GGUF, so that llama.cpp can run the
// same weights as we do beside us (bench/). It writes only, and only what the
// comparison needs: every matrix in one type, norms in F32.
//
//	err := gguf.Convert("tinyllama", "tinyllama.q4_0.gguf", gguf.Q4_0)
package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

const (
	magic   = 0x46554747 // "GGUF"
	version = 3
	align   = 32 // of every tensor's data; the format's default
)

// entry is one key of the metadata.
type entry struct {
	key   string
	value any // uint32, float32, bool, string, []string, []float32 or []int32
}

// tensor is one tensor of the file; fill writes its data.
type tensor struct {
	name string
	typ  Type
	dims []int // fastest first: the reverse of the checkpoint's shape
	fill func(w io.Writer) error
}

func (t *tensor) size() int64 {
	n := 1
	for _, d := range t.dims {
		n *= d
	}
	return t.typ.size(n)
}

// write writes a file beside path and moves it there when it is whole.
func write(path string, meta []entry, tensors []tensor) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".gguf-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := &counter{w: bufio.NewWriterSize(f, 1<<20)}
	head, err := header(meta, tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for i := range tensors {
		t := &tensors[i]
		start := w.n
		if err := t.fill(w); err != nil {
			return fmt.Errorf("tensor %q: %w", t.name, err)
		}
		if w.n-start != t.size() {
			return fmt.Errorf("tensor %q: %d bytes written, should be %d", t.name, w.n-start, t.size())
		}
		if _, err := w.Write(make([]byte, -w.n&(align-1))); err != nil {
			return err
		}
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// header is everything before the data of the tensors.
func header(meta []entry, tensors []tensor) ([]byte, error) {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, magic)
	b = le.AppendUint32(b, version)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(meta)))
	for _, e := range meta {
		b = appendString(b, e.key)
		var err error
		if b, err = appendValue(b, e.value); err != nil {
			return nil, fmt.Errorf("key %q: %w", e.key, err)
		}
	}
	off := int64(0)
	for i := range tensors {
		t := &tensors[i]
		b = appendString(b, t.name)
		b = le.AppendUint32(b, uint32(len(t.dims)))
		for _, d := range t.dims {
			b = le.AppendUint64(b, uint64(d))
		}
		b = le.AppendUint32(b, uint32(t.typ))
		b = le.AppendUint64(b, uint64(off))
		off += (t.size() + align - 1) &^ (align - 1)
	}
	return append(b, make([]byte, -len(b)&(align-1))...), nil
}

// Numbers of the types of values.
const (
	typeUint32  = 4
	typeInt32   = 5
	typeFloat32 = 6
	typeBool    = 7
	typeString  = 8
	typeArray   = 9
)

// appendValue appends the number of a value's type and the value.
func appendValue(b []byte, v any) ([]byte, error) {
	le := binary.LittleEndian
	array := func(typ uint32, n int) {
		b = le.AppendUint32(b, typeArray)
		b = le.AppendUint32(b, typ)
		b = le.AppendUint64(b, uint64(n))
	}
	switch v := v.(type) {
	case uint32:
		b = le.AppendUint32(le.AppendUint32(b, typeUint32), v)
	case float32:
		b = le.AppendUint32(le.AppendUint32(b, typeFloat32), math.Float32bits(v))
	case bool:
		b = append(le.AppendUint32(b, typeBool), 0)
		if v {
			b[len(b)-1] = 1
		}
	case string:
		b = appendString(le.AppendUint32(b, typeString), v)
	case []string:
		array(typeString, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
	case []float32:
		array(typeFloat32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	case []int32:
		array(typeInt32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, uint32(x))
		}
	default:
		return nil, fmt.Errorf("values of type %T are not supported", v)
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// counter knows how much has been written.
type counter struct {
	w *bufio.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
