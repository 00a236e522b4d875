// Package quant quantizes weights and packs them for package linear, a block of 16 rows at a time.
//
//	q := quant.NewQuantizer(k, quant.Options{})
//	e := q.Block(w, b, rows) // what was lost
package quant

import (
	"encoding/binary"
	"math"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
	"qpt/kernels/linear"
)

// Compat asks for the codes and scales of another tool instead of the most accurate ones.
type Compat uint8

// Compatibility modes.
const (
	CompatNone    Compat = iota
	CompatTorchAO        // torchao 0.19 (numerics N5)
)

// QuantOptions say how a Quantizer rounds; the zero value searches for the least error.
type Options struct {
	Compat Compat
	// Source rounds a result of float arithmetic to the checkpoint's dtype;
	// CompatTorchAO computes scales in it. nil means float32.
	Source func(float32) float32
	// Scaled says that Weight.Scale of I8 has the scales already: weights that are codes times scale come out as those codes, -128 to 127.
	Scaled bool
	// Importance [K] weighs the squared error of column k of W; nil means 1.
	Importance []float32
}

// Scale factors tried by the searches, best guess first: a later one must be
// strictly better. Scales above the least one that reaches all weights pay
// because gscale is coarse: with another scale the groups round to other steps.
var (
	factorsI8     = []float32{1, 0.97, 0.94, 0.91, 0.88, 0.85, 0.82, 0.79}
	factorsGroups = []float32{1, 1.15, 1.1, 1.067, 1.033, 0.967, 0.933, 0.9}
)

// Second-level choices tried by the search for groups, in pairs (numerics N4.3): few
// for every scale, more for the best scale. Measured, the exact place of the
// best zero matters only where columns differ in importance.
var (
	coarse         = []candidate{{0, 0}, {1, 0}}
	coarseWeighted = candidates(2, -0.5, 0.5)
	fine           = candidates(4, -0.5, 0.5)
	fineWeighted   = candidates(5, -0.5, 0.5, -1.5, 1.5)
)

// candidates lists n gscales with each of the zeros.
func candidates(n int, zeros ...float32) (c []candidate) {
	for d := range n {
		for _, z := range zeros {
			c = append(c, candidate{float32(d), z})
		}
	}
	return c
}

// Quantizer holds the working memory to quantize blocks of one K. It is not safe for concurrent use.
type Quantizer struct {
	opt    Options
	k      int
	t      []float32 // [Pad(K, 128)][16] block, transposed: a lane is a row of W; 0 beyond K
	imp    []float32 // [Pad(K, 128)] 1 without importance
	lo, hi []lanes   // [groups]
	tried  []byte    // [groups][16]
	codes  []byte    // [Pad(K, 64)/4][16][4], for I6
}

// NewQuantizer prepares for rows of length k.
func NewQuantizer(k int, opt Options) *Quantizer {
	kp := num.Pad(k, 128)
	q := &Quantizer{opt: opt, k: k, t: make([]float32, kp*16), imp: make([]float32, kp),
		lo: make([]lanes, kp/16), hi: make([]lanes, kp/16), tried: make([]byte, kp)}
	for i := range q.imp {
		q.imp[i] = 1
	}
	if opt.Importance != nil {
		copy(q.imp[:k], opt.Importance)
	}
	return q
}

// Error is the squared weight and the squared rounding error of a block,
// summed; SQNR in dB is 10*log10(Signal/Noise).
type Error struct{ Signal, Noise float64 }

// Add accumulates o.
func (e *Error) Add(o Error) { e.Signal += o.Signal; e.Noise += o.Noise }

// SQNR in dB; +Inf when there is no noise.
func (e Error) SQNR() float64 { return 10 * math.Log10(e.Signal/e.Noise) }

// Block quantizes and packs block b of w, whose format must be I8, I6, I4 or I4F.
// rows is [r][K], r = min(16, N-16b): rows 16b.. of W. Rows beyond N become
// zeros. Signal is NaN or infinite if a weight is, or if the squares of a row
// or the range of a group overflow (numerics N2.4); what is packed then means nothing.
func (q *Quantizer) Block(w *linear.Weight, b int, rows []float32) Error {
	r := q.rows(w, b, len(rows))
	mem.Transpose(q.t[:q.k*16], rows[:r*q.k], r)
	return q.block(w, b)
}

// BlockBF16 is Block for rows of little-endian bfloat16.
func (q *Quantizer) BlockBF16(w *linear.Weight, b int, rows []byte) Error {
	r := q.rows(w, b, len(rows)/2)
	mem.TransposeBF16(q.t[:q.k*16], rows[:r*q.k*2], r)
	return q.block(w, b)
}

// rows is how many rows of w block b has, of which there must be enough values.
func (q *Quantizer) rows(w *linear.Weight, b, values int) int {
	r := min(16, w.N-16*b)
	if values < r*q.k || w.K != q.k {
		panic("quant: Block: rows do not match the weight")
	}
	return r
}

// block quantizes q.t.
func (q *Quantizer) block(w *linear.Weight, b int) Error {
	switch w.Format {
	case linear.I8:
		return q.blockI8(w, b)
	case linear.I4, linear.I6:
		return q.blockGroups(w, b)
	case linear.I4F:
		return q.blockI4F(w, b)
	}
	panic("quant: Block: not an integer format")
}

// lanes is one value for each of the 16 rows of a block.
type lanes = [16]float32

// callVectors is how many vectors of 16 weights one call of assembly takes,
// times the candidates tried: 100 us or less.
const callVectors = 16 << 10

// blockI8: numerics N2.
func (q *Quantizer) blockI8(w *linear.Weight, b int) Error {
	kp := num.Pad(w.K, 64)
	var lo, hi [1]lanes
	active().spans(q.t[:kp*16], kp, lo[:], hi[:])
	e := encoding{t: q.t[:kp*16], data: w.Data[b*kp*16 : (b+1)*kp*16]}
	for n := range 16 {
		e.lo[n], e.hi[n] = -127, 127
	}
	if q.opt.Scaled {
		for n := range 16 {
			e.lo[n] = -128
		}
		copy(e.step[:], w.Scale[16*b:])
	} else if q.opt.Compat == CompatTorchAO {
		for n := range 16 {
			e.lo[n] = -128
			e.step[n] = max(q.source(max(-lo[0][n], hi[0][n])/127.5), 0x1p-23)
		}
	} else {
		var best lanes
		for i := 0; i < len(factorsI8); i += 2 {
			var pair [2]trial
			for j := range pair {
				p := &pair[j]
				p.lo, p.hi = e.lo, e.hi
				for n := range 16 {
					p.step[n] = max(-lo[0][n], hi[0][n]) / 127 * factorsI8[i+j]
					p.inv[n] = safeInv(p.step[n])
				}
			}
			for k := 0; k < kp; k += callVectors / 2 {
				end := min(k+callVectors/2, kp)
				active().trials(q.t[k*16:end*16], q.imp[k:end], &pair)
			}
			for j := range pair {
				for n, err := range pair[j].err {
					if i+j == 0 || err < best[n] {
						best[n], e.step[n] = err, pair[j].step[n]
					}
				}
			}
		}
	}
	for n := range 16 {
		e.inv[n] = safeInv(e.step[n])
	}
	active().encodeI8(&e)
	copy(w.Scale[16*b:], e.step[:])
	copy(w.Sum[16*b:], e.sum[:])
	return total(&e.signal, &e.noise)
}

// total adds up the rows of a block.
func total(signal, noise *lanes) (e Error) {
	for n := range 16 {
		e.Add(Error{float64(signal[n]), float64(noise[n])})
	}
	return e
}

// blockGroups: the two-level int4 and int6 of numerics N4.
func (q *Quantizer) blockGroups(w *linear.Weight, b int) Error {
	groups := w.GroupCount()
	levels, gscales := w.Format.Levels()
	lo, hi := q.lo[:groups], q.hi[:groups]
	active().spans(q.t[:groups*w.Group*16], w.Group, lo, hi)
	// The smallest scale that reaches all groups: gscale <= gscales and |w8| <= 128.
	var top lanes
	for g := range groups {
		for n, h := range hi[g] {
			l := lo[g][n]
			top[n] = max(top[n], (h-l)/float32(levels)/float32(gscales), h/127, -l/128)
		}
	}
	first, second := coarse, fine
	if q.opt.Importance != nil {
		first, second = coarseWeighted, fineWeighted
	}
	var scale, best lanes
	for i, f := range factorsGroups {
		var s lanes
		for n := range 16 {
			s[n] = top[n] * f
		}
		for n, err := range q.search(w, &s, first, aim(w), q.tried) {
			if i == 0 || err < best[n] {
				best[n], scale[n] = err, s[n]
			}
		}
	}
	params := w.Groups[b*groups*16 : (b+1)*groups*16]
	q.search(w, &scale, second, 1, params)

	data := w.Data[b*w.BlockBytes() : (b+1)*w.BlockBytes()]
	e := encoding{t: q.t, imp: q.imp, params: params, format: w.Format, group: w.Group, scale: scale}
	if w.Format == linear.I4 {
		clear(data)
		e.data = data[:w.GroupedK()*8]
		active().encodeI4(&e)
	} else {
		if q.codes == nil {
			q.codes = make([]byte, num.Pad(w.K, 64)*16)
		}
		e.data = q.codes[:w.GroupedK()*16]
		active().encodeI6(&e)
		clear(q.codes[len(e.data):])
		packI6(data, q.codes)
	}
	// Numerics N4.6: with the codes chosen, the best scale is a quotient.
	var sum Error
	for n := range 16 {
		if e.weightedSquares[n] > 0 {
			scale[n] = float32(float64(scale[n]) + float64(e.weightedCross[n])/float64(e.weightedSquares[n]))
		}
		d := float64(scale[n]) - float64(e.scale[n])
		noise := float64(e.noise[n]) - float64(2*d*float64(e.cross[n])) + float64(d*d*float64(e.squares[n]))
		sum.Add(Error{float64(e.signal[n]), max(noise, 0)})
	}
	copy(w.Scale[16*b:], scale[:])
	copy(w.Sum[16*b:], e.sum[:])
	return sum
}

// packI6 packs codes [k/4][16][4], each a byte, as Data of I6.
func packI6(data, codes []byte) {
	const low, high = 0x0f0f0f0f0f0f0f0f, 0x3030303030303030
	for ; len(codes) > 0; data, codes = data[192:], codes[256:] {
		for i := 0; i < 64; i += 8 {
			at := func(j int) uint64 { return binary.LittleEndian.Uint64(codes[64*j+i:]) }
			a, b, c, d := at(0), at(1), at(2), at(3)
			binary.LittleEndian.PutUint64(data[i:], a&low|b&low<<4)
			binary.LittleEndian.PutUint64(data[64+i:], c&low|d&low<<4)
			binary.LittleEndian.PutUint64(data[128+i:], a&high>>4|b&high>>2|c&high|d&high<<2)
		}
	}
}

// aim is where the gscales of the first search lie relative to a group's
// span: the more weights and the fewer codes, the more does clipping the extremes pay.
func aim(w *linear.Weight) float32 {
	switch {
	case w.Format == linear.I6 || w.Group <= 32:
		return 1
	case w.Group == 64:
		return 0.97
	}
	return 0.95
}

// search chooses the second level of all groups for the scales s and returns the squared errors.
func (q *Quantizer) search(w *linear.Weight, s *lanes, c []candidate, aim float32, params []byte) lanes {
	levels, gscales := w.Format.Levels()
	group, groups := w.Group, w.GroupCount()
	a := groupSearch{scale: *s, cand: c, fit: aim / float32(levels), group: group, bits: int32(w.Format.Bits()), levels: float32(levels), gscales: float32(gscales)}
	step := max(1, callVectors/(len(c)*group))
	for g := 0; g < groups; g += step {
		end := min(g+step, groups)
		a.t = q.t[g*group*16 : end*group*16]
		if q.opt.Importance != nil {
			a.imp = q.imp[g*group : end*group]
		}
		a.lo, a.hi, a.params = q.lo[g:end], q.hi[g:end], params[g*16:end*16]
		active().search(&a)
	}
	return a.err
}
