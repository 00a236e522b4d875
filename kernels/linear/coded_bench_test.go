package linear_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/linear"
	"qpt/kernels/probe"
)

// BenchmarkCoded reports weights and bytes a second of layers of format Codes, on one core: GMAC/s, and GB/s of codes, scales and offsets; of a single row from the
// third-level cache and, with %read of what probe.Read reaches, from memory.
func BenchmarkCoded(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name          string
		bits, group   int
		variant       string
		scale, offset linear.NumberForm
	}{
		{"Q4_0", 4, 32, "zero", linear.NumF16, 0}, {"Q4_1", 4, 32, "", linear.NumF16, linear.NumF16}, {"Q4_K", 4, 32, "", linear.NumProduct, linear.NumProduct}, {"Q5_0", 5, 32, "zero", linear.NumF16, 0}, {"Q6_K", 6, 16, "zero", linear.NumProduct, 0},
		{"Q8_0", 8, 32, "zero", linear.NumF16, 0}, {"MXFP4", 4, 32, "table", linear.NumE8M0, 0}, {"GPTQ-g128", 4, 128, "zeros", linear.NumF16, 0}, {"GPTQ-g32", 4, 32, "zeros", linear.NumF16, 0},
		{"NF4", 4, 64, "table", linear.NumF32, 0}, {"FP8", 8, 128, "table", linear.NumF32, 0}, {"int8", 8, 2048, "zero", linear.NumF32, 0},
	} {
		n := 2048
		if c.name == "NF4" {
			n++ // its table is none of integers
		}
		w, _ := linear.CodedWeight(rng, n, 2048, c.group, c.bits, c.variant, c.scale, c.offset)
		w.N = 2048
		if c.scale == linear.NumE8M0 { // no subnormal numbers, which no file has
			for i, e := range w.Coded.Scale.Data {
				w.Coded.Scale.Data[i] = max(e, 100)
			}
		}
		w = linear.Repeated(w, 1)
		for _, round := range []linear.RoundKind{linear.RoundNone, linear.RoundInt16, linear.RoundInt8} {
			if w.Coded.Round.Kind = round; round != linear.RoundNone && c.name != "Q4_0" && c.name != "Q4_K" && c.name != "int8" {
				continue
			}
			for _, m := range []int{0, 1, 8, 128} { // 0: one row, from memory
				w, name := w, fmt.Sprintf("M=%d", m)
				if m == 0 {
					w, m, name = linear.Repeated(w, 1+100<<20/linear.CodedBytes(w)), 1, "memory"
				}
				x := linear.NewActsFor(w.Coded.Form(), w.Rows(), m, w.K).Reset(m)
				x.Quantize(0, m, make([]float32, m*w.K), w.K)
				y := make([]float32, m*w.N)
				var s linear.Scratch
				b.Run(fmt.Sprintf("%s/%s%s/%s", cpu.Active(), c.name, map[linear.RoundKind]string{linear.RoundInt16: "-inputs-int16", linear.RoundInt8: "-inputs-int8"}[round], name), func(b *testing.B) {
					read, turns := 0.0, 0.0
					for b.Loop() {
						linear.Linear(linear.Sink{Y: y, Ld: w.N}, x, w, 0, w.Blocks(), &s)
						if name == "memory" {
							b.StopTimer() // in turns, since what memory gives changes
							read, turns = read+1/probe.Read([][]byte{w.Data}, 1), turns+1
							b.StartTimer()
						}
					}
					rate := float64(b.N) / b.Elapsed().Seconds() / 1e9
					b.ReportMetric(float64(linear.CodedBytes(w))*rate, "GB/s")
					b.ReportMetric(float64(m*w.N*w.K)*rate, "GMAC/s")
					if name == "memory" {
						b.ReportMetric(100*float64(linear.CodedBytes(w))*rate*1e9*read/turns, "%read")
					}
				})
			}
		}
	}
}
