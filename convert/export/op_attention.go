package export

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
)

func init() {
	softmax := func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		d := c.dim("dim", -1, t)
		if c.err != nil {
			return nil, c.err
		}
		name, back, err := c.p.lastAxis(t, []int{d})
		if err != nil {
			return nil, err
		}
		return one(back(c.p.build(c.name(), graph.Softmax{}, []string{name})), nil)
	}
	ops["softmax"], ops["_softmax"] = softmax, softmax
	ops["scaled_dot_product_attention"] = func(c *call) ([]*tensor, error) {
		q, k, v := c.tensor("query"), c.tensor("key"), c.tensor("value")
		causal, drop := c.bool("is_causal", false), c.float("dropout_p", 0)
		mask := c.optional("attn_mask")
		if drop != 0 {
			c.fail("attention with dropout: export model.eval()")
		}
		if c.err != nil || q.rank() < 2 || k.rank() != q.rank() || v.rank() != q.rank() {
			c.fail("attention of rank %d", q.rank())
			return nil, c.err
		}
		scale := c.float("scale", 1/math.Sqrt(float64(q.shape[q.rank()-1].n)))
		if h := q.rank() - 3; c.bool("enable_gqa", false) && h >= 0 && q.shape[h] != k.shape[h] {
			for _, t := range []**tensor{&k, &v} {
				n := (*t).shape[h].n
				if n == 0 || q.shape[h].n%n != 0 {
					return nil, fmt.Errorf("%d heads of queries for %d of keys", q.shape[h].n, n)
				}
				shape := slices.Insert(slices.Clone((*t).shape), h+1, size{n: 1})
				u, err := c.p.view(*t, shape)
				if err == nil {
					shape[h+1].n = q.shape[h].n / n
					u, err = c.p.expand(u, shape)
				}
				if err == nil {
					*t, err = c.p.view(u, slices.Concat(q.shape[:h+1], (*t).shape[h+1:]))
				}
				if err != nil {
					return nil, err
				}
			}
		}
		if mask != nil && mask.c == nil || q.rank() != 4 || q.shape[3] != v.shape[3] {
			if nq, nk := q.shape[q.rank()-2], k.shape[q.rank()-2]; causal {
				data := make([]float64, nq.n*nk.n)
				for i := range data {
					data[i] = truth(i%nk.n <= i/nk.n)
				}
				mask = ofConstant(fresh([]int{nq.n, nk.n}, data, true))
			}
			if mask != nil && (mask.truth || mask.c != nil && mask.c.integer) { // true is seen
				var err error
				if mask, err = c.p.choose(mask, ofConstant(filled(nil, 0, false)), ofConstant(filled(nil, -math.MaxFloat32, false))); err != nil {
					return nil, err
				}
			}
			return one(c.p.attention(q, k, v, mask, scale))
		}
		heads, dim := q.shape[1].n, q.shape[3].n
		op := graph.Attention{Heads: heads, KVHeads: heads, HeadDim: dim, Scale: scale, Mask: graph.Mask{Kind: "full"}}
		if causal {
			op.Mask.Kind = "causal"
		}
		var in []string
		var lead []int // axes of the first dimension
		for _, t := range []*tensor{q, k, v} {
			n, u, err := c.p.leading(t)
			if err != nil {
				return nil, err
			}
			groups := [][]int{{0}, {1}}[:n]
			if u, err = c.p.arranged(u, append(slices.Clone(groups), []int{n + 1}, []int{n, n + 2})); err != nil {
				return nil, err
			}
			in, lead = append(in, u.name), u.axes[:n]
		}
		if mask != nil {
			shape := slices.Clone(mask.c.shape)
			for len(shape) > 1 && shape[0] == 1 {
				shape = shape[1:]
			}
			m := mask.c
			if m.integer { // booleans: true is seen
				m = m.mapped(func(x float64) float64 {
					if x == 0 {
						return -math.MaxFloat32
					}
					return 0
				})
			}
			name, err := c.p.param(nil, shape, m.mapped(func(x float64) float64 { return max(x, -math.MaxFloat32) }).values())
			if err != nil {
				return nil, err
			}
			op.Bias = true
			in = append(in, c.p.build(name+".value", graph.Constant{}, nil, name))
		}
		name := c.p.build(c.name(), op, in)
		n := len(lead)
		t := &tensor{name: name, axes: append(slices.Clone(lead), q.shape[2].n, heads*dim), shape: []size{q.shape[0], q.shape[2], {n: heads * dim}}, dims: [][]int{upTo(n), {n}, {n + 1}}}
		t, err := c.p.view(t, []size{q.shape[0], q.shape[2], q.shape[1], q.shape[3]})
		if err != nil {
			return nil, err
		}
		return one(t.permute([]int{0, 2, 1, 3}), nil)
	}
}

// attention is that of the formula, softmax(q k^T * scale + mask) v, for what the op attention does not take.
func (p *program) attention(q, k, v, mask *tensor, scale float64) (*tensor, error) {
	n := q.rank()
	s, err := p.product(q, k.permute(swapped(n, n-2, n-1)))
	if err != nil {
		return nil, err
	}
	s = p.scaled(s, "mul", scale)
	if mask != nil {
		if s, err = p.binary("add", s, mask); err != nil {
			return nil, err
		}
	}
	name, back, err := p.lastAxis(s, []int{n - 1})
	if err != nil {
		return nil, err
	}
	return p.product(back(p.build(p.at, graph.Softmax{}, []string{name})), v)
}
