package picture

import "math"

// Pillow's resizing: for each place of the result a weighted mean of the elements under a filter that is widened when shrinking,
// weights as integers of 22 bits, first along rows, then along columns, each rounded to a byte.

// weightBits is Pillow's PRECISION_BITS.
const weightBits = 32 - 8 - 2

var filters = map[string]struct {
	support float64
	f       func(x float64) float64
}{
	"bilinear": {1, func(x float64) float64 { return max(1-math.Abs(x), 0) }},
	"box": {0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}},
	"hamming": {1, func(x float64) float64 {
		if x = math.Abs(x); x >= 1 {
			return 0
		}
		return sinc(x) * (0.54 + 0.46*math.Cos(x*math.Pi))
	}},
	"lanczos": {3, func(x float64) float64 {
		if x < -3 || x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	}},
	"bicubic": {2, func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}},
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// taps are the elements that each place of out is made of: the first, and the weights from it on.
func taps(in, out int, filter string) (first []int, weights [][]int) {
	f := filters[filter]
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support := f.support * wide
	for o := range out {
		center := (float64(o) + 0.5) * scale
		lo, hi := max(int(center-support+0.5), 0), min(int(center+support+0.5), in)
		w := make([]float64, hi-lo)
		sum := 0.0
		for i := range w {
			w[i] = f.f((float64(i+lo) - center + 0.5) / wide)
			sum += w[i]
		}
		k := make([]int, len(w))
		for i, v := range w {
			if sum != 0 {
				v /= sum
			}
			k[i] = int(math.Copysign(math.Floor(math.Abs(v)*(1<<weightBits)+0.5), v))
		}
		first, weights = append(first, lo), append(weights, k)
	}
	return first, weights
}

// resize to w x h.
func (p *Picture) resize(w, h int, filter string) *Picture {
	if filter == "nearest" {
		q := &Picture{W: w, H: h, Pix: make([]byte, 3*w*h)}
		across, down := places(p.W, w), places(p.H, h)
		for y, sy := range down {
			for x, sx := range across {
				copy(q.Pix[3*(y*w+x):][:3], p.Pix[3*(sy*p.W+sx):])
			}
		}
		return q
	}
	if filter == "" {
		filter = "bilinear"
	}
	if w != p.W {
		q := &Picture{W: w, H: p.H, Pix: make([]byte, 3*w*p.H)}
		first, weights := taps(p.W, w, filter)
		for y := range p.H {
			fold(q.Pix[3*y*w:][:3*w], p.Pix[3*y*p.W:], first, weights, 3)
		}
		p = q
	}
	if h != p.H {
		q := &Picture{W: w, H: h, Pix: make([]byte, 3*w*h)}
		first, weights := taps(p.H, h, filter)
		for o := range h {
			for c := range 3 * w {
				q.Pix[o*3*w+c] = weighted(p.Pix[first[o]*3*w+c:], weights[o], 3*w)
			}
		}
		p = q
	}
	return p
}

// places are the nearest elements, added up as Pillow does it.
func places(in, out int) []int {
	list := make([]int, out)
	scale := float64(in) / float64(out)
	at := scale * 0.5
	for i := range list {
		list[i] = min(int(at), in-1)
		at += scale
	}
	return list
}

// fold makes a row of pixels.
func fold(dst, x []byte, first []int, weights [][]int, channels int) {
	for o, k := range weights {
		for c := range channels {
			dst[o*channels+c] = weighted(x[first[o]*channels+c:], k, channels)
		}
	}
}

// weighted is the mean of elements step apart, rounded to a byte.
func weighted(x []byte, k []int, step int) byte {
	sum := 1 << (weightBits - 1)
	for i, w := range k {
		sum += int(x[i*step]) * w
	}
	return byte(min(max(sum>>weightBits, 0), 255))
}
