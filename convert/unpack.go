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
		t, _ := f.Tensors.Tensor(name)
		s := safetensors.Spec{Name: name, DType: dtype, Shape: t.Shape}
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
		out = out[:0]
		for _, v := range part {
			if s.DType == safetensors.F32 {
				out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
			} else {
				out = binary.LittleEndian.AppendUint16(out, num.BF16(v))
			}
		}
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	return nil
}
