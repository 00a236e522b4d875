package export

import (
	"fmt"
	"math"
	"slices"

	"qpt/format/graph"
	"qpt/internal/num"
)

// Programs that PyTorch has quantized (PT2E): pairs of quantize and dequantize around the float ops. Weights are int8 codes and come in with their scales;
// a pair on a value says that it is kept as codes u8, which is a fact about the value, so no op of the graph stands for it.

// Static is how a value is quantized: u = clamp(round(x/Scale) + Zero, 0, 255).
type Static struct {
	Value string
	Scale float32
	Zero  int32
}

// qparams are the numbers of a quantize or dequantize node.
type qparams struct {
	scale    float64
	zero     int
	min, max int
}

func init() {
	ops["quantize_per_tensor"] = func(c *call) ([]*tensor, error) {
		t, q := c.tensor("input"), c.qparams()
		if c.err != nil {
			return nil, c.err
		}
		scale, shift := float32(q.scale), 0
		if q.min < 0 {
			shift = 128 // of int8 to u8
		}
		if q.min+shift < 0 || q.max+shift > 255 {
			return nil, fmt.Errorf("%w: activations of %d to %d: only 8 bits are read", ErrUnsupported, q.min, q.max)
		}
		if t.c != nil {
			inv := float32(1 / q.scale)
			t = ofConstant(t.c.mapped(func(x float64) float64 {
				u := min(max(int(num.RoundEven(float32(float32(x)*inv)))+q.zero, q.min), q.max)
				return float64(float32(u-q.zero) * scale)
			}))
			t.codes = &q
			return one(t, nil)
		}
		t, err := c.p.dense(t)
		if err != nil {
			return nil, err
		}
		if q.min+shift > 0 {
			t = c.p.scaled(t, "max", float64(float32(q.min-q.zero)*scale))
		}
		if q.max+shift < 255 {
			t = c.p.scaled(t, "min", float64(float32(q.max-q.zero)*scale))
		}
		u := *t
		u.codes = &q
		u.name = c.p.build(c.p.at, graph.Reshape{Shape: c.p.extents(t.axes)}, []string{t.name})
		c.p.static = append(c.p.static, Static{u.name, scale, int32(q.zero + shift)})
		return one(&u, nil)
	}
	ops["dequantize_per_tensor"] = func(c *call) ([]*tensor, error) {
		q := c.qparams()
		c.codes = &q
		t := c.tensor("input")
		if c.err != nil {
			return nil, c.err
		}
		if t.codes != nil {
			if *t.codes != q {
				return nil, fmt.Errorf("%w: dequantized as %v, but quantized as %v", ErrUnsupported, q, *t.codes)
			}
			u := *t
			u.codes = nil
			return one(&u, nil)
		}
		if t.c == nil || !t.c.integer || len(t.c.shape) == 0 {
			return nil, fmt.Errorf("%w: what it dequantizes is no result of quantize_per_tensor and no constant of codes", ErrUnsupported)
		}
		return one(ofConstant(t.c.decoded(0, slices.Repeat([]float64{q.scale}, t.c.shape[0]), slices.Repeat([]float64{float64(q.zero)}, t.c.shape[0]))), nil)
	}
	ops["dequantize_per_channel"] = func(c *call) ([]*tensor, error) {
		w, scales, zeros := c.constant("input"), c.constant("scales"), c.constant("zero_points")
		axis := c.int("axis", 0)
		c.int("quant_min", 0)
		c.int("quant_max", 0)
		if c.err == nil && (w == nil || scales == nil || axis < 0 || axis >= len(w.shape) || count(scales.shape) != w.shape[axis] || zeros != nil && count(zeros.shape) != w.shape[axis]) {
			c.fail("scales of axis %d", axis)
		}
		if c.err != nil {
			return nil, c.err
		}
		z := make([]float64, w.shape[axis])
		if zeros != nil {
			z = zeros.values()
		}
		return one(ofConstant(w.decoded(axis, scales.values(), z)), nil)
	}
}

// qparams reads the arguments of a pair.
func (c *call) qparams() qparams {
	number := func(name string) float64 {
		if a, ok := c.arg(name); ok && a.kind == "as_tensor" {
			if k := c.constant(name); c.err == nil && count(k.shape) == 1 {
				return k.values()[0]
			}
			c.fail("argument %q is computed while running (dynamic quantization): give the float program and a scheme da8w8", name)
			return 1
		}
		return c.number(name)
	}
	q := qparams{number("scale"), int(number("zero_point")), int(number("quant_min")), int(number("quant_max"))}
	if s := float32(q.scale); c.err == nil && (!(s >= 0x1p-126) || math.IsInf(float64(s), 0) || q.min >= q.max || q.zero < q.min || q.zero > q.max) {
		c.fail("scale %v, zero point %d, codes %d to %d", q.scale, q.zero, q.min, q.max)
	}
	return q
}

// decoded is (code - zero) * scale along an axis; of int8 codes without zeros along the first it keeps the scales.
func (c *constant) decoded(axis int, scale, zero []float64) *constant {
	inner := count(c.shape[axis+1:])
	of := func(i int, v float64) float64 { // of element i, row-major
		k := i / inner % c.shape[axis]
		return float64(float32(v-zero[k]) * float32(scale[k]))
	}
	var d *constant
	if c.data.stored && slices.Equal(c.stride, strides(c.shape)) { // stays in its record
		d = c.view(c.shape, c.stride, c.offset)
		d.integer = false
		d.data = &numerals{stored: true, part: func(from, to int) (func(i int) float64, error) {
			at, err := c.data.part(from, to)
			return func(i int) float64 { return of(i-c.offset, at(i)) }, err
		}}
	} else {
		data := c.values()
		for i, v := range data {
			data[i] = of(i, v)
		}
		d = fresh(c.shape, data, false)
	}
	if axis > 0 || slices.ContainsFunc(zero, func(z float64) bool { return z != 0 }) {
		return d
	}
	at, err := c.data.at(c.span())
	if err != nil {
		panic(err)
	}
	keep := true
	c.each(c.offset, func(_, j int) { keep = keep && at(j) >= -128 && at(j) <= 127 })
	for i := 0; keep && i < len(scale); i++ {
		d.scale = append(d.scale, float32(scale[i]))
	}
	return d
}

// quantized takes the marks of quantized values out of the graph: each goes to the value that it was put on where nothing else reads that,
// and to what only moves values from there.
func (p *program) quantized(g *graph.Graph) (*graph.Graph, error) {
	marks, readers, maker := map[string]Static{}, map[string]int{}, map[string]int{}
	for _, s := range p.static {
		marks[s.Value] = s
	}
	for i, n := range g.Nodes {
		for _, v := range n.In {
			readers[v]++
		}
		for _, v := range n.Out {
			maker[v] = i
		}
	}
	out := *g
	out.Nodes, out.Values = nil, nil
	values, names := g.ValueMap(), map[string]string{} // of values whose node is gone
	p.static = nil
	for _, n := range g.Nodes {
		n.In = slices.Clone(n.In)
		for i, v := range n.In {
			if to, ok := names[v]; ok {
				n.In[i] = to
			}
		}
		v := n.Out[0]
		s, marked := marks[v]
		if marked {
			from := n.In[0]
			_, twice := marks[from]
			if i, computed := maker[from]; !twice && computed && readers[from] == 1 && g.Nodes[i].Op.Kind() != "constant" && values[from].DType == graph.Float && !slices.Contains(g.Outputs, from) {
				names[v], s.Value, marks[from] = from, from, s
				p.static = append(p.static, s)
				continue
			}
		}
		switch op := n.Op.(type) {
		case graph.Pool: // means of codes often lie at a tie of the codes that they become: there the last bit decides
			_, codes := marks[n.In[0]]
			op.Single = op.Func == "mean" && codes
			n.Op = op
		case graph.AdaptivePool:
			_, codes := marks[n.In[0]]
			op.Single = op.Func == "mean" && codes
			n.Op = op
		case graph.Reshape, graph.Transpose, graph.Slice:
			if from, ok := marks[n.In[0]]; ok && !marked && !slices.Contains(g.Outputs, v) {
				s, marked = Static{v, from.Scale, from.Zero}, true
				marks[v] = s
			}
		}
		if marked {
			p.static = append(p.static, s)
		}
		out.Nodes = append(out.Nodes, n)
		for _, v := range n.Out {
			out.Values = append(out.Values, values[v])
		}
	}
	return &out, out.Verify()
}
