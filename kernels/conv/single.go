package conv

import (
	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

// MeanSingle is Mean with sums of float32 and as many divisions as PyTorch makes: windows of a Pool are added place by place and divided once, the parts of an
// adaptive one are divided by each of their sizes, and the whole of an image is num.Sum32 divided by its places.
func (p *Pool) MeanSingle(dst, x []float32, r, c0 int, work *Taps) {
	places := places(p, x, r, c0, len(dst), work)
	n := len(work.rows)
	work.row = mem.Sized(work.row, n)
	whole := p.Adaptive && p.Out == [3]int{1, 1, 1}
	var sizes [3]int
	at := r % p.Places()
	for i := 2; i >= 0; i-- {
		_, _, sizes[i] = p.window(i, at%p.Out[i])
		at /= p.Out[i]
	}
	for i := range dst {
		for t, row := range work.rows {
			work.row[t] = part[float32](row, len(dst))[i]
		}
		if whole {
			dst[i] = num.Sum32(work.row) / float32(n)
			continue
		}
		sum := float32(0)
		for _, v := range work.row {
			sum += v
		}
		if !p.Adaptive {
			dst[i] = sum / float32(places)
			continue
		}
		for _, k := range sizes {
			sum /= float32(k)
		}
		dst[i] = sum
	}
}
