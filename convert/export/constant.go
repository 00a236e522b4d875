package export

import (
	"fmt"
	"slices"
)

// maxValues bounds a constant.
const maxValues = 1 << 28

// constant is a tensor whose numbers are known when importing: a parameter, a table, a mask. Views share data, so that writes in
// place are seen through all of them, as in PyTorch.
type constant struct {
	data          *numerals
	shape, stride []int
	offset        int
	integer       bool
	name          string    // of the parameter or buffer that it is, unchanged; else ""
	whole         *constant // the parameter or buffer that it is permuted from, if it is
	scale         []float32 // of int8 codes that it was made of: of each index of the first dimension; else nil
}

// numerals are the numbers of constants that share them: in memory, or in a record that is read whenever they are asked for.
type numerals struct {
	list   []float64
	part   func(from, to int) (at func(i int) float64, err error) // places from to to-1
	stored bool                                                   // part reads these alone
}

// at gives numbers by their places, which lie at from to to-1.
func (n *numerals) at(from, to int) (func(i int) float64, error) {
	if n.part != nil {
		return n.part(from, to)
	}
	return func(i int) float64 { return n.list[i] }, nil
}

// strides of a row-major shape.
func strides(shape []int) []int {
	s, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// count is the number of elements of a shape, -1 for one that is no shape or too large.
func count(shape []int) int {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > (1<<40)/d {
			return -1
		}
		n *= d
	}
	return n
}

// each calls f for element i, row-major, that lies at place at; offset is that of the first.
func (c *constant) each(offset int, f func(i, at int)) {
	index := make([]int, len(c.shape))
	at := offset
	for i := range count(c.shape) {
		f(i, at)
		for j := len(index) - 1; j >= 0; j-- {
			index[j]++
			at += c.stride[j]
			if index[j] < c.shape[j] {
				break
			}
			at -= c.shape[j] * c.stride[j]
			index[j] = 0
		}
	}
}

// span is where the elements lie.
func (c *constant) span() (from, to int) {
	to = c.offset + 1
	for i, d := range c.shape {
		if d == 0 {
			return c.offset, c.offset
		}
		to += (d - 1) * c.stride[i]
	}
	return c.offset, to
}

// compact tells whether rows can be read one by one: each lies in little more than its size of a record.
func (c *constant) compact() bool {
	if !c.data.stored || len(c.shape) == 0 || count(c.shape) == 0 {
		return false
	}
	row := c.slice(0, 0, 1, 1)
	from, to := row.span()
	return to-from <= 2*count(row.shape)
}

// values are the numbers, row-major.
func (c *constant) values() []float64 {
	if n := count(c.shape); n < 0 || n > maxValues {
		panic(fmt.Sprintf("a constant %v has more than %d numbers", c.shape, maxValues))
	}
	out := make([]float64, count(c.shape))
	at, err := c.data.at(c.span())
	if err != nil {
		panic(err)
	}
	c.each(c.offset, func(i, j int) { out[i] = at(j) })
	return out
}

// floats are the numbers in float32.
func (c *constant) floats(out []float32) error {
	at, err := c.data.at(c.span())
	if err == nil {
		c.each(c.offset, func(i, j int) { out[i] = float32(at(j)) })
	}
	return err
}

// fresh is a constant of these numbers.
func fresh(shape []int, data []float64, integer bool) *constant {
	return &constant{data: &numerals{list: data}, shape: slices.Clone(shape), stride: strides(shape), integer: integer}
}

// filled is a constant of one number.
func filled(shape []int, v float64, integer bool) *constant {
	return &constant{data: &numerals{list: []float64{v}}, shape: slices.Clone(shape), stride: make([]int, len(shape)), integer: integer}
}

// contiguous is c itself if it is row-major, else a copy.
func (c *constant) contiguous() *constant {
	if slices.Equal(c.stride, strides(c.shape)) {
		return c
	}
	return fresh(c.shape, c.values(), c.integer)
}

// view is c with other shape and strides.
func (c *constant) view(shape, stride []int, offset int) *constant {
	return &constant{data: c.data, shape: shape, stride: stride, offset: offset, integer: c.integer}
}

func (c *constant) permute(dims []int) *constant {
	v := c.view(nil, nil, c.offset)
	for _, d := range dims {
		v.shape, v.stride = append(v.shape, c.shape[d]), append(v.stride, c.stride[d])
	}
	if v.whole = c.whole; c.name != "" {
		v.whole = c
	}
	if w := v.whole; w != nil && slices.Equal(v.shape, w.shape) && slices.Equal(v.stride, w.stride) { // and back
		v.name = w.name
	}
	return v
}

// reshape shares data where c is row-major.
func (c *constant) reshape(shape []int) *constant {
	if slices.Equal(shape, c.shape) { // repeated ones stay so
		return c.view(c.shape, c.stride, c.offset)
	}
	c = c.contiguous()
	v := c.view(slices.Clone(shape), strides(shape), c.offset)
	v.name = ""
	return v
}

func (c *constant) slice(dim, from, to, step int) *constant {
	v := c.view(slices.Clone(c.shape), slices.Clone(c.stride), c.offset+from*c.stride[dim])
	v.shape[dim] = max((to-from+step-1)/step, 0)
	v.stride[dim] *= step
	return v
}

// expand repeats dimensions of 1; shape may have more at the front.
func (c *constant) expand(shape []int) *constant {
	v := c.view(slices.Clone(shape), make([]int, len(shape)), c.offset)
	for i := range c.shape {
		if j := len(shape) - len(c.shape) + i; c.shape[i] == shape[j] {
			v.stride[j] = c.stride[i]
		}
	}
	return v
}

// mapped applies f to each number.
func (c *constant) mapped(f func(x float64) float64) *constant {
	data := c.values()
	for i, x := range data {
		data[i] = f(x)
	}
	return fresh(c.shape, data, c.integer)
}

// write puts numbers into the elements, row-major.
func (c *constant) write(f func(i int) float64) {
	if c.data.part != nil {
		panic("a write to numbers of a record") // parameters and buffers are not written to
	}
	c.each(c.offset, func(i, at int) { c.data.list[at] = f(i) })
}
