package exec

import (
	"qpt/kernels/conv"
	"qpt/kernels/elem"
)

// rowFunc computes row r of a value into dst.
type rowFunc func(f *frame, op *rowOp, dst []float32, r int)

// rowOp computes row r of a value from row r of its sources (from any row, for gather and embedding).
type rowOp struct {
	name string
	what string // what it computes, for Dump
	src  []int
	out  int     // the value whose rows these are
	fn   rowFunc // nil, as part is: the rows lie in memory already
	// part is fn for features c0 to c0+len(dst)-1 of a row that is much work.
	part func(f *frame, op *rowOp, work *conv.Taps, dst []float32, r, c0 int)
	// turn is set where row r is what the walk finds in src[0].
	turn *walk
	// silu marks the activation of src[0] that a product can take in.
	silu bool
}

// rowStep is a rowOp over all rows; each row goes to dst (-1: nowhere) and,
// quantized, to quant.
type rowStep struct {
	rowOp
	dst   int
	quant []quant
	codes codes // of the value, if its scale is not 0
}

// rowChunk rows, or of narrow ones as many as have rowValues, are one item: small enough to share, big enough to pay for the hand-over.
// Rows that come in parts are made of at least partValues an item.
const (
	rowChunk   = 8
	rowValues  = 4096
	partValues = 16 << 10
)

func (st *rowStep) chunk(f *frame) int {
	if st.part != nil {
		return max(partValues*f.rows[st.out]/max(f.rows[st.src[0]]*f.p.values[st.out].width, 1), 1)
	}
	return max(rowChunk, rowValues/max(f.p.values[st.out].width, 1))
}

func (st *rowStep) node() string { return st.name }
func (st *rowStep) reads() []int { return st.src }
func (st *rowStep) writes() []int {
	var list []int
	if st.dst >= 0 {
		list = append(list, st.dst)
	}
	if st.codes.scale > 0 {
		list = append(list, st.codes.value)
	}
	return list
}

// parts is how many parts a row is in.
func (st *rowStep) parts(f *frame) int {
	width, rows := f.p.values[st.out].width, max(f.rows[st.out], 1)
	if st.part == nil || len(st.quant) > 0 || rows >= 2*f.ws.Threads() {
		return 1
	}
	return max(min(2*f.ws.Threads()/rows, width/16, f.rows[st.src[0]]/rows*width/partValues), 1)
}

func (st *rowStep) items(f *frame) int {
	rows := f.rows[st.out]
	for _, q := range st.quant {
		f.acts[q.acts].Reset(rows)
	}
	if rows <= 2 && st.part == nil {
		return min(rows, 1)
	}
	return (rows + st.chunk(f) - 1) / st.chunk(f) * st.parts(f)
}

func (st *rowStep) do(f *frame, worker, item int) {
	width, chunk, parts := f.p.values[st.out].width, st.chunk(f), st.parts(f)
	part := item % parts
	item /= parts
	c0, c1 := part*width/parts&^15, (part+1)*width/parts&^15
	if part == parts-1 {
		c1 = width
	}
	r0, r1 := item*chunk, min((item+1)*chunk, f.rows[st.out])
	if st.turn != nil && (st.dst < 0) == (st.codes.scale > 0) && len(st.quant) == 0 && width <= rowChunk {
		st.turned(f, worker, r0, r1)
		return
	}
	for r := r0; r < r1; r++ {
		var dst []float32
		switch {
		case st.fn == nil && st.part == nil:
			dst = f.rowOf(st.out, r)
		case st.dst >= 0:
			dst = f.rowOf(st.dst, r)
		default:
			dst = f.ws.row(worker, width)
		}
		dst = dst[c0:c1]
		if st.fn != nil {
			st.fn(f, &st.rowOp, dst, r)
		} else if st.part != nil {
			st.part(f, &st.rowOp, &f.ws.conv[worker].taps, dst, r, c0)
		}
		if st.codes.scale > 0 {
			st.codes.encode(f.codesOf(st.codes.value, r)[c0:c1], dst)
		}
		for _, q := range st.quant {
			if q.scale > 0 {
				f.acts[q.acts].QuantizeStatic(r, r+1, dst, 0, q.scale, q.zero)
			} else {
				f.acts[q.acts].Quantize(r, r+1, dst, 0)
			}
		}
	}
}

// rowOf is row r of value v.
func (f *frame) rowOf(v, r int) []float32 {
	w := f.p.values[v].width
	return f.val[v][r*w : (r+1)*w : (r+1)*w]
}

// turned makes rows r0 to r1-1 that are narrow: where the numbers of a feature lie side by side they are moved, or become codes, together.
func (st *rowStep) turned(f *frame, worker, r0, r1 int) {
	s := &f.ws.conv[worker]
	w, x, width := st.turn, f.val[st.src[0]], f.p.values[st.out].width
	inner := len(w.dims) - 1
	for r := r0; r < r1; {
		n := 1
		switch {
		case inner < 0 || w.by[inner] != 1:
		case w.even:
			n = min(w.rows-r%w.rows, r1-r)
		default:
			n = min(w.dims[inner]-r%w.dims[inner], r1-r)
		}
		pos := w.at(r)
		if st.dst >= 0 {
			interleave(f.val[st.dst][r*width:][:n*width], x[pos:], n, w.last)
		} else {
			s.bytes = sized(s.bytes, n*width)
			for c := range width {
				st.codes.encode(s.bytes[c*n:][:n], x[pos+c*w.last:][:n])
			}
			dst, b := f.codes[st.codes.value][r*width:][:n*width], s.bytes
			if width == 3 {
				elem.Interleave3(dst, b[:n], b[n:2*n], b[2*n:])
			} else {
				interleave(dst, b, n, n)
			}
		}
		r += n
	}
}

// interleave puts the features of n places, each of which lies in a row of its own, ld apart, side by side.
func interleave[T byte | float32](dst, x []T, n, ld int) {
	width := len(dst) / n
	if width == 3 {
		a, b, c := x[:n], x[ld:][:n], x[2*ld:][:n]
		for i, v := range a {
			to := dst[3*i:][:3]
			to[0], to[1], to[2] = v, b[i], c[i]
		}
		return
	}
	for c := range width {
		for i, v := range x[c*ld:][:n] {
			dst[i*width+c] = v
		}
	}
}
