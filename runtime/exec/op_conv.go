package exec

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/conv"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
)

func init() {
	register("conv", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Conv)
		return c.conv(i, op.Window, op.Groups, false)
	})
	register("conv_transpose", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.ConvTranspose)
		return c.conv(i, op.Window, op.Groups, true)
	})
}

// windows is the geometry of windows on value x whose result is out.
func (c *Compiler) windows(x, out int, w graph.Window, kernel []int) conv.Shape {
	s := conv.Shape{Groups: 1, C: c.values[x].width}
	for i := range 3 {
		s.In[i], s.Out[i], s.Kernel[i], s.Stride[i], s.Dilation[i] = 1, 1, 1, 1, 1
	}
	in, to := c.values[x].Shape, c.values[out].Shape
	for i, a := range w.Axes(kernel) {
		j := 3 - len(kernel) + i
		s.In[j], s.Out[j] = int(in[len(in)-1-len(kernel)+i]), int(to[len(to)-1-len(kernel)+i])
		s.Kernel[j], s.Stride[j], s.Dilation[j], s.Before[j] = a.Kernel, a.Stride, a.Dilation, a.Before
	}
	return s
}

func (c *Compiler) conv(i int, w graph.Window, groups int, transposed bool) error {
	n := &c.nodes[i]
	var kernel []int
	for _, p := range c.g.Params {
		if p.Name == n.Params[0] {
			kernel = p.Shape[1 : len(p.Shape)-1]
		}
	}
	s := c.windows(c.in(i, 0), c.out(i), w, kernel)
	s.Groups, s.Transposed = max(groups, 1), transposed
	l, err := c.layer(n.Params[0], n.Params[1], c.values[c.out(i)].width, s.K())
	if err != nil {
		return err
	}
	st := &convStep{Shape: s, layer: l}
	return c.convStep(i, st)
}

// pointwise makes a linear layer on a stored value a convolution of one tap.
func (c *Compiler) pointwise(i int) error {
	l, err := c.layerOf(i)
	if err != nil {
		return err
	}
	one := [3]int{1, 1, 1}
	return c.convStep(i, &convStep{Shape: conv.Shape{In: one, Out: one, Kernel: one, Stride: one, Dilation: one, C: l.Weight.K, Groups: 1}, layer: l})
}

// convStep completes the step of node i and adds it.
func (c *Compiler) convStep(i int, st *convStep) (err error) {
	st.name, st.x, st.out = c.nodes[i].Name, c.in(i, 0), c.out(i)
	if k, ok := c.stored[st.x]; ok && st.layer.Static {
		st.in = c.needCodes(st.x)
		st.x = k.value
	} else if st.layer.Static {
		if st.in, err = c.sideCodes(st.x); err != nil {
			return err
		}
		st.x = st.in.value
	}
	if s := st.Shape; s.C == s.Groups && s.C > 1 && (st.layer.Form == linear.AF32 || st.layer.Static) {
		if st.depthwise, err = conv.NewDepthwise(s, st.layer.Weight, st.in.scale, st.in.zero); err != nil {
			return err
		}
	}
	if st.depthwise == nil && (st.layer.Form == linear.AF32 && st.layer.Weight.Format == linear.F32 || st.layer.Static) {
		if st.direct, err = conv.NewDirect(st.Shape, st.layer.Weight, st.in.scale, st.in.zero); err != nil {
			return err
		}
	}
	if !st.layer.Static {
		if st.direct != nil && st.Pointwise() && st.Places() > 1 && !st.heavy() {
			st.makes = c.takes(st.x)
		}
		if st.makes == nil {
			c.need(st.x)
		} else {
			for _, v := range st.makes.src {
				c.need(v)
			}
		}
	}
	first := st.out
	st.out = c.after(st, st.out)
	list := c.chainOf(first, st.out)
	if k, ok := c.stored[st.out]; ok {
		st.to = k
		c.made[k.value] = true
	} else {
		c.made[st.out] = true
	}
	if st.whole = st.ends(); st.whole && st.direct != nil {
		c.joins(st)
		st.winograd = st.direct.Winograd()
	}
	c.steps = append(c.steps, st)
	for _, j := range list {
		c.done[j] = true
	}
	c.finish(i)
	return nil
}

// joins lets a step write its results where a concat, their only reader, would copy them to.
func (c *Compiler) joins(st *convStep) {
	if !c.fuse || len(c.uses[st.out]) != 1 || c.isOut(st.out) || !c.besides(c.uses[st.out][0]) {
		return
	}
	i := c.uses[st.out][0]
	out := c.out(i)
	to, ok := c.stored[out]
	sum := slices.ContainsFunc(st.posts, func(p post) bool { return p.other >= 0 }) // lies in rows of its own
	if codes := st.to.scale > 0; ok != codes || sum || codes && to.recode(st.to, nil) != nil || !slices.Equal(c.values[out].lead, c.values[st.out].lead) {
		return
	}
	for j := range c.nodes[i].In {
		v := c.in(i, j)
		if v == st.out {
			break
		}
		st.column += c.values[v].width
	}
	c.joined[st.out] = true
	if st.ld = c.values[out].width; ok {
		st.to.value = to.value
	} else {
		st.out = out
	}
}

// post is something done to the results of a layer: a function of one value, or of it and a number or another value.
type post struct {
	what  string
	fn    func(dst, x []float32)
	bin   func(dst, a, b []float32)
	other int       // value, or codes; -1: the number
	codes codes     // scale 0: float32
	row   []float32 // the number
	row1  bool      // the other has one row
	first bool      // the other is the first operand
}

// after finds what is done to the results of a step whose value is v, and the value that comes of it.
func (c *Compiler) after(st *convStep, v int) int {
	for {
		a, ok := c.only(v)
		if !ok || c.done[a] {
			return v
		}
		var p post
		p.other = -1
		switch o := c.nodes[a].Op.(type) {
		case graph.Unary:
			fn, err := unaryOf(o)
			if err != nil {
				return v // told when the node's turn comes
			}
			p.what, p.fn = o.Func, fn
		case graph.Binary:
			bin, ok := elem.Binary(o.Func)
			if !ok {
				return v
			}
			p.what, p.bin = o.Func, bin
			if o.Scalar != nil {
				p.row = []float32{float32(*o.Scalar)}
				break
			}
			x, y := c.in(a, 0), c.in(a, 1)
			other := y
			if p.first = y == v; p.first {
				other = x
			}
			same := slices.Equal(c.values[other].Shape, c.values[v].Shape)
			channels := len(c.values[other].lead) == 0 && c.values[other].width == c.values[v].width && len(c.values[v].lead) > 0
			if x == y || !c.ready(other) || !same && !channels {
				return v
			}
			if k, ok := c.stored[other]; ok && same {
				c.needCodes(other)
				p.other, p.codes = k.value, k
			} else {
				c.need(other)
				p.other, p.row1 = other, !same
			}
		default:
			return v
		}
		st.posts = append(st.posts, p)
		v = c.out(a)
	}
}

// ready tells whether a value is computed by the steps so far, or can be by one more.
func (c *Compiler) ready(v int) bool {
	if k, ok := c.stored[v]; ok && c.made[k.value] {
		return true
	}
	return c.made[v] || c.lazy[v] != nil
}

// chainOf lists the nodes between two values, each the only reader of the one before.
func (c *Compiler) chainOf(v, end int) (nodes []int) {
	for v != end {
		a := c.uses[v][0]
		nodes = append(nodes, a)
		v = c.out(a)
	}
	return nodes
}

// convStep is a layer on patches; an item is a run of places and a run of blocks of 16 columns.
type convStep struct {
	conv.Shape
	name      string
	layer     Layer
	depthwise *conv.Depthwise // in place of GEMM
	direct    *conv.Direct    // the same
	winograd  *conv.Winograd  // in place of direct where that takes less time; nil: none
	end       conv.End        // of direct, less the slices
	whole     bool            // all posts are in end
	column    int             // where the results begin in rows of ld, that of a value which they are a part of; 0: of their own
	ld        int
	x         int    // float32, or the codes in
	makes     *rowOp // computes the rows of x, of a pointwise layer, which are in memory nowhere else; nil: none
	in        codes  // scale 0: none
	posts     []post
	out       int
	to        codes // scale 0: float32
}

func (st *convStep) node() string { return st.name }

// inputs are the values that the layer is computed from.
func (st *convStep) inputs() []int {
	if st.makes != nil {
		return slices.Clone(st.makes.src)
	}
	return []int{st.x}
}

func (st *convStep) reads() []int {
	list := st.inputs()
	for _, p := range st.posts {
		if p.other >= 0 {
			list = append(list, p.other)
		}
	}
	return list
}

func (st *convStep) writes() []int {
	if st.to.scale > 0 {
		return []int{st.to.value}
	}
	return []int{st.out}
}

// convScratch is the working memory of a worker.
type convScratch struct {
	acts  map[actSpec]*linear.Acts
	flat  linear.Acts // rows that lie in a value
	table conv.DirectWork
	tile  []float32
	patch []float32
	taps  conv.Taps
	rows  []float32
	other []float32
	bytes []byte
	bands []band // of a chain
}

// Sizes of an item: the patches and the results of one each fit in a part of the second-level cache.
const (
	patchBytes   = 192 << 10
	tileFloats   = 64 << 10
	mostRows     = 256
	itemProducts = 20 << 20 // of a direct convolution that is large
	smallTile    = 6 << 10  // floats that stay in the first-level cache beside what they are made of
)

// cut is the places and the blocks of columns of an item, and the items of columns.
func (st *convStep) cut(f *frame) (rows, blocks, columns int) {
	all := st.layer.Weight.Blocks()
	if st.depthwise != nil {
		rows = mostRows
		if !st.whole {
			rows = smallTile / st.depthwise.N()
		}
		return max(min(rows, mostRows, (f.rows[st.out]+4*f.ws.Threads()-1)/(4*f.ws.Threads())), 1), all, 1
	}
	if st.direct != nil {
		return st.cutDirect(f)
	}
	size := map[linear.ActForm]int{linear.AF32: 4, linear.ABF16: 2, linear.A16: 2, linear.A24: 4}[st.layer.Form]
	rows = patchBytes / (st.K() * max(size, 1)) &^ 15
	rows = min(max(rows, 32), mostRows)
	blocks = min(all, max(tileFloats/(16*rows)&^3, 4))
	// a few items for each worker, so that one that lost its core costs little
	for want := 4 * f.ws.Threads(); (f.rows[st.out]+rows-1)/rows*((all+blocks-1)/blocks) < want; {
		switch {
		case rows > 64 && f.rows[st.out] > 64:
			rows = max(rows/2&^15, 64)
		case blocks > 8 && st.Groups == 1:
			blocks = (blocks/2 + 3) &^ 3
		default:
			want = 0
		}
	}
	if st.Groups > 1 {
		blocks = all
	}
	return rows, blocks, (all + blocks - 1) / blocks
}

// tiled is how many tiles and blocks an item of Winograd's has, and how many items they make; false: it is not used.
func (st *convStep) tiled(f *frame) (tiles, blocks, items int, ok bool) {
	if st.winograd == nil {
		return 0, 0, 0, false
	}
	images := f.rows[st.out] / st.Places()
	tiles, blocks, ok = st.winograd.Cut(images, f.ws.Threads())
	if ok {
		items = (st.winograd.Tiles(images) + tiles - 1) / tiles * ((st.direct.Blocks() + blocks - 1) / blocks)
	}
	return tiles, blocks, items, ok
}

func (st *convStep) items(f *frame) int {
	if _, _, items, ok := st.tiled(f); ok {
		return items
	}
	rows, _, columns := st.cut(f)
	return (f.rows[st.out] + rows - 1) / rows * columns
}

func (st *convStep) do(f *frame, worker, item int) {
	if tiles, blocks, _, ok := st.tiled(f); ok { // items of the same columns follow each other
		all := st.winograd.Tiles(f.rows[st.out] / st.Places())
		each := (all + tiles - 1) / tiles
		t0, b0 := item%each*tiles, item/each*blocks
		b1 := min(b0+blocks, st.direct.Blocks())
		n0, _ := st.direct.Columns(b0, b1)
		st.winograd.Codes(st.endOf(f, f.all(st.writes()[0]), 0, n0), f.codes[st.x], t0, min(t0+tiles, all), b0, b1, &f.ws.conv[worker].table)
		return
	}
	rows, blocks, columns := st.cut(f)
	r0, b0 := item/columns*rows, item%columns*blocks
	if st.direct != nil && st.across(f) { // items of the same columns follow each other
		each := (f.rows[st.out] + rows - 1) / rows
		r0, b0 = item%each*rows, item/each*blocks
	}
	r1, b1 := min(r0+rows, f.rows[st.out]), b0+blocks
	if st.direct != nil {
		b1 = min(b1, st.direct.Blocks())
	} else {
		b1 = min(b1, st.layer.Weight.Blocks())
	}
	st.compute(f, worker, f.all(st.x), f.all(st.writes()[0]), r0, r1, b0, b1)
}

// part is rows of a value in memory, from row begin of all images on: float32 or codes.
type part struct {
	floats []float32
	codes  []byte
	begin  int
}

// all is the rows of value v.
func (f *frame) all(v int) part {
	if f.p.values[v].bytes {
		return part{codes: f.codes[v]}
	}
	return part{floats: f.val[v]}
}

// compute makes rows r0 to r1-1 and blocks b0 to b1-1 of out from in.
func (st *convStep) compute(f *frame, worker int, in, out part, r0, r1, b0, b1 int) {
	s := &f.ws.conv[worker]
	if st.whole {
		st.directly(f, s, in, out, r0, r1, b0, b1)
		return
	}
	width := st.layer.Weight.N
	n0, n1 := 16*b0, min(16*b1, width)
	ld := 16 * (b1 - b0)
	if st.direct != nil {
		n0, n1 = st.direct.Columns(b0, b1)
	}
	if st.depthwise != nil || st.direct != nil {
		ld = n1 - n0
	}
	var tile []float32
	inPlace := ld == width && st.to.scale == 0
	if inPlace {
		tile = f.val[st.out][r0*width : r1*width]
	} else {
		s.tile = sized(s.tile, (r1-r0)*ld)
		tile = s.tile
	}
	switch {
	case st.depthwise != nil:
		if st.in.scale > 0 {
			st.depthwise.Codes(tile, ld, in.codes, in.begin, r0, r1, &s.taps)
		} else {
			st.depthwise.Floats(conv.End{Floats: tile, Ld: ld, Lo: float32(math.Inf(-1)), Hi: float32(math.Inf(1))}, in.floats, in.begin, r0, r1, &s.taps)
		}
	case st.direct != nil:
		e := conv.End{Floats: tile, Ld: ld, Lo: float32(math.Inf(-1)), Hi: float32(math.Inf(1))}
		if st.in.scale > 0 {
			st.direct.Codes(e, in.codes, in.begin, r0, r1, b0, b1, &s.table)
		} else {
			st.floats(e, f, s, in, r0, r1, b0, b1)
		}
	case st.Groups == 1:
		a := st.patches(f, s, r0, r1, 0)
		part := st.layer.Weight.Columns(b0, b1)
		linear.Linear(linear.Sink{Y: tile, Ld: ld}, a, &part, 0, b1-b0, &f.ws.gemm[worker])
	default: // the blocks that a group's columns lie in, of which the others are left
		n := st.layer.Weight.N / st.Groups
		s.other = sized(s.other, (r1-r0)*(n+32))
		for g := range st.Groups {
			a := st.patches(f, s, r0, r1, g)
			from, to := g*n/16, ((g+1)*n+15)/16
			w := 16 * (to - from)
			part := st.layer.Weight.Columns(from, to)
			linear.Linear(linear.Sink{Y: s.other, Ld: w}, a, &part, 0, to-from, &f.ws.gemm[worker])
			for r := range r1 - r0 {
				copy(tile[r*ld+g*n:][:n], s.other[r*w+g*n-16*from:])
			}
		}
	}
	posts := st.posts
	if n := len(posts); n > 0 && posts[n-1].what == "relu" && st.to.scale > 0 && st.to.zero == 0 {
		posts = posts[:n-1] // codes from 0 on do the same
	}
	for len(posts) > 0 && posts[0].fn != nil {
		posts[0].fn(tile, tile)
		posts = posts[1:]
	}
	if len(posts) == 0 && st.to.scale > 0 && ld == n1-n0 {
		st.to.encodeRows(f.codes[st.to.value][r0*width+n0:], width, tile[:(r1-r0)*ld], n1-n0)
		return
	}
	step := 1 // rows at a time: all, if they are one piece of every value
	if ld == width && !slices.ContainsFunc(posts, func(p post) bool { return p.other >= 0 && f.rows[p.other] == 1 }) {
		step = r1 - r0
	}
	for r := r0; r < r1; r += step {
		row, at := tile[(r-r0)*ld:][:(step-1)*ld+n1-n0], r*width+n0
		for i := range posts {
			posts[i].apply(f, s, row, at, n0)
		}
		if st.to.scale > 0 {
			st.to.encode(f.codes[st.to.value][at:][:len(row)], row)
		} else if !inPlace {
			copy(f.val[st.out][at:], row)
		}
	}
}

// ends puts the posts into the end of a direct or depthwise convolution, if that has all of them: SiLU, a sum with a value of the kind of the result, a bound.
func (st *convStep) ends() bool {
	codes := st.to.scale > 0
	if st.direct == nil && (st.depthwise == nil || codes && !st.depthwise.HasEnd() || !codes && st.in.scale > 0) {
		return false
	}
	e := conv.End{Lo: float32(math.Inf(-1)), Hi: float32(math.Inf(1))}
	if codes {
		e.Inv, e.Zero, e.Hi = 1/st.to.scale, st.to.zero, float32(255-st.to.zero)
	}
	posts := st.posts
	if len(posts) > 0 && posts[0].what == "silu" && st.direct != nil && st.direct.HasSiLU() {
		e.SiLU, posts = true, posts[1:]
	}
	for i, p := range posts {
		switch last := i == len(posts)-1; {
		case p.what == "add" && st.direct == nil:
			return false
		case i == 0 && p.what == "add" && p.other >= 0 && p.codes.scale > 0 && codes:
			e.AddScale, e.AddZero = p.codes.scale, p.codes.zero
		case i == 0 && p.what == "add" && p.other >= 0 && p.codes.scale == 0 && !codes && !p.row1:
		case last && (p.what == "relu" || p.what == "relu6") && codes && st.to.zero == 0: // from 0 on anyway
			if p.what == "relu6" {
				e.Hi = min(e.Hi, float32(6*e.Inv))
			}
		case last && (p.what == "relu" || p.what == "relu6") && !codes:
			if e.Lo = 0; p.what == "relu6" {
				e.Hi = 6
			}
		default:
			return false
		}
	}
	st.end = e
	return st.direct == nil || !codes || st.direct.Bounded(e)
}

// endOf is the end of rows from r0 and columns from n0 on.
func (st *convStep) endOf(f *frame, out part, r0, n0 int) conv.End {
	e := st.end
	e.Ld = st.layer.Weight.N
	if st.ld > 0 { // nothing is added
		e.Ld = st.ld
	}
	at := r0*e.Ld + n0
	if to := (r0-out.begin)*e.Ld + st.column + n0; out.codes != nil {
		e.Codes = out.codes[to:]
	} else {
		e.Floats = out.floats[to:]
	}
	for _, p := range st.posts {
		switch {
		case p.codes.scale > 0:
			e.AddCodes = f.codes[p.other][at:]
		case p.other >= 0:
			e.Add = f.val[p.other][at:]
		}
	}
	return e
}

// directly computes an item all of whose posts are in the kernel's end.
func (st *convStep) directly(f *frame, s *convScratch, in, out part, r0, r1, b0, b1 int) {
	n0 := 0
	if st.direct != nil {
		n0, _ = st.direct.Columns(b0, b1)
	}
	e := st.endOf(f, out, r0, n0)
	switch {
	case st.direct == nil && st.in.scale > 0:
		st.depthwise.End(e, in.codes, in.begin, r0, r1, &s.taps)
	case st.direct == nil:
		st.depthwise.Floats(e, in.floats, in.begin, r0, r1, &s.taps)
	case st.in.scale > 0:
		st.direct.Codes(e, in.codes, in.begin, r0, r1, b0, b1, &s.table)
	default:
		st.floats(e, f, s, in, r0, r1, b0, b1)
	}
}

// floats is the product of a direct convolution of float32.
func (st *convStep) floats(e conv.End, f *frame, s *convScratch, in part, r0, r1, b0, b1 int) {
	if st.makes == nil {
		st.direct.Floats(e, in.floats, in.begin, r0, r1, b0, b1, &s.table)
		return
	}
	s.rows = sized(s.rows, (r1-r0)*st.C)
	for r := r0; r < r1; r++ {
		st.makes.fn(f, st.makes, s.rows[(r-r0)*st.C:][:st.C], r)
	}
	st.direct.Floats(e, s.rows, r0, r0, r1, b0, b1, &s.table)
}

// heavy tells whether the weights of a direct convolution should go by as seldom as can be, its input more often.
func (st *convStep) heavy() bool {
	return st.direct.Blocks()*st.direct.Bytes() > 256<<10 || st.direct.Remakes()
}

// across tells whether items of a direct convolution are columns sooner than rows: its weights go by as seldom as can be, or are more than its input, and than twice that where items make words of it.
func (st *convStep) across(f *frame) bool {
	input := f.rows[st.x] * st.C
	if st.in.scale == 0 {
		input *= 4
	} else if st.direct.Widens() {
		input *= 2
	}
	return st.heavy() || st.direct.Blocks()*st.direct.Bytes() > input
}

// cutDirect is cut for direct convolutions, whose weights go by for all rows of an item, and whose results if posts are to follow are to stay in the
// first-level cache.
func (st *convStep) cutDirect(f *frame) (rows, blocks, columns int) {
	all, unit := st.direct.Blocks(), 4
	if parts := st.direct.Parts(); parts > 1 {
		unit = all / parts
	}
	rows, blocks = max(min(mostRows/6*6, f.rows[st.out]), 1), all
	if !st.whole {
		blocks = min(all, max(8/unit, 1)*unit)
		rows = min(rows, max(smallTile/(96*blocks), 1)*6)
	}
	want := min(max(4, f.rows[st.out]*st.K()*st.layer.Weight.N/(itemProducts*f.ws.Threads())), 16) * f.ws.Threads()
	for (f.rows[st.out]+rows-1)/rows*((all+blocks-1)/blocks) < want {
		fewer := max((blocks/2+unit-1)/unit, 1) * unit
		switch {
		case rows > 48 && !(st.across(f) && fewer < blocks):
			rows = (rows/2 + 5) / 6 * 6
		case fewer < blocks:
			blocks = fewer
		default:
			return rows, blocks, (all + blocks - 1) / blocks
		}
	}
	return rows, blocks, (all + blocks - 1) / blocks
}

// sized is x with length n.
func sized[T any](x []T, n int) []T {
	if cap(x) < n {
		x = make([]T, n)
	}
	return x[:n]
}

// patches are rows r0 to r1 of a group as the layer takes them.
func (st *convStep) patches(f *frame, s *convScratch, r0, r1, group int) *linear.Acts {
	if st.inPlace() {
		a, m := &s.flat, r1-r0
		a.Form, a.M, a.K, a.Stride = st.layer.Form, m, st.C, st.C
		if st.in.scale == 0 {
			a.F32 = f.val[st.x][r0*st.C : r1*st.C]
			return a
		}
		a.Hi, a.Scale, a.Zero = f.codes[st.x][r0*st.C:r1*st.C], sized(a.Scale, m), sized(a.Zero, m)
		a.SetStatic(st.in.scale, st.in.zero)
		return a
	}
	spec := specOf(st.layer)
	a := s.acts[spec]
	if a == nil || a.Room() < r1-r0 {
		if s.acts == nil {
			s.acts = map[actSpec]*linear.Acts{}
		}
		a = spec.rows(r1 - r0)
		s.acts[spec] = a
	}
	a.Reset(r1 - r0)
	if st.in.scale > 0 {
		a.SetStatic(st.in.scale, st.in.zero)
		for r := r0; r < r1; r++ {
			conv.Patch(&st.Shape, a.Hi[(r-r0)*a.Stride:][:spec.k], f.codes[st.x], r, group, byte(st.in.zero))
		}
		return a
	}
	s.patch = sized(s.patch, spec.k)
	for r := r0; r < r1; r++ {
		if spec.form == linear.AF32 && st.layer.Weight.Coded == nil {
			conv.Patch(&st.Shape, a.F32[(r-r0)*a.Stride:][:spec.k], f.val[st.x], r, group, 0)
			continue
		}
		conv.Patch(&st.Shape, s.patch, f.val[st.x], r, group, 0)
		a.Quantize(r-r0, r-r0+1, s.patch, 0)
	}
	return a
}

// inPlace tells whether the patches are rows of the input as they lie: of one tap each, whole lines.
func (st *convStep) inPlace() bool {
	one := [3]int{1, 1, 1}
	return (st.in.scale > 0 || st.layer.Form == linear.AF32 && st.layer.Weight.Coded == nil) &&
		st.C%64 == 0 && st.Groups == 1 && st.Kernel == one && st.Stride == one && st.In == st.Out
}

// apply does it to values, which lie from at on in every value of that shape, those of the first row from column n0 on.
func (p *post) apply(f *frame, s *convScratch, x []float32, at, n0 int) {
	if p.fn != nil {
		p.fn(x, x)
		return
	}
	y := p.row
	switch {
	case p.codes.scale > 0:
		s.other = sized(s.other, len(x))
		y = s.other
		p.codes.decode(y, f.codes[p.other][at:][:len(x)])
	case p.other >= 0 && f.rows[p.other] == 1:
		y = f.val[p.other][n0:][:len(x)]
	case p.other >= 0:
		y = f.val[p.other][at:][:len(x)]
	}
	if p.first {
		p.bin(x, y, x)
	} else {
		p.bin(x, x, y)
	}
}

// dump is for Program.Dump.
func (st *convStep) dump(p *Program) string {
	kind := "conv"
	if st.depthwise != nil {
		kind = "depthwise"
	}
	of := " of"
	if st.makes != nil {
		of += " " + st.makes.what + of
	}
	text := fmt.Sprintf("%s %s %s%s%s", kind, st.name, st.layer.Weight.Format, of, p.places(st.inputs()))
	for i := range st.posts {
		if text += ", " + st.posts[i].what; st.posts[i].other >= 0 {
			text += p.places([]int{st.posts[i].other})
		}
	}
	return text + " ->" + p.places(st.writes())
}
