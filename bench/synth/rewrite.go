package synth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"qpt/convert/safetensors"
)

// Rewrite copies a checkpoint to dir, which must be empty or not yet there. Each
// tensor becomes float32 and passes through change, which may alter its values x, in
// rows of k.
func Rewrite(dir, in string, change func(name string, x []float32, k int)) error {
	ckpt, err := safetensors.Open(in)
	if err != nil {
		return err
	}
	defer ckpt.Close()
	if err := emptyDir(dir); err != nil {
		return err
	}
	var specs []safetensors.Spec
	for _, name := range ckpt.Names() {
		t, _ := ckpt.Tensor(name)
		specs = append(specs, safetensors.Spec{Name: name, DType: safetensors.F32, Shape: t.Shape})
	}
	err = safetensors.WriteSharded(dir, 1, specs, map[string]string{"format": "pt"}, func(s safetensors.Spec, w io.Writer) error {
		t, _ := ckpt.Tensor(s.Name)
		x := make([]float32, t.NumElems())
		if err := t.ReadRows(0, t.NumRows(), x); err != nil {
			return err
		}
		change(s.Name, x, s.Shape[len(s.Shape)-1])
		b := make([]byte, 0, 4*len(x))
		for _, v := range x {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(filepath.Join(in, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// emptyDir makes dir unless it is there; it must hold nothing.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	old, err := os.ReadDir(dir)
	if err == nil && len(old) > 0 {
		err = fmt.Errorf("%s: not empty (%q); remove the folder or name another", dir, old[0].Name())
	}
	return err
}
