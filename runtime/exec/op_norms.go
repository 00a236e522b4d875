package exec

import (
	"math"

	"qpt/format/graph"
	"qpt/kernels/elem"
)

func init() {
	register("batchnorm", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		var p [4][]float32
		for j := range p {
			var err error
			if p[j], err = c.vector(n.Params[j], c.values[c.in(i, 0)].width); err != nil {
				return err
			}
		}
		mean, scale, bias := p[0], make([]float32, len(p[1])), p[3]
		for j, v := range p[1] {
			s := 1 / math.Sqrt(float64(v)+n.Op.(graph.BatchNorm).Eps)
			if p[2] != nil {
				s *= float64(p[2][j])
			}
			scale[j] = float32(s)
		}
		op := &rowOp{what: n.Op.Kind()}
		l := c.takes(c.in(i, 0))
		if l != nil {
			op.what, op.src = op.what+" of "+l.what, l.src
		}
		op.fn = func(f *frame, op *rowOp, dst []float32, r int) {
			if l != nil {
				l.fn(f, l, dst, r)
				elem.Sub(dst, dst, mean)
			} else {
				elem.Sub(dst, f.rowOf(op.src[0], r), mean)
			}
			elem.Mul(dst, dst, scale)
			if bias != nil {
				elem.Add(dst, dst, bias)
			}
		}
		c.row(i, op)
		return nil
	})
	register("groupnorm", func(c *Compiler, i int) error {
		n := &c.nodes[i]
		op := n.Op.(graph.GroupNorm)
		st := &groupNormStep{name: n.Name, x: c.in(i, 0), out: c.out(i), groups: op.Groups, eps: op.Eps, places: size(c.values[c.in(i, 0)].Shape)}
		if s := c.values[st.x].Shape; s[0] >= 0 {
			st.places /= max(int(s[0]), 1)
		}
		st.places /= c.values[st.x].width
		var err error
		if st.w, err = c.vector(n.Params[0], c.values[st.x].width); err != nil {
			return err
		}
		if st.b, err = c.vector(n.Params[1], c.values[st.x].width); err != nil {
			return err
		}
		c.step(i, st)
		return nil
	})
}

// groupNormStep normalizes; an item is a group of an image. Sums are binary64, in the order of the places.
type groupNormStep struct {
	name           string
	x, out         int
	groups, places int
	eps            float64
	w, b           []float32
}

func (st *groupNormStep) node() string  { return st.name }
func (st *groupNormStep) reads() []int  { return []int{st.x} }
func (st *groupNormStep) writes() []int { return []int{st.out} }
func (st *groupNormStep) items(f *frame) int {
	return f.rows[st.x] / max(st.places, 1) * st.groups
}

func (st *groupNormStep) do(f *frame, _, item int) {
	image, g := item/st.groups, item%st.groups
	width := f.p.values[st.x].width / st.groups
	row := func(v, p int) []float32 { return f.rowOf(v, image*st.places+p)[g*width:][:width] }
	sum, square := 0.0, 0.0
	for p := range st.places {
		for _, v := range row(st.x, p) {
			sum += float64(v)
		}
	}
	n := float64(st.places * width)
	mean := sum / n
	for p := range st.places {
		for _, v := range row(st.x, p) {
			d := float64(v) - mean
			square += float64(d * d)
		}
	}
	inv := 1 / math.Sqrt(square/n+st.eps)
	for p := range st.places {
		y := row(st.out, p)
		for i, v := range row(st.x, p) {
			z := float32((float64(v) - mean) * inv)
			if st.w != nil {
				z *= st.w[g*width+i]
			}
			if st.b != nil {
				z += st.b[g*width+i]
			}
			y[i] = z
		}
	}
}
