package linear

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkCoded reports weights and bytes a second of layers of format Codes, on one core.
func BenchmarkCoded(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name          string
		bits, group   int
		variant       string
		scale, offset NumberForm
	}{
		{"Q4_0", 4, 32, "zero", NumF16, 0}, {"Q4_K", 4, 32, "zero", NumProduct, NumProduct}, {"Q6_K", 6, 16, "zero", NumProduct, 0},
		{"Q8_0", 8, 32, "zero", NumF16, 0}, {"MXFP4", 4, 32, "table", NumE8M0, 0}, {"GPTQ-g128", 4, 128, "zeros", NumF16, 0}, {"NF4", 4, 64, "table", NumF32, 0}, {"FP8", 8, 128, "table", NumF32, 0}, {"int8", 8, 2048, "zero", NumF32, 0},
	} {
		n := 2048
		if c.name == "NF4" {
			n++ // its table is none of integers
		}
		w, _ := codedWeight(rng, n, 2048, c.group, c.bits, c.variant, c.scale, c.offset)
		if c.scale == NumE8M0 { // no subnormal numbers, which no file has
			for i, e := range w.Coded.Scale.Data {
				w.Coded.Scale.Data[i] = max(e, 100)
			}
		}
		for _, round := range []RoundKind{RoundNone, RoundInt8} {
			if w.Coded.Round.Kind = round; round != RoundNone && c.name != "Q4_0" && c.name != "Q4_K" && c.name != "int8" {
				continue
			}
			for _, m := range []int{1, 8, 128} {
				x := NewActsFor(w.Coded.Form(), w.Rows(), m, w.K).Reset(m)
				x.Quantize(0, m, make([]float32, m*w.K), w.K)
				y := make([]float32, m*w.N)
				var s Scratch
				b.Run(fmt.Sprintf("%s%s/M=%d", c.name, map[bool]string{true: "-inputs-int8"}[round != RoundNone], m), func(b *testing.B) {
					for b.Loop() {
						Linear(Sink{Y: y, Ld: w.N}, x, w, 0, w.Blocks(), &s)
					}
					seconds := b.Elapsed().Seconds() / float64(b.N)
					b.ReportMetric(float64(len(w.Data)+len(w.Coded.Scale.Data)+len(w.Coded.Offset.Data))/seconds/1e9, "GB/s")
					b.ReportMetric(2*float64(m*w.N*w.K)/seconds/1e9, "GFLOPS")
				})
			}
		}
	}
}
