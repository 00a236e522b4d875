package graph

import (
	"slices"

	"qpt/internal/num"
)

func init() { Register[Attention]() }

// Attention, over the rows of a sequence: in q [T, Heads*HeadDim], k, v
// [T, KVHeads*HeadDim], pos i32 [T]; out the shape of q. With Cache set, k and v are appended to the
// state of that name and q attends to all of it under Mask; without, to this call's.
//
// With Values there is no v: the values of a head are the first Values columns of its keys, out is [T, Heads*Values] (latent
// attention: the cache keeps a position's latent and rotary key once).
//
// Of rank 3 or more, within the last dimension but one: in q [.., Nq, Heads*HeadDim], k, v
// [.., Nk, KVHeads*HeadDim] and no pos, positions being indices; out the shape of q.
//
// Params, those that are asked for: sinks [Heads], then the table [rows, Heads] of Relative. The last input with Bias: f32
// [.., Heads, Nq, Nk], where extents of 1 and absent leading ones repeat.
//
// With PosKeys and PosQueries, f32 [rows, Heads*HeadDim], inputs behind pos in this order, Relative names rows of these in place of a
// table's (disentangled attention, arXiv 2006.03654).
type Attention struct {
	Heads   int     `json:"heads"`
	KVHeads int     `json:"kv_heads"`
	HeadDim int     `json:"head_dim"`
	Scale   float64 `json:"scale"` // on q k^T
	Mask    Mask    `json:"mask"`
	Cache   string  `json:"cache,omitempty"`

	Softcap float64   `json:"softcap,omitempty"` // c > 0: scaled scores s become c*tanh(s/c)
	Slopes  []float64 `json:"slopes,omitempty"`  // ALiBi: [Heads] float32 numbers; adds slope * (key's - query's position)
	// Rounded slopes are Falcon's: bfloat16 numbers, and what is added is Scale times bfloat16(slope * key's position).
	Rounded bool `json:"rounded,omitempty"`
	// Relative, 2L-1 rows of a table: adds table[Relative[d + L-1]][head] for d = key's - query's position, held within ±(L-1).
	Relative []int `json:"relative,omitempty"`
	// PosKeys adds Scale * q . row of the one input, PosQueries Scale * k . row of the other.
	PosKeys    bool `json:"pos_keys,omitempty"`
	PosQueries bool `json:"pos_queries,omitempty"`
	Bias       bool `json:"bias,omitempty"` // adds an input
	Values     int  `json:"values,omitempty"`
	Sinks      bool `json:"sinks,omitempty"` // a logit for each head that joins the softmax's sum and has no value
}

// Mask describes which positions a query sees, as data.
type Mask struct {
	Kind string `json:"kind"` // "causal", "full"
	// Window: only keys nearer than that many positions, 0 = all. Causal: the last Window
	// positions; full: Window-1 on either side too.
	Window int `json:"window,omitempty"`
}

// Keys is the range [from, to) that a query at position p sees of the keys at positions 0 to n-1.
func (m Mask) Keys(p, n int) (from, to int) {
	to = n
	if m.Window > 0 {
		from, to = min(max(0, p-m.Window+1), n), min(n, p+m.Window)
	}
	if m.Kind == "causal" {
		to = min(to, p+1)
	}
	return from, max(from, to)
}

// Kind implements Op.
func (Attention) Kind() string { return "attention" }

// Arity implements Op.
func (a Attention) Arity() Arity {
	n := 0
	if a.Sinks {
		n++
	}
	if a.Table() {
		n++
	}
	return Arity{In: a.Operands(), More: true, Params: n}
}

// Table tells whether Relative names rows of a param.
func (a Attention) Table() bool { return len(a.Relative) > 0 && !a.PosKeys && !a.PosQueries }

// Operands is how many inputs come before pos and bias: q, k and v, or q and k.
func (a Attention) Operands() int {
	if a.Values > 0 {
		return 2
	}
	return 3
}

// ValueDim is the width of a value of one head.
func (a Attention) ValueDim() int {
	if a.Values > 0 {
		return a.Values
	}
	return a.HeadDim
}

// Infer implements Op.
func (a Attention) Infer(o *Operands) ([]Value, error) {
	if a.Heads < 1 || a.KVHeads < 1 || a.HeadDim < 1 || a.Heads%a.KVHeads != 0 {
		return o.Fail("C1", "heads %d, kv_heads %d, head_dim %d: must be positive, heads a multiple of kv_heads", a.Heads, a.KVHeads, a.HeadDim)
	}
	q := o.In[0].Shape
	rank := len(q)
	if rank < 2 || o.Features(0)%a.HeadDim != 0 || o.Features(0)/a.HeadDim != a.Heads || rank > 2 && q[rank-2] < 1 {
		return o.Fail("C2", "q is %s, must be f32 [T, %d*%d] or [.., N, %d*%d]", o.Show(0), a.Heads, a.HeadDim, a.Heads, a.HeadDim)
	}
	lead := rank - 1 // leading extents that q, k and v share
	if rank > 2 {
		lead--
	}
	if a.Values < 0 || a.Values > a.HeadDim {
		return o.Fail("C13", "values %d: must be at most head_dim %d, or 0 for values of their own", a.Values, a.HeadDim)
	}
	for i, name := range []string{"k", "v"}[:a.Operands()-1] {
		i++
		s := o.In[i].Shape
		if !o.Is(i, Float, rank) || o.Features(i)%a.HeadDim != 0 || o.Features(i)/a.HeadDim != a.KVHeads || !slices.Equal(s[:lead], q[:lead]) || s[rank-2] != o.In[1].Shape[rank-2] {
			return o.Fail("C3", "%s is %s, must be f32 [.., %d*%d] with the leading extents of q; k and v must be of one shape", name, o.Show(i), a.KVHeads, a.HeadDim)
		}
	}
	nq, nk := q[rank-2], o.In[1].Shape[rank-2]
	if rank > 2 && nk < 1 {
		return o.Fail("C3", "k is %s, must have keys", o.Show(1))
	}
	extra := o.In[a.Operands():]
	if rank == 2 {
		if len(extra) == 0 {
			return o.Fail("C4", "pos is missing, must be i32 [T] with the T of q")
		}
		if at := a.Operands(); !o.Is(at, Int, 1) || o.In[at].Shape[0] != q[0] {
			return o.Fail("C4", "pos is %s, must be i32 [T] with the T of q", o.Show(at))
		}
		extra = extra[1:]
	}
	if !num.Finite(a.Scale) || a.Scale <= 0 {
		return o.Fail("C5", "scale %v must be positive", a.Scale)
	}
	switch m := a.Mask; {
	case !slices.Contains([]string{"causal", "full"}, m.Kind):
		return o.Unknown("C6", "mask", m.Kind, "causal", "full")
	case m.Window < 0:
		return o.Fail("C6", "window %d must not be negative", m.Window)
	case nq != nk && (m.Kind == "causal" || m.Window > 0 || len(a.Slopes) > 0 || len(a.Relative) > 0):
		return o.Fail("C6", "%s and %s differ in length: only a full mask without window, slopes or relative positions will do", o.Show(0), o.Show(1))
	case a.Cache != "" && (m.Kind != "causal" || rank > 2):
		return o.Fail("C7", "cache %q with mask %q and q %s: a cache needs a causal mask and q [T, ..]", a.Cache, m.Kind, o.Show(0))
	}
	if !num.Finite(a.Softcap) || a.Softcap < 0 {
		return o.Fail("C8", "softcap %v must be positive, or 0 for none", a.Softcap)
	}
	if n := len(a.Slopes); n != 0 && n != a.Heads {
		return o.Fail("C9", "%d slopes for %d heads", n, a.Heads)
	}
	for i, s := range a.Slopes {
		if !single(s) || a.Rounded && num.FromBF16(num.BF16(float32(s))) != float32(s) {
			return o.Fail("C9", "slopes[%d] = %v must be a finite float32 number, if rounded a bfloat16 one", i, s)
		}
	}
	if a.Rounded && len(a.Slopes) == 0 {
		return o.Fail("C9", "rounded without slopes")
	}
	if a.Sinks && !isShape(o.Params[0], a.Heads) {
		return o.Fail("C10", "sinks %s have shape %v, must be [%d]", o.Params[0].Name, o.Params[0].Shape, a.Heads)
	}
	n := len(a.Relative)
	if n > 0 && n%2 == 0 {
		return o.Fail("C11", "%d relative rows: must be an odd number", n)
	}
	least := func(rows int, what string) error {
		for i, r := range a.Relative {
			if r < 0 || r >= rows {
				_, err := o.Fail("C11", "relative[%d] = %d is no row of %s", i, r, what)
				return err
			}
		}
		return nil
	}
	if a.Table() {
		table := o.Params[len(o.Params)-1]
		if len(table.Shape) != 2 || table.Shape[1] != a.Heads {
			return o.Fail("C11", "table %s %v must be [rows, %d]", table.Name, table.Shape, a.Heads)
		}
		if err := least(table.Shape[0], "table "+table.Name); err != nil {
			return nil, err
		}
	}
	for _, on := range []bool{a.PosKeys, a.PosQueries} {
		if !on {
			continue
		}
		at := len(o.In) - len(extra)
		if len(extra) == 0 || rank > 2 || n == 0 || a.KVHeads != a.Heads || !o.Is(at, Float, 2) || extra[0].Shape[0] < 1 || o.Features(at) != a.Heads*a.HeadDim {
			return o.Fail("C14", "keys and queries of positions are f32 [rows, %d*%d], behind pos, with relative rows and as many key heads as heads", a.Heads, a.HeadDim)
		}
		if err := least(int(extra[0].Shape[0]), o.Show(at)); err != nil {
			return nil, err
		}
		extra = extra[1:]
	}
	if a.Bias {
		if len(extra) == 0 || rank == 2 {
			return o.Fail("C12", "a bias is an input of its own, after k and v of rank 3 or more")
		}
		full := append(slices.Clone(q[:lead]), Dim(a.Heads), nq, nk)
		if got, ok := Broadcast(full, extra[0].Shape); !ok || extra[0].DType != Float || !slices.Equal(got, full) {
			return o.Fail("C12", "bias is %s, must repeat to %s", o.Show(len(o.In)-len(extra)), o.g.ShapeString(full))
		}
		extra = extra[1:]
	}
	if len(extra) > 0 {
		return o.Fail("C12", "input %s has no meaning here", o.Show(len(o.In)-len(extra)))
	}
	return Result(Float, o.Like(0, Dim(a.Heads*a.ValueDim()))...)
}

// Text is what Dump prints: of long lists only the ends.
func (a Attention) Text() string {
	relative := make([]float64, len(a.Relative))
	for i, r := range a.Relative {
		relative[i] = float64(r)
	}
	return attrString(a, append(list("slopes", a.Slopes), list("relative", relative)...)...)
}
