package export

import (
	"fmt"
	"math"
	"slices"

	"qpt/convert/stored"
)

// param declares computed numbers as a param of this shape, under the name of the parameter that they are, if c says so, and nobody else has it.
func (p *program) param(c *constant, shape []int, data []float64) (string, error) {
	values := make([]float32, len(data))
	for i, x := range data {
		if values[i] = float32(x); values[i]-values[i] != 0 && x-x == 0 {
			return "", fmt.Errorf("%v is beyond float32", x)
		}
	}
	if c == nil {
		c = &constant{}
	}
	return p.declare(c, numbers{shape: slices.Clone(shape), list: values})
}

// paramOf declares a constant as a param. Its numbers stay in their record where rows of it can be read one by one.
func (p *program) paramOf(c *constant) (string, error) {
	n := numbers{shape: slices.Clone(c.shape), c: c}
	if !c.compact() {
		if most := count(c.shape); most < 0 || most > maxValues {
			return "", fmt.Errorf("%w: a tensor %v has more than %d numbers", ErrUnsupported, c.shape, maxValues)
		}
		n.c, n.list = nil, make([]float32, count(c.shape))
		if err := c.floats(n.list); err != nil {
			return "", err
		}
	}
	return p.declare(c, n)
}

// declare gives numbers a name: that of c, another if others have it.
func (p *program) declare(c *constant, n numbers) (string, error) {
	name := c.name
	if name == "" {
		name = p.at + ".constant"
	}
	base := name
	for i := 1; ; i++ {
		old := p.params[name]
		if old == nil {
			break
		}
		if same, err := n.equal(old.Numbers.(numbers)); same || err != nil {
			return name, err
		}
		name = fmt.Sprintf("%s.%d", base, i)
	}
	t := &stored.Tensor{Name: name, Shape: n.shape, Type: "F32", Numbers: n}
	if len(c.scale) == n.shape[0] {
		t.Scale = c.scale
	}
	p.params[name] = t
	p.tensors = append(p.tensors, t)
	return p.b.Param(name, n.shape...), nil
}

// numbers are the values of a tensor: in memory, or of a constant in a record.
type numbers struct {
	shape []int
	list  []float32
	c     *constant
}

// width is the size of a row.
func (n numbers) width() int { return count(n.shape[1:]) }

// equal tells whether two tensors have the same bits.
func (n numbers) equal(m numbers) (bool, error) {
	if !slices.Equal(n.shape, m.shape) {
		return false, nil
	}
	if n.c != nil && m.c != nil && n.c.data == m.c.data && n.c.offset == m.c.offset && slices.Equal(n.c.stride, m.c.stride) {
		return true, nil
	}
	a, b := make([]float32, n.width()), make([]float32, n.width())
	for r := range n.shape[0] {
		if err := n.ReadRows(r, r+1, a); err != nil {
			return false, err
		}
		if err := m.ReadRows(r, r+1, b); err != nil {
			return false, err
		}
		if !slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
			return false, nil
		}
	}
	return true, nil
}

// ReadRows implements stored.Numbers.
func (n numbers) ReadRows(r0, r1 int, dst []float32) error {
	if r0 < 0 || r1 < r0 || r1 > n.shape[0] || len(dst) != (r1-r0)*n.width() {
		return fmt.Errorf("tensor %v: rows %d to %d asked for as %d values", n.shape, r0, r1, len(dst))
	}
	if n.c != nil {
		return n.c.slice(0, r0, r1, 1).floats(dst)
	}
	copy(dst, n.list[r0*n.width():])
	return nil
}

// ReadPart implements stored.Numbers.
func (n numbers) ReadPart(from int, dst []float32) error {
	if from < 0 || from > count(n.shape)-len(dst) {
		return fmt.Errorf("tensor %v: %d values from %d on asked for", n.shape, len(dst), from)
	}
	if n.c == nil {
		copy(dst, n.list[from:])
		return nil
	}
	w := max(n.width(), 1)
	r0, r1 := from/w, (from+len(dst)+w-1)/w
	rows := make([]float32, (r1-r0)*w)
	err := n.ReadRows(r0, r1, rows)
	copy(dst, rows[from-r0*w:])
	return err
}

// vectors declares constants as params, "" for nil.
func (p *program) vectors(list ...*constant) (out []string, err error) {
	for _, c := range list {
		name := ""
		if c != nil {
			if name, err = p.param(c, []int{count(c.shape)}, c.values()); err != nil {
				return nil, err
			}
		}
		out = append(out, name)
	}
	return out, nil
}
