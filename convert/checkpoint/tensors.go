package checkpoint

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"qpt/convert/stored"
)

// tensors are a checkpoint's for hf.
type tensors struct{ *stored.Checkpoint }

func (t tensors) Shape(name string) []int {
	if x, ok := t.Tensor(name); ok {
		return x.Shape
	}
	return nil
}

// Natural implements hf.Quantized.
func (t tensors) Natural(name string) bool {
	x, ok := t.Tensor(name)
	return ok && x.Natural
}

// Idle implements hf.Quantized: AutoGPTQ gives every layer a bias.
func (t tensors) Idle(name string) (bool, error) {
	layer, ok := strings.CutSuffix(name, ".bias")
	w, quantized := t.Tensor(layer + ".weight")
	if !ok || !quantized || w.Plain != nil {
		return false, nil
	}
	b, _ := t.Tensor(name)
	v := make([]float32, b.Values())
	err := b.ReadPart(0, v)
	return err == nil && !slices.ContainsFunc(v, func(x float32) bool { return x != 0 }), err
}

// Equal compares stored bytes, or as float32 values those of two dtypes.
func (t tensors) Equal(a, b string) (bool, error) {
	x, _ := t.Tensor(a)
	y, _ := t.Tensor(b)
	if x.Plain != nil && y.Plain != nil && x.Plain.DType == y.Plain.DType {
		p, err := x.Plain.Bytes()
		if err != nil {
			return false, err
		}
		q, err := y.Plain.Bytes()
		return bytes.Equal(p, q), err
	}
	p, q := make([]float32, 1<<16), make([]float32, 1<<16)
	for from, n := 0, x.Values(); from < n; from += len(p) {
		p, q = p[:min(len(p), n-from)], q[:min(len(p), n-from)]
		if err := errors.Join(x.ReadPart(from, p), y.ReadPart(from, q)); err != nil {
			return false, err
		}
		if !slices.Equal(p, q) {
			return false, nil
		}
	}
	return true, nil
}
