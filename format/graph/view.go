package graph

import (
	"fmt"
	"slices"
	"sync"
)

// View says that a param is a part of a checkpoint's tensor: of a fused
// projection, of a stack of experts, of a matrix stored as [K, N]. Conversion
// resolves it (Views); a .qpt holds the param under its own name.
//
// With Perm, which begins with 0, the param is the tensor with dimension Perm[i] at place i; a matrix may be one of more dimensions, all
// but the first joined. Otherwise:
//
// Of the tensor Of with this Shape, first element Index of the first dimension is
// picked if the tensor has one dimension more than the param; then with Transpose the matrix that
// is left is turned; then row i of the param (value i, if it has one dimension) is row
//
//	From + i                                  if Block is 0
//	From + (i/Block)*Stride + i%Block         otherwise
//
// of it. The other dimensions are those of the param. With Columns the same is said of the columns of a matrix, in place of its rows.
type View struct {
	Of        string `json:"of"`
	Shape     []int  `json:"shape"`
	Index     int    `json:"index,omitempty"`
	Transpose bool   `json:"transpose,omitempty"`
	From      int    `json:"from,omitempty"`
	Block     int    `json:"block,omitempty"`
	Stride    int    `json:"stride,omitempty"`
	Perm      []int  `json:"perm,omitempty"`
	Columns   bool   `json:"columns,omitempty"`
}

// Stored is the tensor of the checkpoint that p is or is a part of.
func (p *Param) Stored() (name string, shape []int) {
	if p.View != nil {
		return p.View.Of, p.View.Shape
	}
	return p.Name, p.Shape
}

// Row is the row of the tensor, of a stack the row counted through all its matrices, that is row i of the param, a matrix; ok is
// false if rows of it are no rows of the param.
func (v *View) Row(i int) (row int, ok bool) {
	row = v.row(i)
	if len(v.Shape) == 3 {
		row += v.Index * v.Shape[1]
	}
	return row, !v.Transpose && !v.Columns && v.Perm == nil
}

// row is the row of the picked tensor that is row i of the param.
func (v *View) row(i int) int {
	if v.Block > 0 {
		i = i/v.Block*v.Stride + i%v.Block
	}
	return v.From + i
}

// picked is the shape of what Index and Transpose leave, for a param of this rank.
func (v *View) picked(rank int) []int {
	shape := v.Shape[len(v.Shape)-rank:]
	if v.Transpose {
		shape = []int{shape[1], shape[0]}
	}
	return shape
}

// check holds the view against the shape of its param, which is sound.
func (v *View) check(shape []int) error {
	if err := checkName("tensor", v.Of, map[string]bool{}); err != nil {
		return err
	}
	dims := make([]Dim, len(v.Shape))
	for i, d := range v.Shape {
		dims[i] = Dim(d)
	}
	if err := checkShape(dims, 0, 1); err != nil {
		return fmt.Errorf("shape %v of tensor %q: %w", v.Shape, v.Of, err)
	}
	rank := len(shape)
	if v.Perm != nil {
		n := len(v.Shape)
		want := make([]int, n)
		seen := make([]bool, n)
		for i, p := range v.Perm {
			if len(v.Perm) != n || v.Perm[0] != 0 || p < 0 || p >= n || seen[p] {
				return fmt.Errorf("perm %v of tensor %q %v: must begin with 0 and name each of the %d dimensions once", v.Perm, v.Of, v.Shape, n)
			}
			want[i], seen[p] = v.Shape[p], true
		}
		if rank == 2 && n > 2 {
			for _, d := range want[2:] {
				want[1] *= d
			}
			want = want[:2]
		}
		if len(v.Perm) == 0 || v.Index != 0 || v.Transpose || v.From != 0 || v.Block != 0 || v.Stride != 0 || v.Columns || !slices.Equal(want, shape) {
			return fmt.Errorf("perm %v of tensor %q %v gives %v, must be %v and stand alone", v.Perm, v.Of, v.Shape, want, shape)
		}
		return nil
	}
	switch pick := len(v.Shape) - rank; {
	case pick != 0 && pick != 1:
		return fmt.Errorf("tensor %q %v must have the %d dimensions of the param, or one more", v.Of, v.Shape, rank)
	case v.Index < 0 || pick == 0 && v.Index > 0 || pick == 1 && v.Index >= v.Shape[0]:
		return fmt.Errorf("index %d of tensor %q %v is out of range", v.Index, v.Of, v.Shape)
	case (v.Transpose || v.Columns) && rank != 2:
		return fmt.Errorf("only a matrix can be transposed and has columns, not %v", shape)
	case v.Block < 0 || v.Block == 0 && v.Stride != 0 || v.Block > 0 && (v.Stride < v.Block || v.Stride >= maxExtent):
		return fmt.Errorf("block %d, stride %d: must both be 0, or the stride at least the block", v.Block, v.Stride)
	}
	from, count, what := v.picked(rank), shape[0], "rows"
	all, others, want := from[0], from[1:], shape[1:]
	if v.Columns {
		count, what = shape[1], "columns"
		all, others, want = from[1], from[:1], shape[:1]
	}
	if last := v.row(count - 1); v.From < 0 || v.From >= maxExtent || last >= all || !slices.Equal(others, want) {
		return fmt.Errorf("%s %d to %d of tensor %q, seen as %v, are no %v", what, v.From, last, v.Of, from, shape)
	}
	return nil
}

// PartReader is a Source that reads the values from on of a tensor, row-major,
// without the rest of their row.
type PartReader interface {
	ReadPart(name string, from int, dst []float32) error
}

// Views reads the params of g from src, the checkpoint: those with a view are
// put together from their tensors. It is best for src to be a PartReader.
func Views(g *Graph, src Source) Source {
	s := &views{src: src, params: map[string]*Param{}}
	s.parts, _ = src.(PartReader)
	for i := range g.Params {
		if p := &g.Params[i]; p.View != nil {
			s.params[p.Name] = p
		}
	}
	if len(s.params) == 0 {
		return src
	}
	return s
}

type views struct {
	src    Source
	parts  PartReader // or nil
	params map[string]*Param

	mu   sync.Mutex
	band band
}

// band is some rows of a transposed matrix: what is read of one column serves many
// small reads that follow.
type band struct {
	name   string
	r0, r1 int
	rows   []float32
}

// bandFloats is the size of a band: 4 MB.
const bandFloats = 1 << 20

// ReadRows implements Source.
func (s *views) ReadRows(name string, r0, r1 int, dst []float32) error {
	p := s.params[name]
	if p == nil {
		return s.src.ReadRows(name, r0, r1, dst)
	}
	v, rank := p.View, len(p.Shape)
	if v.Perm != nil {
		return s.permuted(p, r0, r1, dst)
	}
	if rank == 1 {
		r0, r1 = 0, p.Shape[0]
	}
	from := v.picked(rank)
	start, width, length := 0, 1, 1 // of a row of the param, and of one of what it is taken from
	for i := range from[1:] {
		width, length = width*p.Shape[1+i], length*from[1+i]
	}
	if len(v.Shape) > rank {
		start = v.Index * from[0] * length
	}
	if r0 < 0 || r1 < r0 || r1 > p.Shape[0] || len(dst) != (r1-r0)*width {
		return fmt.Errorf("param %q: rows %d to %d asked for as %d values; it is %v", name, r0, r1, len(dst), p.Shape)
	}
	if r0 == r1 {
		return nil
	}
	if v.Transpose {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b := &s.band; b.name != name || r0 < b.r0 || r1 > b.r1 {
			b.name, b.r0, b.r1 = "", r0, min(p.Shape[0], max(r1, r0+bandFloats/width))
			b.rows = slices.Grow(b.rows[:0], (b.r1-b.r0)*width)[:(b.r1-b.r0)*width]
			if err := s.columns(v, start, from[0], b); err != nil {
				return err
			}
			b.name = name
		}
		copy(dst, s.band.rows[(r0-s.band.r0)*width:])
		return nil
	}
	if rank == 1 { // single values
		return s.pick(v, start, dst)
	}
	if v.Columns {
		for r := r0; r < r1; r, dst = r+1, dst[width:] {
			if err := s.pick(v, start+r*length, dst[:width]); err != nil {
				return err
			}
		}
		return nil
	}
	for i := r0; i < r1; {
		n := 1 // rows in one run
		for i+n < r1 && v.row(i+n) == v.row(i)+n {
			n++
		}
		if err := s.part(v, start+v.row(i)*width, dst[(i-r0)*width:(i-r0+n)*width]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// permuted reads rows of a param with Perm.
func (s *views) permuted(p *Param, r0, r1 int, dst []float32) error {
	v := p.View
	width := 1
	for _, d := range p.Shape[1:] {
		width *= d
	}
	if r0 < 0 || r1 < r0 || r1 > p.Shape[0] || len(dst) != (r1-r0)*width {
		return fmt.Errorf("param %q: rows %d to %d asked for as %d values; it is %v", p.Name, r0, r1, len(dst), p.Shape)
	}
	rows := make([]float32, len(dst))
	if err := s.part(v, r0*width, rows); err != nil {
		return err
	}
	by, shape := make([]int, len(v.Perm)), make([]int, len(v.Perm)) // distance in the tensor, of each dimension of the param
	for i, d := range v.Perm {
		by[i], shape[i] = 1, v.Shape[d]
		for _, e := range v.Shape[d+1:] {
			by[i] *= e
		}
	}
	at := make([]int, len(v.Perm))
	for i := range dst {
		from := 0
		for j, k := range at {
			from += k * by[j]
		}
		dst[i] = rows[from]
		for j := len(at) - 1; j >= 0; j-- {
			if at[j]++; at[j] < shape[j] || j == 0 {
				break
			}
			at[j] = 0
		}
	}
	return nil
}

// pick reads the values of the view from those at start on: all between the first and the last at once.
func (s *views) pick(v *View, start int, dst []float32) error {
	first := v.row(0)
	line := make([]float32, v.row(len(dst)-1)+1-first)
	if err := s.part(v, start+first, line); err != nil {
		return err
	}
	for i := range dst {
		dst[i] = line[v.row(i)-first]
	}
	return nil
}

// columns fills b with columns of the stored matrix, whose rows have n values and begin at value start.
func (s *views) columns(v *View, start, n int, b *band) error {
	column, row := v.row, func(k int) int { return k } // of the stored matrix
	if v.Columns {
		column, row = row, column
	}
	first, width := column(b.r0), len(b.rows)/(b.r1-b.r0)
	line := make([]float32, column(b.r1-1)+1-first)
	for k := range width {
		if err := s.part(v, start+row(k)*n+first, line); err != nil {
			return err
		}
		for i := range b.r1 - b.r0 {
			b.rows[i*width+k] = line[column(b.r0+i)-first]
		}
	}
	return nil
}

// part reads values from on of the tensor of v.
func (s *views) part(v *View, from int, dst []float32) error {
	if s.parts != nil {
		return s.parts.ReadPart(v.Of, from, dst)
	}
	width := 1 // of a row of the source
	for _, d := range v.Shape[min(1, len(v.Shape)-1):] {
		width *= d
	}
	r0, r1 := from/width, (from+len(dst)-1)/width+1
	if r0*width == from && (r1-r0)*width == len(dst) {
		return s.src.ReadRows(v.Of, r0, r1, dst)
	}
	rows := make([]float32, (r1-r0)*width)
	if err := s.src.ReadRows(v.Of, r0, r1, rows); err != nil {
		return err
	}
	copy(dst, rows[from-r0*width:])
	return nil
}
