package quantized

import (
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"qpt/convert/safetensors"
	"qpt/internal/par"
)

// BenchmarkRead: values of a matrix of 2048 x 5632 from the page cache, 16 rows at a time, as conversion reads them.
func BenchmarkRead(b *testing.B) {
	const n, k = 2048, 5632
	for _, c := range []struct {
		name, config string
		specs        []safetensors.Spec
	}{
		{"gptq", `{"quant_method":"gptq","bits":4,"group_size":128,"sym":false}`, []safetensors.Spec{
			{Name: "w.qweight", DType: safetensors.I32, Shape: []int{k / 8, n}}, {Name: "w.qzeros", DType: safetensors.I32, Shape: []int{k / 128, n / 8}}, {Name: "w.scales", DType: safetensors.BF16, Shape: []int{k / 128, n}}}},
		{"awq", `{"quant_method":"awq","bits":4,"group_size":128}`, []safetensors.Spec{
			{Name: "w.qweight", DType: safetensors.I32, Shape: []int{k, n / 8}}, {Name: "w.qzeros", DType: safetensors.I32, Shape: []int{k / 128, n / 8}}, {Name: "w.scales", DType: safetensors.BF16, Shape: []int{k / 128, n}}}},
		{"mlx", `{"bits":4,"group_size":64}`, []safetensors.Spec{
			{Name: "w.weight", DType: safetensors.U32, Shape: []int{n, k / 8}}, {Name: "w.scales", DType: safetensors.BF16, Shape: []int{n, k / 64}}, {Name: "w.biases", DType: safetensors.BF16, Shape: []int{n, k / 64}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			if err := safetensors.WriteSharded(dir, 1, c.specs, nil, func(s safetensors.Spec, w io.Writer) error {
				rng := rand.New(rand.NewPCG(1, 2))
				size, err := s.Size()
				if err != nil {
					return err
				}
				p := make([]byte, size)
				for i := range p {
					if p[i] = byte(rng.Uint32()); s.DType == safetensors.BF16 {
						p[i] = 0x3c
					}
				}
				_, err = w.Write(p)
				return err
			}); err != nil {
				b.Fatal(err)
			}
			from, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
			if err != nil {
				b.Fatal(err)
			}
			ckpt, _, err := Open("config", []byte(c.config), from)
			if err != nil {
				b.Fatal(err)
			}
			defer ckpt.Close()
			x, _ := ckpt.Tensor("w.weight")
			b.SetBytes(n * k / 2)
			for b.Loop() {
				errs := make([]error, n/16)
				par.For(2, n/16, func(_, i int) { errs[i] = x.ReadRows(16*i, 16*i+16, make([]float32, 16*k)) })
				for _, err := range errs {
					if err != nil {
						b.Fatal(fmt.Errorf("%s: %w", c.name, err))
					}
				}
			}
		})
	}
}
