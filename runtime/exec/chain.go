package exec

import "slices"

// chainStep is convolutions that follow each other, each the only reader of the one before: some lines of the last at a time, with what these are made of, so that what lies between stays in the
// second-level cache of a core. What a layer computes does not depend on how its rows are cut.
type chainStep struct{ list []*convStep }

// Sizes of a chain, which a test changes: values of fewer bytes an image stay in the cache without one, and its bands may have so many; a chunk has so many lines of
// the result at least if there are enough for all workers, since some lines of what lies between are computed for two of them.
var (
	chainBytes = 256 << 10
	bandBytes  = 320 << 10
	chunkLines = 28
)

// band is the lines of a value between that are there.
type band struct {
	from, to int
	floats   []float32
	codes    []byte
}

// chains puts convolutions that can be one step together.
func (c *Compiler) chains() {
	readers := make([]int, len(c.values)) // steps that read a value, the graph's results as one more
	for _, st := range c.steps {
		for _, v := range st.reads() {
			readers[c.root(v)]++
		}
	}
	for _, v := range c.outs {
		readers[c.root(v)]++
	}
	var steps []step
	for _, st := range c.steps {
		b, ok := st.(*convStep)
		if ok && len(steps) > 0 {
			switch a := steps[len(steps)-1].(type) {
			case *convStep:
				if c.linked(a, b, readers) {
					steps[len(steps)-1] = &chainStep{[]*convStep{a, b}}
					continue
				}
			case *chainStep:
				if c.linked(a.list[len(a.list)-1], b, readers) {
					a.list = append(a.list, b)
					continue
				}
			}
		}
		steps = append(steps, st)
	}
	c.steps = steps
}

// linked tells whether b can follow a in a chain: one of them is depthwise, of the other the weights stay in the cache, and what lies between is large.
func (c *Compiler) linked(a, b *convStep, readers []int) bool {
	v := a.writes()[0]
	light := func(st *convStep) bool { return st.direct != nil && !st.heavy() && st.makes == nil }
	kinds := light(a) && b.depthwise != nil || a.depthwise != nil && light(b) && b.Pointwise()
	return kinds && b.x == v && c.root(v) == v && readers[v] == 1 && a.whole && a.ld == 0 && (b.whole || b.depthwise != nil) && a.size()*a.Places() >= chainBytes &&
		a.Out == b.In && a.Out[0] == 1 && a.In[0] == 1 && b.Out[0] == 1 && !a.Transposed && !b.Transposed
}

// size is the bytes of a row of the result.
func (st *convStep) size() int {
	if st.to.scale > 0 {
		return st.layer.Weight.N
	}
	return 4 * st.layer.Weight.N
}

func (st *chainStep) last() *convStep { return st.list[len(st.list)-1] }
func (st *chainStep) node() string    { return st.last().name }
func (st *chainStep) writes() []int   { return st.last().writes() }

func (st *chainStep) reads() (list []int) {
	for i, s := range st.list {
		for _, v := range s.reads() {
			if i == 0 || v != st.list[i-1].writes()[0] {
				list = append(list, v)
			}
		}
	}
	return list
}

func (st *chainStep) dump(p *Program) (text string) {
	for i, s := range st.list {
		if i > 0 {
			text += "\n      "
		}
		text += s.dump(p)
	}
	return text
}

// chunks is the parts of an image.
func (st *chainStep) chunks(f *frame) int {
	images, lines := f.rows[st.last().out]/st.last().Places(), st.last().Out[1]
	least := (f.ws.Threads() + images - 1) / images
	return max(min((2*f.ws.Threads()+images-1)/images, max(lines/chunkLines, least), lines), 1)
}

func (st *chainStep) items(f *frame) int {
	return f.rows[st.last().out] / st.last().Places() * st.chunks(f)
}

// lines is how many lines of the last are made at a time, and for these those of each of the others.
func (st *chainStep) lines() (n int, of []int) {
	for n = st.last().Out[1]; ; n-- {
		of = of[:0]
		need, bytes := n, 0
		for _, s := range slices.Backward(st.list[1:]) {
			need = min((need-1)*s.Stride[1]+(s.Kernel[1]-1)*s.Dilation[1]+1, s.In[1])
			of = append(of, need)
		}
		slices.Reverse(of)
		for i, lines := range of {
			bytes += lines * st.list[i].Out[2] * st.list[i].size()
		}
		if bytes <= bandBytes || n == 1 {
			return n, of
		}
	}
}

func (st *chainStep) do(f *frame, worker, item int) {
	chunks := st.chunks(f)
	image, chunk, lines := item/chunks, item%chunks, st.last().Out[1]
	n, of := st.lines()
	s := &f.ws.conv[worker]
	s.bands = sized(s.bands, len(of))
	for i, k := range of {
		b, rows := &s.bands[i], k*st.list[i].Out[2]*st.list[i].layer.Weight.N
		if b.from, b.to = -1, -1; st.list[i].to.scale > 0 {
			b.codes = sized(b.codes, rows+3)[:rows]
		} else {
			b.floats = sized(b.floats, rows)
		}
	}
	for h, end := chunk*lines/chunks, (chunk+1)*lines/chunks; h < end; h += n {
		st.make(f, worker, image, len(of), h, min(h+n, end))
	}
}

// make computes lines h0 to h1-1 of convolution i of an image, what they are made of before.
func (st *chainStep) make(f *frame, worker, image, i, h0, h1 int) {
	s, bands := st.list[i], f.ws.conv[worker].bands
	in, out := f.all(s.x), f.all(s.writes()[0])
	if i > 0 {
		from, to := s.Lines(h0, h1-h0)
		in = st.have(f, worker, image, i-1, from, to)
	}
	if i < len(bands) {
		out = st.part(bands, image, i)
	}
	rows, blocks := mostRows/6*6, s.layer.Weight.Blocks()
	if s.direct != nil {
		blocks = s.direct.Blocks()
	}
	if !s.whole {
		rows = max(smallTile/s.layer.Weight.N, 1)
	}
	end := (image*s.Out[1] + h1) * s.Out[2]
	for r := (image*s.Out[1] + h0) * s.Out[2]; r < end; r += rows {
		s.compute(f, worker, in, out, r, min(r+rows, end), 0, blocks)
	}
}

// have makes sure that lines from to to-1 of convolution i are in its band, which loses those before.
func (st *chainStep) have(f *frame, worker, image, i, from, to int) part {
	s, b := st.list[i], &f.ws.conv[worker].bands[i]
	line := s.Out[2] * s.layer.Weight.N
	if b.to <= from {
		b.from, b.to = from, from
	} else if gone := (from - b.from) * line; gone > 0 {
		copy(b.floats, b.floats[min(gone, len(b.floats)):])
		copy(b.codes, b.codes[min(gone, len(b.codes)):])
		b.from = from
	}
	if next := b.to; next < to {
		b.to = to
		st.make(f, worker, image, i, next, to)
	}
	return st.part(f.ws.conv[worker].bands, image, i)
}

// part is the rows of band i.
func (st *chainStep) part(bands []band, image, i int) part {
	s, b := st.list[i], bands[i]
	x := part{begin: (image*s.Out[1] + b.from) * s.Out[2]}
	if s.to.scale > 0 {
		x.codes = b.codes
	} else {
		x.floats = b.floats
	}
	return x
}
