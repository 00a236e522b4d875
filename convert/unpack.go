package convert

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"qpt/convert/checkpoint"
	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/internal/num"
	"qpt/internal/outfile"
)

// unpackShard is how large the files of an unpacked checkpoint are, about.
const unpackShard = 5 << 30

// Unpack writes the weights of a checkpoint, whatever it stores them as, as plain numbers to the folder dir: the
// safetensors files, config.json and tokenizer of the HuggingFace model. dtype is F32, which is what scheme keep computes
// with, or BF16, each weight rounded once. dir must not be there, or be empty.
func Unpack(ctx context.Context, in, dir string, dtype safetensors.DType) error {
	if dtype != safetensors.F32 && dtype != safetensors.BF16 {
		return fmt.Errorf("%w: dtype %v, want F32 or BF16", ErrUsage, dtype)
	}
	f, err := checkpoint.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	side, err := f.Side()
	if err != nil {
		return err
	}
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return fmt.Errorf("%w: the folder %s is not empty: name a new one", ErrUsage, dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var specs []safetensors.Spec
	var total int64
	for _, name := range f.Tensors.Names() {
		if slices.Contains(f.Ignored, name) { // such as biases of zeros that a tool added
			continue
		}
		t, _ := f.Tensors.Tensor(name)
		s := safetensors.Spec{Name: name, DType: dtype, Shape: slices.Clone(t.Shape)}
		if n := len(s.Shape); f.Model.Turned[name] {
			s.Shape[n-2], s.Shape[n-1] = s.Shape[n-1], s.Shape[n-2]
		}
		if len(t.Shape) < 2 { // norms and biases, a small part of the whole, stay exact
			s.DType = safetensors.F32
		}
		size, err := s.Size()
		if err != nil {
			return err
		}
		specs, total = append(specs, s), total+size
	}
	shards := min(int(1+total/unpackShard), max(len(specs), 1))
	err = safetensors.WriteSharded(dir, shards, specs, map[string]string{"format": "pt"}, func(s safetensors.Spec, w io.Writer) error {
		t, _ := f.Tensors.Tensor(s.Name)
		if f.Model.Turned[s.Name] {
			return unpackTurned(ctx, t, s, w)
		}
		return unpackTensor(ctx, t, s, w)
	})
	if err != nil {
		return err
	}
	for name, data := range side {
		if err := outfile.Write(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return f.Tensors.Unchanged()
}

// unpackTensor writes the numbers of t.
func unpackTensor(ctx context.Context, t *stored.Tensor, s safetensors.Spec, w io.Writer) error {
	values := make([]float32, 1<<18)
	width := rowLength(t)
	step := max(1, len(values)/max(width, 1)) * max(width, 1) // whole rows, as codes are read
	var out []byte
	for from, n := 0, t.Values(); from < n; from += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		if cap(values) < step {
			values = make([]float32, step)
		}
		part := values[:min(step, n-from)]
		if err := errors.Join(t.ReadPart(from, part), checkFinite(t, from, part)); err != nil {
			return err
		}
		out = appendNumbers(out[:0], part, s.DType)
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	return nil
}

// unpackTurned writes the numbers of t with the last two dimensions exchanged, a matrix at a time.
func unpackTurned(ctx context.Context, t *stored.Tensor, s safetensors.Spec, w io.Writer) error {
	n, k := t.Shape[len(t.Shape)-2], t.Shape[len(t.Shape)-1]
	matrix, column := make([]float32, n*k), make([]float32, n)
	var out []byte
	for from := 0; from < t.Values(); from += n * k {
		if err := errors.Join(ctx.Err(), t.ReadPart(from, matrix), checkFinite(t, from, matrix)); err != nil {
			return err
		}
		for i := range k {
			for j := range column {
				column[j] = matrix[j*k+i]
			}
			out = appendNumbers(out[:0], column, s.DType)
			if _, err := w.Write(out); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendNumbers appends values as F32 or BF16.
func appendNumbers(out []byte, values []float32, dtype safetensors.DType) []byte {
	for _, v := range values {
		if dtype == safetensors.F32 {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		} else {
			out = binary.LittleEndian.AppendUint16(out, num.BF16(v))
		}
	}
	return out
}
