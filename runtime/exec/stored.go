package exec

import (
	"fmt"
	"slices"

	"qpt/kernels/elem"
)

// A value that the file stores as codes (Weights.Stored) has two forms: its codes, a value of bytes beside it, which
// layers, pools and moves read and write, and float32, made from the codes when another op asks for it. So it is the same number to all.

// codes is where the codes of a value lie, and what they mean.
type codes struct {
	value int // of bytes
	scale float32
	zero  int32
}

// decoded is the number that each code means.
func (k codes) decoded() *[256]float32 {
	var t [256]float32
	for u := range t {
		k.decode(t[u:u+1], []byte{byte(u)})
	}
	return &t
}

// encode makes codes of a row (numerics N3.6).
func (k codes) encode(dst []byte, x []float32) {
	elem.Codes8(dst, x, 1/k.scale, k.zero, float32(-k.zero), float32(255-k.zero))
}

// encodeRows is encode of each n of x, which begin ld codes apart.
func (k codes) encodeRows(dst []byte, ld int, x []float32, n int) {
	elem.Codes8Rows(dst, ld, x, n, 1/k.scale, k.zero, float32(-k.zero), float32(255-k.zero))
}

// recode is the code in k of each code in from, after fn; nil if nothing changes.
func (k codes) recode(from codes, fn func(dst, x []float32)) *[256]byte {
	if fn == nil && k.scale == from.scale && k.zero == from.zero {
		return nil
	}
	x := from.decoded()
	if fn != nil {
		fn(x[:], x[:])
	}
	var t [256]byte
	k.encode(t[:], x[:])
	return &t
}

// findStored gives the values that the file stores as codes a place for these.
func (c *Compiler) findStored() error {
	for v := range len(c.values) {
		x := c.values[v]
		scale, zero, ok := c.w.Stored(x.Name)
		if !ok {
			continue
		}
		if v < len(c.g.Inputs) || x.DType != "f32" {
			return fmt.Errorf("value %q is stored as codes, which only f32 results of nodes can be", x.Name)
		}
		x.Name += ".codes"
		x.alias, x.bytes = len(c.values), true
		c.stored[v] = codes{len(c.values), scale, zero}
		c.values = append(c.values, x)
	}
	return nil
}

// needCodes makes sure that the codes of a stored value are made.
func (c *Compiler) needCodes(v int) codes {
	k := c.stored[v]
	if c.made[k.value] {
		return k
	}
	if op, ok := c.lazy[v]; ok {
		delete(c.lazy, v)
		c.emit(op, -1).codes = k
	} else if c.made[v] {
		c.settle(v)
	}
	c.made[k.value] = true
	return k
}

// sideCodes are the codes of a value that is not stored as such: for the layers that read them, beside the float32 for others.
func (c *Compiler) sideCodes(v int) (codes, error) {
	if k, ok := c.side[v]; ok {
		return k, nil
	}
	scale, zero, err := c.w.Static(c.values[v].Name)
	if err != nil {
		return codes{}, err
	}
	k := codes{len(c.values), scale, zero}
	x := c.values[v]
	x.Name += ".codes"
	x.alias, x.bytes, x.slot = k.value, true, -1
	c.values, c.made, c.uses = append(c.values, x), append(c.made, true), append(c.uses, nil)
	if op, ok := c.lazy[v]; ok && len(c.uses[v]) == 1 && !c.isOut(v) { // nobody wants the float32
		delete(c.lazy, v)
		c.emit(op, -1).codes = k
	} else {
		c.need(v)
		c.steps = append(c.steps, &rowStep{rowOp: rowOp{name: c.values[v].Name, what: "codes", src: []int{v}, out: v}, dst: -1, codes: k})
	}
	c.side[v] = k
	return k, nil
}

// settle turns the float32 of a stored value, which a step has written, into codes.
func (c *Compiler) settle(v int) {
	if k, ok := c.stored[v]; ok {
		c.steps = append(c.steps, &rowStep{rowOp: rowOp{name: c.values[v].Name, what: "codes", src: []int{v}, out: v}, dst: -1, codes: k})
		c.made[v] = slices.ContainsFunc(c.consts, func(k constant) bool { return k.value == v }) // it has memory of its own
		c.made[k.value] = true
	}
}

// codeStep computes rows of bytes from rows of bytes.
type codeStep struct {
	name, what string
	src        []int // of bytes
	out        int
	fn         func(f *frame, st *codeStep, dst []byte, r0, r1 int) // rows r0 to r1-1
}

func (st *codeStep) node() string  { return st.name }
func (st *codeStep) reads() []int  { return st.src }
func (st *codeStep) writes() []int { return []int{st.out} }
func (st *codeStep) items(f *frame) int {
	n := f.codeRows(st.out)
	return (f.rows[st.out] + n - 1) / n
}

// codeRows is how many rows of value v are one item: as many as have codeBytes elements, and a few items for each worker.
func (f *frame) codeRows(v int) int {
	rows, threads := f.rows[v], 4*f.ws.Threads()
	return max(min(codeBytes/f.p.values[v].width, (rows+threads-1)/threads), 1)
}

const codeBytes = 16 << 10

func (st *codeStep) do(f *frame, worker, item int) {
	n, w := f.codeRows(st.out), f.p.values[st.out].width
	r0, r1 := item*n, min((item+1)*n, f.rows[st.out])
	st.fn(f, st, f.codes[st.out][r0*w:r1*w], r0, r1)
}

// byRow is a function of rows made of one of a row.
func byRow(fn func(f *frame, st *codeStep, dst []byte, r int)) func(f *frame, st *codeStep, dst []byte, r0, r1 int) {
	return func(f *frame, st *codeStep, dst []byte, r0, r1 int) {
		for w := len(dst) / (r1 - r0); r0 < r1; r0, dst = r0+1, dst[w:] {
			fn(f, st, dst[:w:w], r0)
		}
	}
}

// codesOf is row r of a value of bytes.
func (f *frame) codesOf(v, r int) []byte {
	w := f.p.values[v].width
	return f.codes[v][r*w : (r+1)*w : (r+1)*w]
}

// move computes node i, which only moves values, on codes, if all are stored; maps are what becomes of the codes of each operand.
func (c *Compiler) move(i int, fn func(f *frame, st *codeStep, maps []*[256]byte, dst []byte, r int)) bool {
	out, ok := c.stored[c.out(i)]
	if !ok {
		return false
	}
	st := &codeStep{name: c.nodes[i].Name, what: c.nodes[i].Op.Kind(), out: out.value}
	var maps []*[256]byte
	for j := range c.nodes[i].In {
		if _, ok := c.stored[c.in(i, j)]; !ok {
			return false
		}
	}
	for j := range c.nodes[i].In {
		from := c.needCodes(c.in(i, j))
		st.src, maps = append(st.src, from.value), append(maps, out.recode(from, nil))
	}
	st.fn = byRow(func(f *frame, st *codeStep, dst []byte, r int) { fn(f, st, maps, dst, r) })
	c.codeStep(i, st)
	return true
}

// codeStep adds the step that computes node i.
func (c *Compiler) codeStep(i int, st *codeStep) {
	c.steps = append(c.steps, st)
	c.made[st.out] = true
	c.finish(i)
}

// finish notes that the last step computes node i; without fusions its result is brought into float32 too.
func (c *Compiler) finish(i int) {
	last := len(c.steps) - 1
	if !c.fuse {
		c.need(c.out(i))
	}
	c.record(i, last, len(c.steps)-1)
}

// through applies a map of codes.
func through(t *[256]byte, x []byte) {
	if t != nil {
		for i, u := range x {
			x[i] = t[u]
		}
	}
}

// decodeStep makes float32 of codes.
type decodeStep struct {
	name     string
	src, dst int
	codes    codes
}

func (st *decodeStep) node() string  { return st.name }
func (st *decodeStep) reads() []int  { return []int{st.src} }
func (st *decodeStep) writes() []int { return []int{st.dst} }
func (st *decodeStep) items(f *frame) int {
	n := f.codeRows(st.dst)
	return (f.rows[st.dst] + n - 1) / n
}

func (st *decodeStep) do(f *frame, worker, item int) {
	w := f.p.values[st.dst].width
	n := f.codeRows(st.dst)
	end := min((item+1)*n, f.rows[st.dst]) * w
	st.codes.decode(f.val[st.dst][item*n*w:end], f.codes[st.src][item*n*w:end])
}

// decode makes float32 of codes.
func (k codes) decode(dst []float32, x []byte) { elem.Decode8(dst, x, k.zero, k.scale) }

func (c *Compiler) isStored(v int) bool { _, ok := c.stored[v]; return ok }

// bothStored are the codes of two values, if both are stored.
func (c *Compiler) bothStored(x, y int) (a, b codes, ok bool) {
	a, one := c.stored[x]
	b, two := c.stored[y]
	return a, b, one && two
}

// copyStep copies integers.
type copyStep struct {
	name   string
	x, out int
}

func (st *copyStep) node() string          { return st.name }
func (st *copyStep) reads() []int          { return []int{st.x} }
func (st *copyStep) writes() []int         { return []int{st.out} }
func (st *copyStep) items(*frame) int      { return 1 }
func (st *copyStep) do(f *frame, _, _ int) { copy(f.ints[st.out], f.ints[st.x]) }
