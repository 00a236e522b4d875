package conv

import (
	"fmt"
	"testing"

	"qpt/kernels/linear"
)

// BenchmarkDirect: layers of ResNet-50, on one core.
func BenchmarkDirect(b *testing.B) {
	one := [3]int{1, 1, 1}
	for _, l := range [][5]int{{56, 64, 64, 1, 1}, {56, 64, 64, 3, 1}, {56, 64, 256, 1, 1}, {28, 128, 128, 3, 1}, {14, 256, 256, 3, 1}, {14, 1024, 256, 1, 1}, {7, 512, 512, 3, 1}, {7, 512, 2048, 1, 1}} {
		k := l[3]
		s := Shape{In: [3]int{1, l[0], l[0]}, Out: [3]int{1, l[0], l[0]}, Kernel: [3]int{1, k, k}, Stride: one, Dilation: one, Before: [3]int{0, k / 2, k / 2}, C: l[1], Groups: 1}
		for _, format := range []linear.Format{linear.I8, linear.F32} {
			w := linear.NewWeight(format, l[2], s.K(), 0)
			d, err := NewDirect(s, w, 0.1, 100)
			if err != nil || d == nil {
				b.Skip(err)
			}
			codes, floats := make([]byte, s.Places()*s.C, s.Places()*s.C+3), make([]float32, s.Places()*s.C)
			e := End{Codes: make([]byte, s.Places()*l[2]), Ld: l[2], Inv: 1, Hi: 255}
			var work DirectWork
			b.Run(fmt.Sprintf("%v-%s", l, format), func(b *testing.B) {
				for b.Loop() {
					for r := 0; r < s.Places(); r += 252 {
						e := e
						e.Codes = e.Codes[r*l[2]:]
						if format == linear.I8 {
							d.Codes(e, codes, 0, r, min(r+252, s.Places()), 0, d.Blocks(), &work)
						} else {
							d.Floats(e, floats, 0, r, min(r+252, s.Places()), 0, d.Blocks(), &work)
						}
					}
				}
				b.ReportMetric(float64(s.Places())*float64(s.K()*l[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
}
