package calibrate

import (
	"math"
	"slices"

	"qpt/internal/num"
	"qpt/internal/par"
	"qpt/kernels"
)

// GPTQ (Frantar et al., arXiv 2210.17323) on the grids of kernels: column by
// column, the rounding error of W[:, k] is made up for by the columns to come,
//
//	e = (w_k - q_k) / U[k, k],  w_j -= e * U[k, j] for j > k,  H^-1 = U^T U.
//
// A group's zero and gscale are chosen when its first column is reached, from
// the weights as they are then. Afterwards every code may still move to where
// the quadratic error (w-q) H (w-q)^T is least given all others, and the channel's scale
// is refitted (coordinate descent, as QuantEase, arXiv 2309.01885).

// job is the rounding of one weight.
type job struct {
	w       []float32 // [N, K] target
	n, k    int
	format  kernels.Format // I4 or I8
	group   int
	diag    []float32 // [K] importance
	u       []float32 // feedback matrix or nil: round to nearest
	h       []float32 // [K, K] for the descent or nil
	sweeps  int
	threads int
}

// grid is the integers of one row.
type grid struct {
	format       kernels.Format
	group        int
	scale        float32
	zero, gscale []uint8 // [G], I4
}

// step returns the size of one code in column k and the codes' bounds.
func (g *grid) step(k int) (step, lo, hi float32) {
	if g.format == kernels.I8 {
		return g.scale, -127, 127
	}
	z, s := int(g.zero[k/g.group]), int(g.gscale[k/g.group])
	return g.scale * float32(s), float32(max(-z, -(128 / s))), float32(min(15-z, 127/s))
}

// nearest rounds v to the grid of column k and returns code (less zero) and value.
func nearest(v, step, lo, hi float32) (int8, float32) {
	if step < 0x1p-120 {
		return 0, 0
	}
	c := num.RoundEven(min(max(v/step, lo), hi))
	return int8(c), float32(float32(c) * step)
}

// round returns the packed weight.
func (j *job) round() *kernels.Weight {
	w := kernels.NewWeight(j.format, j.n, j.k, j.group)
	quant := make([]*kernels.Quantizer, j.threads)
	par.For(j.threads, w.Blocks(), func(worker, b int) {
		if quant[worker] == nil {
			quant[worker] = kernels.NewQuantizer(j.k, kernels.QuantOptions{Importance: j.diag})
		}
		r := min(16, j.n-16*b)
		rows := j.w[16*b*j.k : (16*b+r)*j.k]
		quant[worker].Block(w, b, rows)
		if j.u == nil && j.h == nil {
			return
		}
		for i := range r {
			j.row(w, 16*b+i, rows[i*j.k:(i+1)*j.k])
		}
	})
	kernels.FillSums(w)
	return w
}

// row rounds row n, starting from the grid already in w.
func (j *job) row(w *kernels.Weight, n int, target []float32) {
	g := grid{format: j.format, group: j.group, scale: w.Scale[n]}
	groups := 0
	if j.format == kernels.I4 {
		groups = (j.k + j.group - 1) / j.group
		for i := range groups {
			b := w.Groups[(n/16*groups+i)*16+n%16]
			g.zero, g.gscale = append(g.zero, b&15), append(g.gscale, b>>4+1)
		}
	}
	codes := make([]int8, j.k)
	if j.u != nil {
		j.feed(&g, target, codes)
	} else {
		for k, v := range target {
			step, lo, hi := g.step(k)
			codes[k], _ = nearest(v, step, lo, hi)
		}
	}
	if j.h != nil {
		j.descend(&g, target, codes)
	}
	w.Scale[n] = g.scale
	for i := range groups {
		w.Groups[(n/16*groups+i)*16+n%16] = g.zero[i] | (g.gscale[i]-1)<<4
	}
	if groups > 0 {
		for k := range codes {
			codes[k] += int8(g.zero[k/j.group])
		}
	}
	kernels.PutRow(w, n, codes)
}

// feed is GPTQ proper. Updates are applied within a span of columns at once
// and to the rest of the row when the span is done.
func (j *job) feed(g *grid, target []float32, codes []int8) {
	const span = 128
	w := slices.Clone(target)
	var errs [span]float32
	for a := 0; a < j.k; a += span {
		b := min(a+span, j.k)
		for k := a; k < b; k++ {
			if j.format == kernels.I4 && k%j.group == 0 {
				e := min(k+j.group, j.k)
				g.choose(k/j.group, w[k:e], j.diag[k:e])
			}
			step, lo, hi := g.step(k)
			c, q := nearest(w[k], step, lo, hi)
			codes[k] = c
			u := j.u[k*j.k : (k+1)*j.k]
			e := (w[k] - q) / u[k]
			errs[k-a] = e
			for i := k + 1; i < b; i++ {
				w[i] -= float32(e * u[i])
			}
		}
		for k := a; k < b; k++ {
			e := errs[k-a]
			if e == 0 {
				continue
			}
			u := j.u[k*j.k+b : (k+1)*j.k]
			rest := w[b:][:len(u)]
			for i, v := range u {
				rest[i] -= float32(e * v)
			}
		}
	}
}

// choose picks zero and gscale of group i for values v by weighted error, like numerics N4.3.
func (g *grid) choose(i int, v, imp []float32) {
	var lo, hi float32
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	if g.scale < 0x1p-120 {
		return
	}
	f := (hi - lo) / 15 / g.scale
	if !(f < 1e6) {
		f = 16
	}
	top := min(max(int(f)+1, 1), 16)
	best := float32(math.Inf(1))
	t := grid{format: g.format, group: len(v), scale: g.scale, zero: []uint8{0}, gscale: []uint8{0}}
	for s := top; s >= max(min(int(f*0.7), 16), 1); s-- {
		z0 := int(num.RoundEven(min(max(-lo/(g.scale*float32(s)), -2), 17)))
		for z := max(z0-1, 0); z <= min(z0+1, 15); z++ {
			t.zero[0], t.gscale[0] = uint8(z), uint8(s)
			step, l, h := t.step(0)
			var err float32
			for k, x := range v {
				_, q := nearest(x, step, l, h)
				d := x - q
				err += float32(imp[k] * float32(d*d))
			}
			if err < best {
				best, g.zero[i], g.gscale[i] = err, uint8(z), uint8(s)
			}
		}
	}
}

// descend lowers (w-q) H (w-q)^T code by code and refits the scale.
func (j *job) descend(g *grid, target []float32, codes []int8) {
	k := j.k
	r := make([]float32, k)  // H (w - q)
	hq := make([]float32, k) // H c, c the codes times gscale
	c8 := func(i int) float32 {
		if g.format == kernels.I8 {
			return float32(codes[i])
		}
		return float32(codes[i]) * float32(g.gscale[i/g.group])
	}
	residual := func() {
		clear(r)
		clear(hq)
		for i := range k {
			c := c8(i)
			d := target[i] - float32(c*g.scale)
			row := j.h[i*k : (i+1)*k]
			for l, v := range row {
				r[l] += float32(d * v)
				hq[l] += float32(c * v)
			}
		}
	}
	residual()
	for range j.sweeps {
		moved := 0
		for i := range k {
			step, lo, hi := g.step(i)
			row := j.h[i*k : (i+1)*k]
			if row[i] <= 0 || step < 0x1p-120 {
				continue
			}
			old := float32(codes[i])
			c, _ := nearest(float32(old*step)+r[i]/row[i], step, lo, hi)
			if c == codes[i] {
				continue
			}
			moved++
			d := (float32(c) - old) * step
			d8 := d / g.scale
			codes[i] = c
			for l, v := range row {
				r[l] -= float32(d * v)
				hq[l] += float32(d8 * v)
			}
		}
		// Best scale for these codes: s += (c r) / (c H c).
		var cr, chc float64
		for i := range k {
			cr += float64(float64(c8(i)) * float64(r[i]))
			chc += float64(float64(c8(i)) * float64(hq[i]))
		}
		if chc > 0 && math.Abs(cr/chc) < 0.1*float64(g.scale) {
			d := float32(cr / chc)
			g.scale += d
			for l, v := range hq {
				r[l] -= float32(d * v)
			}
		}
		if moved == 0 {
			break
		}
	}
}
