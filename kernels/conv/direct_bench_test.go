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

// BenchmarkWinograd: layers of 3 x 3, lines, features and columns, tiles at a time, on one core; direct is the same by direct products. GMAC/s are those of direct products.
func BenchmarkWinograd(b *testing.B) {
	one := [3]int{1, 1, 1}
	for _, l := range [][4]int{{56, 64, 64, 14}, {56, 64, 64, 28}, {56, 64, 64, 56}, {28, 128, 128, 14}, {28, 128, 128, 49}, {14, 256, 256, 16}, {14, 256, 256, 64}, {7, 512, 512, 4}, {7, 512, 512, 32}, {56, 16, 64, 28}} {
		images := (l[3] + 15) / 16
		s := Shape{In: [3]int{1, l[0], l[0]}, Out: [3]int{1, l[0], l[0]}, Kernel: [3]int{1, 3, 3}, Stride: one, Dilation: one, Before: [3]int{0, 1, 1}, C: l[1], Groups: 1}
		w := linear.NewWeight(linear.I8, l[2], s.K(), 0)
		d, err := NewDirect(s, w, 0.1, 100)
		if err != nil || d == nil || d.Winograd() == nil {
			b.Skip(err)
		}
		wino := d.Winograd()
		if l[0] == 7 {
			images = l[3] / 4
		}
		codes := make([]byte, images*s.Places()*s.C, images*s.Places()*s.C+3)
		e := End{Codes: make([]byte, images*s.Places()*l[2]), Ld: l[2], Inv: 1, Hi: 255}
		var work DirectWork
		places := float64(images * s.Places())
		cols := min(d.Blocks(), max(2, 640<<10/(36*s.C*32)&^1))
		b.Run(fmt.Sprintf("%v", l), func(b *testing.B) {
			for b.Loop() {
				for c := 0; c < d.Blocks(); c += cols {
					e := e
					e.Codes = e.Codes[16*c:]
					for t := 0; t < wino.Tiles(images); t += l[3] {
						wino.Codes(e, codes, t, min(t+l[3], wino.Tiles(images)), c, min(c+cols, d.Blocks()), &work)
					}
				}
			}
			b.ReportMetric(places*float64(s.K()*l[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
		b.Run(fmt.Sprintf("%v/direct", l), func(b *testing.B) {
			for b.Loop() {
				for r := 0; r < images*s.Places(); r += 252 {
					e := e
					e.Codes = e.Codes[r*l[2]:]
					d.Codes(e, codes, 0, r, min(r+252, images*s.Places()), 0, d.Blocks(), &work)
				}
			}
			b.ReportMetric(places*float64(s.K()*l[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
