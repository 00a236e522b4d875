package ref

import (
	"math"
	"slices"
	"sync"

	"qpt/format/graph"
	"qpt/internal/num"
)

func init() { Register(attention) }

// segment is what one piece of attention reads and writes: the rows of a
// sequence, or of one leading index. Positions of the keys are 0, 1 ..
type segment struct {
	q, k, v, out graph.Tensor // rows [Nq, Heads*HeadDim], [Nk, KVHeads*HeadDim]; v is k where that holds the values
	pos          int          // of the first query
	bias         graph.Tensor // broadcast to [lead, Heads, Nq, Nk], or empty
	lead         []int        // leading extents
	at           int          // leading index
}

// attention: each query head h reads key and value head h / (Heads/KVHeads).
// Both products are those of linear layers: a query with the keys [T, D], and
// its weights, with zeros up to a multiple of 8, with the transposed values [D, T].
func attention(c *Call, op graph.Attention) error {
	var sinks, table []float32
	var err error
	if op.Sinks {
		if sinks, err = c.Param(0); err != nil {
			return err
		}
	}
	if op.Table() {
		if table, err = c.Param(len(c.Node.Params) - 1); err != nil {
			return err
		}
	}
	segs, exp := c.segments(op), c.function("exp")
	per := op.Heads / op.KVHeads // heads of one job, which read the same keys
	for n := 2; n <= per && len(segs)*op.Heads < 4*c.threads*per; n++ {
		if per%n == 0 {
			per, n = per/n, 1
		}
	}
	jobs := op.Heads / per
	c.each(len(segs)*jobs, func(job int) {
		g := segs[job/jobs]
		heads := make([]scorer, per)
		for i := range heads {
			s := &heads[i]
			*s = scorer{op: op, exp: exp, fast: &c.fast, g: g, head: job%jobs*per + i, sinks: sinks, table: table}
			if op.PosKeys {
				s.byQuery = c.places(op.Operands()+1, g.q, s.head*op.HeadDim, op.HeadDim)
			}
			if op.PosQueries {
				s.byKey = c.places(len(c.In)-1, g.k, s.keys(), op.HeadDim)
			}
		}
		if g.q.Shape[0] < fewQueries {
			for i := range heads {
				heads[i].few()
			}
			return
		}
		c.many(heads)
	})
	return nil
}

// keys is the column where the keys and the values of the head begin.
func (s *scorer) keys() int { return s.head / (s.op.Heads / s.op.KVHeads) * s.op.HeadDim }

// query and out are those of query i.
func (s *scorer) query(i int) []float32 { return s.g.q.Row(i)[s.head*s.op.HeadDim:][:s.op.HeadDim] }
func (s *scorer) out(i int) []float32 {
	return s.g.out.Row(i)[s.head*s.op.ValueDim():][:s.op.ValueDim()]
}

// few computes the results of one head query by query.
func (s *scorer) few() {
	n := s.g.k.Shape[0]
	for i := range s.g.q.Shape[0] {
		_, to := s.op.Mask.Keys(s.g.pos+i, n)
		w := make([]float32, to)
		products(w, s.query(i), s.g.k, s.keys())
		s.softmax(w, n, i)
		weighted(s.out(i), w, s.g.v, s.keys())
	}
}

// attentionScratch is what many needs.
type attentionScratch struct{ keys, values, seen, scores []float32 }

var attentionScratches = sync.Pool{New: func() any { return new(attentionScratch) }}

// many computes the results of heads that read the same keys, a block of queries at a time.
func (c *Call) many(heads []scorer) {
	const block = 64 // queries, of all heads
	mem := attentionScratches.Get().(*attentionScratch)
	defer attentionScratches.Put(mem)
	g, op, at := heads[0].g, heads[0].op, heads[0].keys()
	n, asks, d, vd := g.k.Shape[0], g.q.Shape[0], op.HeadDim, op.ValueDim()
	step := max(block/len(heads), 16)
	t := (n + 7) &^ 7
	mem.keys, mem.values = slices.Grow(mem.keys[:0], n*d), slices.Grow(mem.values[:0], vd*t)
	mem.seen, mem.scores = slices.Grow(mem.seen[:0], vd*t), slices.Grow(mem.scores[:0], len(heads)*min(step, asks)*t)
	keys, values := mem.keys, mem.values[:vd*t]
	finite := true
	for j := range n {
		keys = append(keys, g.k.Row(j)[at:at+d]...)
		for i, x := range g.v.Row(j)[at : at+vd] {
			values[i*t+j] = x
			finite = finite && x-x == 0
		}
	}
	for i := range vd {
		clear(values[i*t+n : (i+1)*t])
	}
	var queries, weights, ys [][]float32
	for i0 := 0; i0 < asks; i0 += step {
		queries, weights, ys = queries[:0], weights[:0], ys[:0]
		i1, seen := min(i0+step, asks), 0 // keys
		for i := i0; i < i1; i++ {
			_, to := op.Mask.Keys(g.pos+i, n)
			seen = max(seen, to)
		}
		t8 := (seen + 7) &^ 7
		for h := range heads {
			for i := i0; i < i1; i++ {
				l := len(queries)
				queries, ys, weights = append(queries, heads[h].query(i)), append(ys, heads[h].out(i)), append(weights, mem.scores[l*t8:(l+1)*t8:(l+1)*t8])
			}
		}
		if seen == 0 {
			for _, y := range ys {
				clear(y)
			}
			continue
		}
		v := mem.seen[:vd*t8] // [D, t8]
		for i := range vd {
			copy(v[i*t8:(i+1)*t8], values[i*t:])
		}
		c.dot(weights, 0, queries, keys[:seen*d])
		for l, w := range weights {
			heads[l/(i1-i0)].softmax(w, n, i0+l%(i1-i0))
			if finite {
				continue
			}
			part := slices.Clone(v) // 0 * infinity is nothing here
			for j := range part {
				if w[j%t8] == 0 {
					part[j] = 0
				}
			}
			c.dot(ys[l:l+1], 0, weights[l:l+1], part)
		}
		if finite {
			c.dot(ys, 0, weights, v)
		}
	}
}

// Fewer queries than fewQueries take keys and values as they lie: to lay them out for products costs more than those.
const fewQueries = 4

// products are those of a query with the first len(w) keys, len(q) values from column at on.
func products(w, q []float32, keys graph.Tensor, at int) {
	row := func(j int) []float32 { return keys.Row(j)[at : at+len(q)] }
	j := 0
	for ; j+2 <= len(w); j += 2 {
		w[j], w[j+1] = dot2(q, row(j), row(j+1))
	}
	if j < len(w) {
		w[j], _ = dot2(q, row(j), row(j))
	}
}

// weighted is the sum of rows of values, len(y) from column at on, in the order of a product with their transpose; those of weight 0 are not looked at.
func weighted(y, w []float32, values graph.Tensor, at int) {
	sums := make([]float32, 4*len(y))
	for j, f := range w {
		if f == 0 {
			continue
		}
		sum := sums[j%4*len(y):][:len(y)]
		for i, v := range values.Row(j)[at : at+len(y)] {
			sum[i] += float32(f * v)
		}
	}
	n := len(y)
	for i := range y {
		y[i] = (sums[i] + sums[2*n+i]) + (sums[n+i] + sums[3*n+i])
	}
}

// places are the products of the rows of x, d values from column at on, with those of operand j.
func (c *Call) places(j int, x graph.Tensor, at, d int) [][]float32 {
	p := c.Operand(j, 0)
	var w []float32
	for r := range p.Shape[0] {
		w = append(w, p.Row(r)[at:at+d]...)
	}
	var ys, xs [][]float32
	for i := range x.Shape[0] {
		xs, ys = append(xs, x.Row(i)[at:at+d]), append(ys, make([]float32, p.Shape[0]))
	}
	c.dot(ys, 0, xs, w)
	return ys
}

// segments cuts the operands: by part, or by leading index of rank 3 and more.
func (c *Call) segments(op graph.Attention) (list []segment) {
	for s, out := range c.Out[0] {
		q, k := c.Operand(0, s), c.Operand(1, s)
		v := k
		if op.Values == 0 {
			v = c.Operand(2, s)
		}
		rank := len(out.Shape)
		if rank == 2 {
			g := segment{q: q, k: k, v: v, out: out}
			if c.rowsOf(c.values[c.Node.Out[0]].Shape) >= 0 {
				if p := c.parts[s]; p.seq != nil && op.Cache != "" {
					g.pos = p.pos
					g.k = p.seq.extend(p.seq.keys, op.Cache, k)
					g.v = g.k
					if op.Values == 0 {
						g.v = p.seq.extend(p.seq.values, op.Cache, v)
					}
				}
			}
			list = append(list, g)
			continue
		}
		lead, _ := around(out.Shape, rank-2)
		for i := range lead {
			cut := func(x graph.Tensor) graph.Tensor {
				n := x.Shape[rank-2] * x.Shape[rank-1]
				return graph.Tensor{Shape: x.Shape[rank-2:], F: x.F[i*n : (i+1)*n]}
			}
			g := segment{q: cut(q), k: cut(k), v: cut(v), out: cut(out), lead: out.Shape[:rank-2], at: i}
			if op.Bias {
				g.bias = c.Operand(len(c.In)-1, s)
			}
			list = append(list, g)
		}
	}
	return list
}

// scorer turns products into weights for one head of a segment.
type scorer struct {
	op           graph.Attention
	g            segment
	head         int
	sinks, table []float32
	exp          func(dst, x []float32)
	fast         *Fast
	byQuery      [][]float32 // [Nq][rows]
	byKey        [][]float32 // [Nk][rows]
}

// softmax turns the products w of query i with the first of n keys into weights.
func (s *scorer) softmax(w []float32, n, i int) {
	op, p := s.op, s.g.pos+i
	top := float32(math.Inf(-1))
	if s.sinks != nil {
		top = s.sinks[s.head]
	}
	from, to := op.Mask.Keys(p, n)
	clear(w[:from])
	clear(w[to:])
	if w = w[from:to]; op.Softcap > 0 || op.Slopes != nil || len(op.Relative) > 0 || s.g.bias.F != nil {
		s.bias(w, from, i)
	} else {
		scale := float32(op.Scale)
		if s.fast.Times != nil {
			s.fast.Times(w, w, scale)
		} else {
			for j := range w {
				w[j] = float32(w[j] * scale)
			}
		}
	}
	for _, x := range w {
		if x > top {
			top = x
		}
	}
	sum := 0.0
	if s.sinks != nil {
		sum = float64(float32(math.Exp(float64(s.sinks[s.head] - top))))
	}
	for j := range w {
		w[j] -= top
	}
	if top == float32(math.Inf(-1)) {
		for j := range w {
			w[j] = top // all are: 0
		}
	}
	s.exp(w, w)
	for _, x := range w {
		sum += float64(x)
	}
	for j, x := range w {
		if x != 0 {
			w[j] = float32(float64(x) / sum)
		}
	}
}

// bias makes scores of the products w of query i with the keys from one on.
func (s *scorer) bias(w []float32, from, i int) {
	op, p := s.op, s.g.pos+i
	var bias []float32 // of query i, by key
	step := 0
	if s.g.bias.F != nil {
		shape := slices.Concat(s.g.lead, []int{op.Heads, s.g.q.Shape[0], s.g.k.Shape[0]})
		bias, step = repeat(s.g.bias, shape, (s.g.at*op.Heads+s.head)*s.g.q.Shape[0]+i)
	}
	for l := range w {
		v, j := float32(w[l]*float32(op.Scale)), from+l
		if c := op.Softcap; c > 0 {
			v = float32(c * math.Tanh(float64(v)/c))
		}
		switch {
		case op.Rounded:
			v += float32(num.FromBF16(num.BF16(float32(op.Slopes[s.head])*float32(j))) * float32(op.Scale))
		case op.Slopes != nil:
			v -= float32(float32(op.Slopes[s.head]) * float32(max(j-p, p-j)))
		}
		if r := op.Relative; len(r) > 0 {
			far := len(r) / 2
			row := r[min(max(j-p, -far), far)+far]
			if s.table != nil {
				v += s.table[row*op.Heads+s.head]
			}
			if s.byQuery != nil {
				v += float32(op.Scale) * s.byQuery[i][row]
			}
			if s.byKey != nil {
				v += float32(op.Scale) * s.byKey[j][row]
			}
		}
		if bias != nil {
			v += bias[j*step]
		}
		w[l] = v
	}
}
