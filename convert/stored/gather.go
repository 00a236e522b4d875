package stored

import (
	"fmt"
	"sync"
)

// Gather is a tensor put together of rows of others, which have all the same kind of codes or of numbers: row i is row at of the tensor of. A row is the
// last dimension, or where width is 1 a value.
func Gather(name string, shape []int, width int, like *Tensor, row func(i int) (of *Tensor, at int)) *Tensor {
	g := &gathered{width, row}
	t := &Tensor{Numbers: g, Name: name, Shape: shape, Type: like.Type, File: like.File, Natural: like.Natural, Inexact: like.Inexact}
	if like.Codes != nil {
		c := *like.Codes
		c.N, c.Read = t.Values()/width, g.codes
		t.Codes = &c
	}
	return t
}

// Turns gives rows of two stacks of n rows a matrix in turns, or matrix by matrix all those of a before those of b.
func Turns(a, b *Tensor, n int, turns bool) func(i int) (of *Tensor, at int) {
	return func(r int) (*Tensor, int) {
		e, i := r/(2*n), r%(2*n)
		second, at := i >= n, i%n
		if turns {
			second, at = i%2 == 1, i/2
		}
		if second {
			return b, e*n + at
		}
		return a, e*n + at
	}
}

type gathered struct {
	width int
	row   func(i int) (of *Tensor, at int)
}

// codes implements Codes.Read.
func (g *gathered) codes(r0, r1 int, b *Block) error {
	for r := r0; r < r1; {
		t, at := g.row(r)
		n := 1
		for ; r+n < r1; n++ { // rows that lie together
			if other, next := g.row(r + n); other != t || next != at+n {
				break
			}
		}
		c, i := t.Codes, r-r0
		part := Block{Codes: b.Codes[i*c.K:][:n*c.K], Scale: b.Scale[i*c.Groups():][:n*c.Groups()]}
		if c.Offsets {
			part.Offset = b.Offset[i*c.Groups():][:n*c.Groups()]
		}
		if c.Zeros {
			part.Zeros = b.Zeros[i*c.Groups():][:n*c.Groups()]
		}
		if err := c.Read(at, at+n, &part); err != nil {
			return err
		}
		r += n
	}
	return nil
}

// ReadRows implements Numbers.
func (g *gathered) ReadRows(r0, r1 int, dst []float32) error {
	return g.ReadPart(r0*g.width, dst[:(r1-r0)*g.width])
}

// ReadPart implements Numbers.
func (g *gathered) ReadPart(from int, dst []float32) error {
	for len(dst) > 0 {
		t, row := g.row(from / g.width)
		at := from % g.width
		n := min(len(dst), g.width-at)
		if err := t.values().ReadPart(row*g.width+at, dst[:n]); err != nil {
			return err
		}
		from, dst = from+n, dst[n:]
	}
	return nil
}

// values are those of a tensor that no checkpoint has taken in.
func (t *Tensor) values() Numbers {
	if t.Codes != nil {
		return NumbersOf(t.Codes, t.Name, t.File)
	}
	return t.Numbers
}

// Heads is the matrix [H*(key+value), rank] that makes keys and values of latent vectors, of what some files have apart for each head: k [H, rank, key] and
// v [H, value, rank]. Codes of both do not hold it: rows of the one are columns of the other.
func Heads(name string, k, v *Tensor) (*Tensor, error) {
	a, b := k.Shape, v.Shape
	if len(a) != 3 || len(b) != 3 || a[0] != b[0] || a[1] != b[2] {
		return nil, fmt.Errorf("%w: %s: tensors %q %v and %q %v are not the keys [heads, rank, width] and values [heads, width, rank] of one latent vector", ErrCodes, k.File, k.Name, a, v.Name, b)
	}
	if a[1] > maxHeadKeys/a[2] {
		return nil, fmt.Errorf("%w: %s: tensor %q %v: heads of more than %d numbers are not read", ErrCodes, k.File, k.Name, a, maxHeadKeys)
	}
	h := &heads{k: k.values(), v: v.values(), rank: a[1], key: a[2], value: b[1], head: -1}
	return &Tensor{Numbers: h, Name: name, Shape: []int{a[0] * (h.key + h.value), h.rank}, Type: k.Type, File: k.File, Natural: true, Inexact: k.Codes != nil || v.Codes != nil}, nil
}

// maxHeadKeys bounds the keys of a head, which are held in memory.
const maxHeadKeys = 1 << 24

type heads struct {
	k, v             Numbers
	rank, key, value int

	mu   sync.Mutex
	head int
	keys []float32 // of that head, [rank, key]: its columns are wanted one after the other
}

// ReadRows implements Numbers.
func (h *heads) ReadRows(r0, r1 int, dst []float32) error {
	return h.ReadPart(r0*h.rank, dst[:(r1-r0)*h.rank])
}

// ReadPart implements Numbers.
func (h *heads) ReadPart(from int, dst []float32) error {
	for len(dst) > 0 {
		row, at := from/h.rank, from%h.rank
		head, i := row/(h.key+h.value), row%(h.key+h.value)
		n := min(len(dst), h.rank-at)
		var err error
		if i < h.key {
			err = h.column(head, i, at, dst[:n])
		} else {
			err = h.v.ReadPart((head*h.value+i-h.key)*h.rank+at, dst[:n])
		}
		if err != nil {
			return err
		}
		from, dst = from+n, dst[n:]
	}
	return nil
}

// column reads a part of column i of the keys of a head.
func (h *heads) column(head, i, at int, dst []float32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.head != head {
		h.head, h.keys = -1, make([]float32, h.rank*h.key)
		if err := h.k.ReadPart(head*len(h.keys), h.keys); err != nil {
			return err
		}
		h.head = head
	}
	for j := range dst {
		dst[j] = h.keys[(at+j)*h.key+i]
	}
	return nil
}
