package elem

import (
	"fmt"
	"math"

	"qpt/internal/num"
)

// Rope rotates pairs of values by position * frequency (graph op rope). The
// angle is the float32 product of position and frequency, as HuggingFace
// computes it; sine and cosine are those of that angle, times scale, rounded once.
type Rope struct {
	freqs       []float32
	scale       float64
	headDim     int
	interleaved bool
	first       int       // position that the table begins with
	table       []float32 // [positions][cosines, sines][len(freqs)]
}

// NewRope prepares the rotation of the first rotary values of each head.
// interleaved pairs 2i with 2i+1, otherwise i with i+rotary/2.
func NewRope(freqs []float64, scale float64, rotary, headDim int, interleaved bool) *Rope {
	if rotary != 2*len(freqs) || rotary > headDim {
		panic(fmt.Sprintf("elem: NewRope: %d frequencies for %d rotated values of heads of %d", len(freqs), rotary, headDim))
	}
	r := &Rope{scale: scale, headDim: headDim, interleaved: interleaved}
	r.SetFreqs(freqs)
	return r
}

// SetFreqs changes the frequencies and forgets the table.
func (r *Rope) SetFreqs(freqs []float64) {
	r.freqs = r.freqs[:0]
	for _, f := range freqs {
		r.freqs = append(r.freqs, float32(f))
	}
	r.first, r.table = 0, r.table[:0]
}

// ReserveFrom forgets the table and computes it for n positions from first on.
func (r *Rope) ReserveFrom(first, n int) {
	r.first, r.table = first, r.table[:0]
	r.Reserve(first + n)
}

// Reserve computes the table for positions below n. Apply for such positions
// may run on several goroutines at once.
func (r *Rope) Reserve(n int) {
	n -= r.first
	if n*2*len(r.freqs) > cap(r.table) { // grow in steps, so that a long decode allocates rarely
		r.table = append(make([]float32, 0, num.Pad(n, 256)*2*len(r.freqs)), r.table...)
	}
	for pos := r.positions(); pos < n; pos++ {
		n := len(r.freqs)
		r.table = r.table[:len(r.table)+2*n]
		t := r.table[pos*2*n:]
		for i, f := range r.freqs {
			sin, cos := math.Sincos(float64(float32(r.first+pos) * f))
			t[i], t[n+i] = float32(cos*r.scale), float32(sin*r.scale)
		}
	}
}

func (r *Rope) positions() int { return len(r.table) / max(2*len(r.freqs), 1) }

// Apply rotates one row x [heads*headDim] in place for position pos, which
// Reserve must cover.
func (r *Rope) Apply(x []float32, pos int) {
	n := len(r.freqs)
	if n == 0 {
		return
	}
	if pos -= r.first; pos < 0 || pos >= r.positions() || len(x)%r.headDim != 0 {
		panic(fmt.Sprintf("elem: Rope.Apply: %d values at position %d, table for heads of %d and %d positions", len(x), pos, r.headDim, r.positions()))
	}
	t := r.table[pos*2*n:][:2*n]
	if !r.interleaved {
		active().rotateHalves(x, t, n, r.headDim)
		return
	}
	for ; len(x) > 0; x = x[r.headDim:] {
		for i := range n {
			x[2*i], x[2*i+1] = rotate(x[2*i], x[2*i+1], t[i], t[n+i])
		}
	}
}

// rotateHalvesGeneric rotates values i and i+n of each head by t, n cosines and n sines.
func rotateHalvesGeneric(x, t []float32, n, headDim int) {
	for ; len(x) > 0; x = x[headDim:] {
		lo, hi := x[:n], x[n:2*n]
		for i := range lo {
			lo[i], hi[i] = rotate(lo[i], hi[i], t[i], t[n+i])
		}
	}
}

func rotate(a, b, cos, sin float32) (float32, float32) {
	return float32(a*cos) - float32(b*sin), float32(b*cos) + float32(a*sin)
}
