package quant

import (
	"math"

	"qpt/internal/num"
	"qpt/kernels/linear"
)

// The steps of quantizing a block, each with an assembly version that does the
// same to all 16 lanes at once and gives the same bits: products and sums are
// rounded or fused as written here (numerics N4.4).

// trial is one way to round, lane by lane: v becomes q = round(v*inv) within
// [lo, hi], integers below 2^21, and stands for q*step.
type trial struct{ inv, lo, hi, step, err lanes }

// candidate is a choice of gscale and zero relative to a group's span.
type candidate struct{ down, up float32 }

// groupSearch carries the operands of level.search.
type groupSearch struct {
	t      []float32   // [groups*group][16]
	imp    []float32   // [groups*group], nil: all 1
	lo, hi []lanes     // [groups] the extremes, lo <= 0 <= hi
	cand   []candidate // an even number of them
	params []byte      // [groups][16] the choice: zero and gscale-1
	fit    float32     // aim/levels
	group  int

	// Of the format, I4 or I6: bits of a zero, the greatest code and gscale.
	bits            int32
	levels, gscales float32
	scale           lanes
	err             lanes // the squared errors of the choices are added to it
}

// encoding carries the operands and results of level.encodeI4, encodeI6 and encodeI8. What
// the former alone has is marked (G).
type encoding struct {
	t      []float32     // [k][16]
	imp    []float32     // [k] (G)
	params []byte        // [groups][16] (G)
	data   []byte        // packed codes, for I6 [k/4][16][4] as bytes; its length is that of t in codes
	format linear.Format // I4 or I6 (G)
	group  int           // (G)
	scale  lanes         // (G)

	inv, lo, hi, step lanes // as in trial (I8)

	// With w8 the code as an int8 and d = v - scale*w8, the sums over k of
	sum             [16]int32 // w8
	signal, noise   lanes     // v*v, d*d
	cross, squares  lanes     // d*w8, w8*w8 (G)
	weightedCross   lanes     // imp*d*w8 (G)
	weightedSquares lanes     // imp*w8*w8 (G)
}

// spansGeneric sets lo and hi to the extremes of each group of t [groups*group][16], with 0 included.
func spansGeneric(t []float32, group int, lo, hi []lanes) {
	for g := range lo {
		lo[g], hi[g] = lanes{}, lanes{}
		for i, v := range t[g*group*16 : (g+1)*group*16] {
			lo[g][i&15] = min(lo[g][i&15], v)
			hi[g][i&15] = max(hi[g][i&15], v)
		}
	}
}

// trialsGeneric adds to the err of both trials the sum over k of imp[k]*(v - q*step)^2.
func trialsGeneric(t, imp []float32, pair *[2]trial) {
	for i := range pair {
		tryGeneric(t, imp, &pair[i])
	}
}

// tryGeneric is trialsGeneric for one.
func tryGeneric(t, imp []float32, p *trial) {
	for k := range len(t) / 16 {
		h := float32(1)
		if imp != nil {
			h = imp[k]
		}
		for n, v := range t[k*16 : k*16+16] {
			d := residual(v, roundClamp(v*p.inv[n], p.lo[n], p.hi[n]), p.step[n])
			p.err[n] = num.FMA32(h*d, d, p.err[n])
		}
	}
}

// searchGeneric tries the candidates on every group and keeps the first of the
// least error (numerics N4.3).
func searchGeneric(a *groupSearch) {
	for g := range a.lo {
		var best lanes
		for n := range 16 {
			best[n] = float32(math.Inf(1))
			a.params[g*16+n] = 0
		}
		k, end := g*a.group, (g+1)*a.group
		var imp []float32
		if a.imp != nil {
			imp = a.imp[k:end]
		}
		for _, c := range a.cand {
			var p trial
			var code [16]byte
			for n, s := range a.scale {
				lo, hi := a.lo[g][n], a.hi[g][n]
				v := float32(int32((hi - lo) * a.fit * safeInv(s)))
				gscale := min(max(v+1-c.down, 1), a.gscales)
				p.step[n] = s * gscale
				p.inv[n] = safeInv(p.step[n])
				center := float32((lo + hi) * 0.5 * p.inv[n])
				zero := roundClamp(a.levels/2+c.up-center, 0, a.levels)
				code[n] = byte(zero) | byte(gscale-1)<<a.bits
				p.lo[n] = -min(float32(zero), float32(128/int(gscale)))
				p.hi[n] = min(a.levels-float32(zero), float32(127/int(gscale)))
			}
			tryGeneric(a.t[k*16:end*16], imp, &p)
			for n, err := range p.err {
				if err < best[n] {
					best[n], a.params[g*16+n] = err, code[n]
				}
			}
		}
		for n, err := range best {
			a.err[n] += err
		}
	}
}

// groupCodes is one group of encodeGroupsGeneric: how v becomes a code, and the sums over
// the group, in units of gscale; signal and noise go on from group to group.
type groupCodes struct {
	inv, lo, hi, step lanes
	zero              [16]int32

	signal, noise, cross, squares, weightedCross, weightedSquares, sum lanes
}

// encodeGroupsGeneric packs codes with the groups' parameters.
func encodeGroupsGeneric(e *encoding) {
	size := 8 // bytes of a vector of codes
	if e.format == linear.I6 {
		size = 16
	}
	vectors := len(e.data) / size
	g := groupCodes{signal: e.signal, noise: e.noise}
	for a := 0; a < vectors; a += e.group {
		g.cross, g.squares, g.weightedCross, g.weightedSquares, g.sum = lanes{}, lanes{}, lanes{}, lanes{}, lanes{}
		params := e.params[a/e.group*16:][:16]
		for n, p := range params {
			zero, gscale := e.format.Split(p)
			g.zero[n], g.step[n] = int32(zero), e.scale[n]*float32(gscale)
			g.inv[n] = safeInv(g.step[n])
			g.lo[n], g.hi[n] = e.format.Range(e.format.Split(p))
		}
		end := min(a+e.group, vectors)
		packGroupGeneric(&g, e.t[a*16:end*16], e.imp[a:end], e.data[a*size:end*size])
		for n, p := range params {
			_, b := e.format.Split(p)
			gscale := float32(b)
			e.sum[n] += int32(g.sum[n]) * int32(b)
			e.cross[n] = num.FMA32(g.cross[n], gscale, e.cross[n])
			e.squares[n] = num.FMA32(g.squares[n], gscale*gscale, e.squares[n])
			e.weightedCross[n] = num.FMA32(g.weightedCross[n], gscale, e.weightedCross[n])
			e.weightedSquares[n] = num.FMA32(g.weightedSquares[n], gscale*gscale, e.weightedSquares[n])
		}
	}
	e.signal, e.noise = g.signal, g.noise
}

// packGroupGeneric encodes t [k][16] into data: [k/8][16][4] of two codes a byte, or [k/4][16][4] of one.
func packGroupGeneric(g *groupCodes, t, imp []float32, data []byte) {
	for k, h := range imp {
		for n, v := range t[k*16 : k*16+16] {
			c := roundClamp(v*g.inv[n], g.lo[n], g.hi[n])
			if code := byte(c + g.zero[n]); len(data) == len(imp)*8 {
				data[k/8*64+n*4+k%4] |= code << (k & 4)
			} else {
				data[k/4*64+n*4+k%4] = code
			}
			d, q, hq := residual(v, c, g.step[n]), float32(c), h*float32(c)
			g.sum[n] += q
			g.signal[n] = num.FMA32(v, v, g.signal[n])
			g.noise[n] = num.FMA32(d, d, g.noise[n])
			g.cross[n] = num.FMA32(d, q, g.cross[n])
			g.squares[n] = num.FMA32(q, q, g.squares[n])
			g.weightedCross[n] = num.FMA32(d, hq, g.weightedCross[n])
			g.weightedSquares[n] = num.FMA32(q, hq, g.weightedSquares[n])
		}
	}
}

// encodeI8Generic packs int8 weights.
func encodeI8Generic(e *encoding) {
	for k := range len(e.data) / 16 {
		for n, v := range e.t[k*16 : k*16+16] {
			c := roundClamp(v*e.inv[n], e.lo[n], e.hi[n])
			e.data[k/4*64+n*4+k%4] = byte(c)
			e.sum[n] += c
			d := residual(v, c, e.step[n])
			e.signal[n] = num.FMA32(v, v, e.signal[n])
			e.noise[n] = num.FMA32(d, d, e.noise[n])
		}
	}
}

// safeInv is 1/s, or 0 where s is too small to divide by (numerics N2.2).
func safeInv(s float32) float32 {
	if s < 0x1p-120 {
		return 0
	}
	return 1 / s
}

// roundClamp rounds ties to even within the integers [lo, hi].
func roundClamp(x, lo, hi float32) int32 {
	return num.RoundEven(min(max(x, lo), hi))
}

// residual is v - q*step, rounded once: product and difference are exact in
// binary64, since q is round(v/step) or nearer to 0.
func residual(v float32, q int32, step float32) float32 {
	return float32(float64(v) - float64(q)*float64(step))
}
